//! Checks.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::model::{InterfaceName, Script};

/// One check of one real server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What is asked.
    pub kind: CheckKind,
    /// When, and how often it counts.
    pub pace: Pace,
    /// Whom; nothing is the real server's own address and port.
    pub target: Option<SocketAddr>,
    /// From where.
    pub source: Source,
    /// On which way.
    pub way: Way,
    /// Whether every failure is logged, or only those that count (`log_all_failures`).
    pub log_all_failures: bool,
}

/// When a check is made, and how many results count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pace {
    /// From the end of one to the begin of the next (`delay_loop`).
    pub interval: Duration,
    /// How long one may take (`connect_timeout`, `misc_timeout`): each step of a conversation, and
    /// four times as long all of them.
    pub timeout: Duration,
    /// The first one begins after a random time up to this (`warmup`).
    pub warm_up: Duration,
    /// So many that pass in a row bring it up.
    pub rise: NonZeroU32,
    /// So many that fail in a row take it down (`retry` and one).
    pub fall: NonZeroU32,
    /// After one that fails and does not count yet, the next comes so soon (`delay_before_retry`).
    pub retry_delay: Duration,
    /// Whether it is down until it has first passed (`alpha`).
    pub alpha: bool,
    /// Whether the very first one that fails counts at once, as keepalived has it without `alpha`.
    pub first_counts: bool,
}

/// From where a check is made.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Source {
    /// `bindto`
    pub address: Option<IpAddr>,
    /// `bind_port`; 0 is any.
    pub port: u16,
    /// `bind_if`
    pub interface: Option<InterfaceName>,
    /// `fwmark`; 0 is none.
    pub mark: u32,
}

/// On which way a check goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Way {
    /// To the real server's address, as keepalived does.
    #[default]
    Server,
    /// To the virtual address on the real server, as the packets of clients reach it.
    Traffic,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// Whether a connection is accepted.
    Tcp(TcpCheck),
    /// What a web server answers.
    Http(HttpCheck),
    /// Whether a mail server greets.
    Smtp(SmtpCheck),
    /// Whether a name server answers.
    Dns(DnsCheck),
    /// Whether a datagram is answered, or at least not refused.
    Udp(UdpCheck),
    /// Whether it answers a ping.
    Ping(PingCheck),
    /// What a script says.
    Script(ScriptCheck),
    /// What a file says.
    File(FileCheck),
    /// Whether a BFD session is up, by its name.
    Bfd(String),
    /// What the gRPC health service says (grpc.health.v1).
    Grpc(GrpcCheck),
    /// What an agent on the real server says (HAProxy's agent-check).
    Agent(Agent),
}

/// Whether a connection is accepted.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TcpCheck {
    /// Whether the PROXY protocol's greeting (version 2, LOCAL) is sent.
    pub proxy: bool,
    /// Over TLS: the handshake must succeed too.
    pub tls: Option<Tls>,
}

/// TLS of a check.
#[derive(Clone, Debug, PartialEq, Eq, Default, Hash)]
pub struct Tls {
    /// The name that is asked for (SNI); nothing sends none.
    pub server_name: Option<String>,
    /// Whether the certificate must be valid for that name, by the authorities in `authorities` or
    /// the system's.
    pub verify: bool,
    /// A file of certificates that are trusted (`ca`).
    pub authorities: Option<PathBuf>,
    /// Our own certificate and its key.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// What a web server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// The requests, each on its own connection.
    pub requests: Vec<HttpRequest>,
    /// How they are asked.
    pub version: HttpVersion,
    /// Over TLS (`SSL_GET`).
    pub tls: Option<Tls>,
    /// Whether the PROXY protocol's greeting is sent first.
    pub proxy: bool,
    /// Which of the requests are asked each time.
    pub turns: HttpTurns,
}

/// Which requests of a check are asked each time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpTurns {
    /// All, and all must be answered well.
    #[default]
    All,
    /// The next one, as keepalived does. Who is down is asked the one that failed until that is answered well;
    /// then all must be, from the first on.
    One {
        /// Whether nothing is waited for between the requests that must be answered well before a real server is up.
        fast_recovery: bool,
    },
}

/// The version of HTTP that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HttpVersion {
    /// 1.0.
    Http10,
    /// 1.0 with `Connection: close` (keepalived's `1.0C`).
    Http10Close,
    /// 1.1.
    Http11,
    /// 2, with prior knowledge or by ALPN.
    Http2,
}

/// One request, and what is a good answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// `Host`; nothing is the target's address.
    pub host: Option<String>,
    /// Other headers.
    pub headers: Vec<(String, String)>,
    /// The status codes that are good; empty is 200 to 299.
    pub status: Vec<StatusRange>,
    /// What the body must be.
    pub body: Vec<HttpBody>,
}

/// Status codes from the one to the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// What a body must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HttpBody {
    /// Its MD5, in hexadecimal, as `genhash` says it. The raw body, as keepalived has it.
    Md5(String),
    /// Its SHA-256, in hexadecimal.
    Sha256(String),
    /// Something in it matches.
    Matches {
        /// The regular expression.
        pattern: String,
        /// Whether a match is a failure (`regex_no_match`).
        not: bool,
        /// Bytes that are passed over (`regex_min_offset`).
        from: usize,
        /// Where a match must have begun before (`regex_max_offset`).
        before: Option<usize>,
        /// Case is ignored, lines are lines, a dot is a newline too, spaces are ignored: PCRE's letters.
        options: String,
    },
}

