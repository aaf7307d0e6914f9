//! Which check is meant: said on the command line, or configured.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::Args;
use weir_config::model::health::{
    Agent, Check, CheckKind, DnsCheck, DnsType, GrpcCheck, HttpBody, HttpCheck, HttpRequest,
    HttpTurns, HttpVersion, Pace, PingCheck, SmtpCheck, Source, StatusRange, TcpCheck, Tls,
    UdpCheck, Way,
};
use weir_config::model::{
    Forwarding, InterfaceName, Notifications, Protocol, RealServer, ServiceKey, Thresholds, Weight,
};
use weir_health::probe::{Question, Subject};

use super::{Arguments, Asked};
use crate::daemon::configuration;
use crate::exit::{Code, Failure};
use crate::languages::{self, Options, Unread};
use crate::verbs::run::DEFAULT_CONFIG;

/// A check, in options.
#[derive(Args, Debug)]
#[group(skip)]
pub struct Wording {
    #[command(flatten)]
    kind: Kind,
    /// HTTP: the Host that is asked for
    #[arg(long, value_name = "NAME", requires = "http_kind")]
    host: Option<String>,
    /// HTTP: a status that is good, or a range of them [200-299]
    #[arg(long, value_name = "STATUS", value_parser = status, requires = "http_kind")]
    status: Vec<StatusRange>,
    /// HTTP: a regular expression that the body must match
    #[arg(long = "match", value_name = "PATTERN", requires = "http_kind")]
    pattern: Option<String>,
    /// HTTP: the version to speak (1.0, 1.0C, 1.1, 2)
    #[arg(long, value_name = "VERSION", value_parser = version, default_value = "1.1")]
    http_version: HttpVersion,
    /// TLS, for --tcp and --grpc
    #[arg(long)]
    tls: bool,
    /// TLS: the name of the server that is sent
    #[arg(long, value_name = "NAME")]
    sni: Option<String>,
    /// TLS: the certificate must be valid
    #[arg(long)]
    verify: bool,
    /// TLS: a file of certificates that are trusted instead of the system's
    #[arg(long, value_name = "FILE", requires = "verify")]
    ca: Option<PathBuf>,
    /// DNS: the record that is asked for
    #[arg(long, value_name = "TYPE", value_parser = record, default_value = "A")]
    record: DnsType,
    /// Greet with the PROXY protocol first
    #[arg(long)]
    proxy: bool,
    /// From this address
    #[arg(long, value_name = "ADDRESS")]
    source: Option<IpAddr>,
    /// By this interface
    #[arg(long, value_name = "INTERFACE", value_parser = interface)]
    interface: Option<InterfaceName>,
    /// With this firewall mark
    #[arg(long, value_name = "MARK", default_value_t = 0)]
    mark: u32,
}

/// One of these.
#[derive(Args, Debug)]
#[group(id = "kind", multiple = false)]
struct Kind {
    /// Whether a connection is accepted
    #[arg(long)]
    tcp: bool,
    /// What a web server answers
    #[arg(long, value_name = "PATH", group = "http_kind")]
    http: Option<String>,
    /// The same over TLS
    #[arg(long, value_name = "PATH", group = "http_kind")]
    https: Option<String>,
    /// Whether a mail server greets
    #[arg(long)]
    smtp: bool,
    /// Whether a name server answers a question for this name
    #[arg(long, value_name = "NAME")]
    dns: Option<String>,
    /// Whether a datagram is answered; a text, or hexadecimal as 0x...
    #[arg(long, value_name = "TEXT")]
    udp: Option<String>,
    /// Whether it answers a ping
    #[arg(long)]
    ping: bool,
    /// What the health service of gRPC says of a service, or of all ("")
    #[arg(long, value_name = "SERVICE")]
    grpc: Option<String>,
    /// What an agent says (HAProxy's agent-check)
    #[arg(long)]
    agent: bool,
}

fn status(text: &str) -> Result<StatusRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |text: &str| text.parse().map_err(|_| format!("{text:?} is no status"));
    let (first, last) = (number(first)?, number(last)?);
    Ok(StatusRange { first, last })
}

fn version(text: &str) -> Result<HttpVersion, String> {
    match text {
        "1.0" => Ok(HttpVersion::Http10),
        "1.0C" => Ok(HttpVersion::Http10Close),
        "1.1" => Ok(HttpVersion::Http11),
        "2" => Ok(HttpVersion::Http2),
        _ => Err("there are 1.0, 1.0C, 1.1 and 2".to_owned()),
    }
}