/// Whether a mail server greets.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SmtpCheck {
    /// What is said in HELO; nothing is `smtpchecker.keepalived.org` as keepalived says.
    pub greeting: Option<String>,
    /// Whether it is said as HELO by keepalived or as EHLO.
    pub extended: bool,
}

/// Whether a name server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsCheck {
    /// The name asked for.
    pub name: String,
    /// What of it.
    pub record: DnsType,
    /// Over TCP.
    pub tcp: bool,
}

/// What is asked of a name (RFC 1035, RFC 3596).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DnsType {
    /// 1.
    A,
    /// 2.
    Ns,
    /// 5.
    Cname,
    /// 6.
    Soa,
    /// 15.
    Mx,
    /// 16.
    Txt,
    /// 28.
    Aaaa,
}

/// Whether a datagram is answered, or at least not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UdpCheck {
    /// What is sent.
    pub payload: Vec<u8>,
    /// Whether an answer must come, and what is in it: a byte and which of its bits count; empty is anything.
    pub reply: Option<Vec<(u8, u8)>>,
    /// The least length of an answer.
    pub least: u16,
    /// The greatest.
    pub most: u16,
}

/// Whether it answers a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct PingCheck {}

/// What a script says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptCheck {
    /// The script: 0 is up, 1 is down.
    pub script: Script,
    /// Whether 2 to 255 are a weight of 0 to 253 (`misc_dynamic`), and not a failure.
    pub dynamic: bool,
}

/// What a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileCheck {
    /// The file; its number times `weight` is added to the real server's weight, or with weight 0 any
    /// number but 0 is down.
    pub path: PathBuf,
    /// The factor.
    pub weight: i32,
    /// Whether the factor counts the other way round.
    pub reverse: bool,
}

/// What the gRPC health service says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct GrpcCheck {
    /// The service asked for; empty is the server as a whole.
    pub service: String,
    /// Over TLS.
    pub tls: Option<Tls>,
}

/// What an agent on the real server says.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Agent {
    /// What is sent first.
    pub send: String,
}

impl Pace {
    /// What `weir.toml` has where nothing is said: every two seconds, three that fail, one that passes.
    pub const WEIR: Self = Self {
        interval: Duration::from_secs(2),
        timeout: Duration::from_secs(1),
        warm_up: Duration::from_secs(2),
        rise: NonZeroU32::MIN,
        fall: NonZeroU32::MIN.saturating_add(2),
        retry_delay: Duration::from_secs(1),
        alpha: false,
        first_counts: false,
    };
}

impl Pace {
    /// What `weir.toml` has where nothing but the interval is said.
    pub fn of_interval(interval: Duration) -> Self {
        Self {
            interval,
            timeout: Self::WEIR.timeout,
            warm_up: interval,
            retry_delay: Self::WEIR.retry_delay.min(interval),
            ..Self::WEIR
        }
    }
}

impl DnsType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::A,
        Self::Ns,
        Self::Cname,
        Self::Soa,
        Self::Mx,
        Self::Txt,
        Self::Aaaa,
    ];

    /// The name of RFC 1035 and RFC 3596.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::Ns => "NS",
            Self::Cname => "CNAME",
            Self::Soa => "SOA",
            Self::Mx => "MX",
            Self::Txt => "TXT",
            Self::Aaaa => "AAAA",
        }
    }

    /// The record of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|record| record.name() == name)
    }
}

impl HttpVersion {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Http10, Self::Http10Close, Self::Http11, Self::Http2];

    /// The name in `weir.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http10Close => "1.0-close",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }

    /// The version of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }
}

/// What a check tells, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says<'a> {
    /// Whether the real server is up, when it is asked.
    State,
    /// Its weight, as `misc_dynamic` and files say it.
    Weight,
    /// Whether it is up, by itself: the session of that name.
    Session(&'a str),
}

impl CheckKind {
    /// What it tells.
    pub fn says(&self) -> Says<'_> {
        match self {
            Self::Bfd(name) => Says::Session(name),
            Self::File(_) => Says::Weight,
            Self::Script(script) if script.dynamic => Says::Weight,
            Self::Tcp(_)
            | Self::Http(_)
            | Self::Smtp(_)
            | Self::Dns(_)
            | Self::Udp(_)
            | Self::Ping(_)
            | Self::Script(_)
            | Self::Grpc(_)
            | Self::Agent(_) => Says::State,
        }
    }

    /// The name in `weir.toml` and the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Http(_) => "http",
            Self::Smtp(_) => "smtp",
            Self::Dns(_) => "dns",
            Self::Udp(_) => "udp",
            Self::Ping(_) => "ping",
            Self::Script(_) => "script",
            Self::File(_) => "file",
            Self::Bfd(_) => "bfd",
            Self::Grpc(_) => "grpc",
            Self::Agent(_) => "agent",
        }
    }
}

impl StatusRange {
    /// Those of success.
    pub const SUCCESS: Self = Self {
        first: 200,
        last: 299,
    };

    /// Whether it is one of them.
    pub const fn contains(self, status: u16) -> bool {
        self.first <= status && status <= self.last
    }
}