fn record(text: &str) -> Result<DnsType, String> {
    match text.to_ascii_uppercase().as_str() {
        "A" => Ok(DnsType::A),
        "NS" => Ok(DnsType::Ns),
        "CNAME" => Ok(DnsType::Cname),
        "SOA" => Ok(DnsType::Soa),
        "MX" => Ok(DnsType::Mx),
        "TXT" => Ok(DnsType::Txt),
        "AAAA" => Ok(DnsType::Aaaa),
        _ => Err("there are A, NS, CNAME, SOA, MX, TXT and AAAA".to_owned()),
    }
}

fn interface(text: &str) -> Result<InterfaceName, String> {
    InterfaceName::new(text).ok_or_else(|| "it cannot be the name of an interface".to_owned())
}

/// What is to be asked.
pub fn of(arguments: &Arguments) -> Result<Vec<Asked>, Failure> {
    match worded(arguments)? {
        Some((kind, port)) => {
            let target = address(&arguments.server, port)?;
            let name = match target.port() {
                0 => format!("{}: {}", target.ip(), in_words(&kind)),
                _ => format!("{target}: {}", in_words(&kind)),
            };
            let question = Question::Check(Box::new(check(arguments, kind)));
            Ok(vec![Asked {
                name,
                subject: subject(target, question),
                notifications: Notifications::default(),
            }])
        }
        None => configured(arguments),
    }
}

/// The check of the options, and the port where none is named.
fn worded(arguments: &Arguments) -> Result<Option<(CheckKind, Option<u16>)>, Failure> {
    let wording = &arguments.wording;
    let kind = &wording.kind;
    let tls = || Tls {
        server_name: wording.sni.clone(),
        verify: wording.verify,
        authorities: wording.ca.clone(),
        identity: None,
    };
    let if_asked = wording.tls.then(tls);
    Ok(Some(if let Some(path) = &kind.http {
        (http(wording, path, None), Some(80))
    } else if let Some(path) = &kind.https {
        (http(wording, path, Some(tls())), Some(443))
    } else if kind.tcp {
        let tcp = TcpCheck {
            proxy: wording.proxy,
            tls: if_asked,
        };
        (CheckKind::Tcp(tcp), None)
    } else if kind.smtp {
        (CheckKind::Smtp(SmtpCheck::default()), Some(25))
    } else if let Some(name) = &kind.dns {
        let dns = DnsCheck {
            name: name.clone(),
            record: wording.record,
            tcp: false,
        };
        (CheckKind::Dns(dns), Some(53))
    } else if let Some(text) = &kind.udp {
        let udp = UdpCheck {
            payload: payload(text)?,
            reply: Some(Vec::new()),
            least: 0,
            most: u16::MAX,
        };
        (CheckKind::Udp(udp), None)
    } else if kind.ping {
        (CheckKind::Ping(PingCheck::default()), Some(0))
    } else if let Some(service) = &kind.grpc {
        let grpc = GrpcCheck {
            service: service.clone(),
            tls: if_asked,
        };
        (CheckKind::Grpc(grpc), None)
    } else if kind.agent {
        (CheckKind::Agent(Agent::default()), None)
    } else {
        return Ok(None);
    }))
}

fn http(wording: &Wording, path: &str, tls: Option<Tls>) -> CheckKind {
    let body = wording.pattern.as_ref().map(|pattern| HttpBody::Matches {
        pattern: pattern.clone(),
        not: false,
        from: 0,
        before: None,
        options: String::new(),
    });
    CheckKind::Http(HttpCheck {
        requests: vec![HttpRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            host: wording.host.clone(),
            headers: vec![("User-Agent".to_owned(), "weir".to_owned())],
            status: wording.status.clone(),
            body: body.into_iter().collect(),
        }],
        version: wording.http_version,
        tls,
        proxy: wording.proxy,
        turns: HttpTurns::All,
    })
}

fn payload(text: &str) -> Result<Vec<u8>, Failure> {
    let Some(digits) = text.strip_prefix("0x") else {
        return Ok(text.as_bytes().to_vec());
    };
    let wrong = || Failure::new(Code::Usage, format!("{text:?} is not hexadecimal"));
    if digits.len() % 2 != 0 || !digits.is_ascii() {
        return Err(wrong());
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).map_err(|_| wrong()))
        .collect()
}

fn check(arguments: &Arguments, kind: CheckKind) -> Check {
    let wording = &arguments.wording;
    Check {
        kind,
        pace: Pace {
            timeout: arguments.timeout,
            ..Pace::WEIR
        },
        target: None,
        source: Source {
            address: wording.source,
            port: 0,
            interface: wording.interface.clone(),
            mark: wording.mark,
        },
        way: Way::Server,
        log_all_failures: false,
    }
}

/// An address, with a port if it needs one.
fn address(text: &str, port: Option<u16>) -> Result<SocketAddr, Failure> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let usage = |message| Err(Failure::new(Code::Usage, message));
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    match (bare.parse::<IpAddr>(), port) {
        (Ok(address), Some(port)) => Ok(SocketAddr::new(address, port)),
        (Ok(_), None) => usage(format!("{text}: name a port too, as in {text}:8080")),
        (Err(_), _) => usage(format!("{text:?} is no address")),
    }
}

/// As if it were the real server of a service: of which does not matter to a check of its address.
fn subject(target: SocketAddr, question: Question) -> Subject {
    Subject {
        question,
        service: ServiceKey::Address {
            protocol: Protocol::Tcp,
            address: target,
        },
        server: RealServer {
            address: target,
            forwarding: Forwarding::Nat,
            weight: Weight::default(),
            thresholds: Thresholds::default(),
        },
    }
}

/// All checks of that server in the file.
fn configured(arguments: &Arguments) -> Result<Vec<Asked>, Failure> {
    let path = arguments.config.as_deref();
    let path = path.unwrap_or_else(|| Path::new(DEFAULT_CONFIG));
    let name = path.display().to_string();
    let usage = |message: String| Failure::new(Code::Usage, message);
    let config = match languages::read(path, &Options::default()) {
        Ok(said) => said.config,
        Err(Unread::Wrong(diagnostics)) => return Err(usage(configuration::shown(&diagnostics))),
        Err(unread) => {
            let text = format!("{unread}; name a check (--http PATH, --tcp, ...) or a file");
            return Err(usage(text));
        }
    };
    let mut asked = Vec::new();
    for service in &config.health {
        for server in &service.servers {
            if !is_meant(&arguments.server, server.address) {
                continue;
            }
            for check in &server.checks {
                let mut plain = check.clone();
                plain.way = Way::Server;
                let kind = in_words(&check.kind);
                asked.push(Asked {
                    name: format!("{} of {}: {kind}", server.address, service.key),
                    subject: subject(server.address, Question::Check(Box::new(plain))),
                    notifications: config.notifications.clone(),
                });
            }
        }
    }
    if asked.is_empty() {
        return Err(usage(format!(
            "{name} has no check of {}; name one (--http PATH, --tcp, ...)",
            arguments.server
        )));
    }
    Ok(asked)
}

fn is_meant(text: &str, server: SocketAddr) -> bool {
    text.parse() == Ok(server) || text.parse() == Ok(server.ip())
}

fn in_words(kind: &CheckKind) -> String {
    match kind {
        CheckKind::Tcp(tcp) if tcp.tls.is_some() => "TLS".to_owned(),
        CheckKind::Tcp(_) => "TCP".to_owned(),
        CheckKind::Http(http) => {
            let name = if http.tls.is_some() { "HTTPS" } else { "HTTP" };
            let paths = http.requests.iter().map(|request| request.path.as_str());
            format!("{name} {}", paths.collect::<Vec<_>>().join(" "))
        }
        CheckKind::Smtp(_) => "SMTP".to_owned(),
        CheckKind::Dns(dns) => format!("DNS {}", dns.name),
        CheckKind::Udp(_) => "UDP".to_owned(),
        CheckKind::Ping(_) => "ping".to_owned(),
        CheckKind::Script(script) => format!("script {}", script.script.command.join(" ")),
        CheckKind::File(file) => format!("file {}", file.path.display()),
        CheckKind::Bfd(name) => format!("BFD session {name}"),
        CheckKind::Grpc(grpc) if grpc.service.is_empty() => "gRPC".to_owned(),
        CheckKind::Grpc(grpc) => format!("gRPC {}", grpc.service),
        CheckKind::Agent(_) => "agent".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_by_address() {
        let at = |text: &str, port| address(text, port).map(|address| address.to_string());
        assert_eq!(at("10.0.0.1:8080", Some(80)).unwrap(), "10.0.0.1:8080");
        assert_eq!(at("10.0.0.1", Some(80)).unwrap(), "10.0.0.1:80");
        assert_eq!(at("2001:db8::1", Some(80)).unwrap(), "[2001:db8::1]:80");
        assert_eq!(at("[2001:db8::1]", Some(80)).unwrap(), "[2001:db8::1]:80");
        at("10.0.0.1", None).unwrap_err();
        at("web.example", Some(80)).unwrap_err();
    }

    #[test]
    fn payloads_are_text_or_hexadecimal() {
        assert_eq!(payload("ping").unwrap(), b"ping");
        assert_eq!(payload("0x00ff").unwrap(), [0, 255]);
        for wrong in ["0x0", "0xzz", "0xé1"] {
            payload(wrong).unwrap_err();
        }
    }

    #[test]
    fn statuses_are_one_or_a_range() {
        let range = |first, last| StatusRange { first, last };
        assert_eq!(status("204"), Ok(range(204, 204)));
        assert_eq!(status("200-399"), Ok(range(200, 399)));
        status("ok").unwrap_err();
    }
}
