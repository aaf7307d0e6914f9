//! Checks.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use weir_config::model::health::{
    Check, CheckKind, DnsCheck, DnsType, FileCheck, Pace, PingCheck, ScriptCheck, SmtpCheck,
    Source, TcpCheck, Tls, UdpCheck, Way,
};
use weir_config::model::vrrp::VrrpFile;

use super::http;
use super::values::{LONG, Troubles};
use crate::grammar::Node;

/// What a service says for its real servers, and they for their checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Inherited {
    pub(super) alpha: Option<bool>,
    pub(super) retry: Option<u32>,
    pub(super) retry_delay: Option<Duration>,
    pub(super) warm_up: Option<Duration>,
    pub(super) timeout: Option<Duration>,
    pub(super) interval: Option<Duration>,
    pub(super) host: Option<String>,
}

impl Inherited {
    /// Takes a keyword; `least_retry` is the least number of retries that may be said there.
    pub(super) fn take(&mut self, node: &Node, least_retry: u32, troubles: &mut Troubles) {
        let some = Duration::from_micros(1)..=LONG;
        let any = Duration::ZERO..=LONG;
        match node.name() {
            "alpha" => self.alpha = troubles.switch(node).or(self.alpha),
            "retry" | "nb_get_retry" => {
                self.retry = troubles.number(node, least_retry..=u32::MAX).or(self.retry);
            }
            "delay_before_retry" => {
                self.retry_delay = troubles.seconds(node, 6, any).or(self.retry_delay);
            }
            "warmup" => self.warm_up = troubles.seconds(node, 6, any).or(self.warm_up),
            "connect_timeout" => self.timeout = troubles.seconds(node, 6, some).or(self.timeout),
            "delay_loop" => self.interval = troubles.seconds(node, 6, some).or(self.interval),
            "virtualhost" => {
                self.host = troubles.word(node).map(|word| word.text.clone());
            }
            _ => {}
        }
    }

    /// What is not said here as it is said there.
    pub(super) fn or(self, outer: &Self) -> Self {
        Self {
            alpha: self.alpha.or(outer.alpha),
            retry: self.retry.or(outer.retry),
            retry_delay: self.retry_delay.or(outer.retry_delay),
            warm_up: self.warm_up.or(outer.warm_up),
            timeout: self.timeout.or(outer.timeout),
            interval: self.interval.or(outer.interval),
            host: self.host.or_else(|| outer.host.clone()),
        }
    }

    /// With keepalived's defaults: `retries`, and the delay before one, or as long as the interval.
    fn pace(&self, retries: u32, retry_delay: Option<Duration>) -> Pace {
        let interval = self.interval.unwrap_or(Duration::from_secs(60));
        let alpha = self.alpha.unwrap_or(false);
        Pace {
            interval,
            timeout: self.timeout.unwrap_or(Duration::from_secs(5)),
            warm_up: self.warm_up.unwrap_or(interval),
            rise: NonZeroU32::MIN,
            fall: NonZeroU32::MIN.saturating_add(self.retry.unwrap_or(retries)),
            retry_delay: self.retry_delay.or(retry_delay).unwrap_or(interval),
            alpha,
            first_counts: !alpha,
        }
    }
}

/// What checks need to know beside what they say.
pub(super) struct Around<'a> {
    pub(super) server: SocketAddr,
    pub(super) inherited: &'a Inherited,
    pub(super) files: &'a [VrrpFile],
    pub(super) sessions: &'a [String],
    pub(super) tls: &'a Tls,
    pub(super) log_all_failures: bool,
}

/// The checks of a real server that a keyword asks for: mostly one, and none when it is none. The old
/// `host` blocks of SMTP_CHECK are one each.
pub(super) fn checks(node: &Node, around: &Around<'_>, troubles: &mut Troubles) -> Vec<Check> {
    let Some(check) = check(node, around, troubles) else {
        return Vec::new();
    };
    let hosts: Vec<&Node> = node
        .nodes
        .iter()
        .filter(|inner| inner.name() == "host")
        .collect();
    let says_whom = check.target.is_some() || check.source != Source::default();
    let mut checks = Vec::new();
    if hosts.is_empty() || says_whom || node.last("connect_timeout").is_some() {
        checks.push(check.clone());
    }
    for host in hosts {
        let (target, source) = connection(host, around.server, troubles);
        let mut check = Check {
            target,
            source,
            ..check.clone()
        };
        if let Some(timeout) = host.last("connect_timeout") {
            let range = Duration::from_micros(1)..=LONG;
            let timeout = troubles.seconds(timeout, 6, range);
            check.pace.timeout = timeout.unwrap_or(check.pace.timeout);
        }
        checks.push(check);
    }
    checks
}

fn check(node: &Node, around: &Around<'_>, troubles: &mut Troubles) -> Option<Check> {
    let mut own = Inherited::default();
    let mut log_all_failures = around.log_all_failures;
    for inner in &node.nodes {
        own.take(inner, 0, troubles);
        if inner.name() == "log_all_failures" {
            log_all_failures = troubles.switch(inner).unwrap_or(log_all_failures);
        }
    }
    let inherited = own.or(around.inherited);
    let second = Some(Duration::from_secs(1));
    let (kind, mut pace) = match node.name() {
        "TCP_CHECK" => (
            CheckKind::Tcp(TcpCheck::default()),
            inherited.pace(1, second),
        ),
        "PING_CHECK" => (CheckKind::Ping(PingCheck {}), inherited.pace(1, second)),
        "HTTP_GET" | "SSL_GET" => {
            let tls = (node.name() == "SSL_GET").then_some(around.tls);
            let check = http::check(node, &inherited, tls, troubles)?;
            let pace = inherited.pace(1, Some(Duration::from_secs(3)));
            (CheckKind::Http(check), pace)
        }
        "SMTP_CHECK" => (
            CheckKind::Smtp(smtp(node, troubles)),
            inherited.pace(1, second),
        ),
        "DNS_CHECK" => (CheckKind::Dns(dns(node, troubles)), inherited.pace(3, None)),
        "UDP_CHECK" => (
            CheckKind::Udp(udp(node, troubles)),
            inherited.pace(1, second),
        ),
        "MISC_CHECK" => {
            let mut pace = inherited.pace(0, second);
            let (script, timeout) = misc(node, troubles)?;
            pace.timeout = timeout.unwrap_or(pace.interval);
            (CheckKind::Script(script), pace)
        }
        "FILE_CHECK" => {
            let check = file(node, around.files, troubles)?;
            (CheckKind::File(check), inherited.pace(0, second))
        }
        "BFD_CHECK" => {
            let name = session(node, around.sessions, troubles)?;
            (CheckKind::Bfd(name), inherited.pace(0, second))
        }
        _ => return None,
    };
    if matches!(node.name(), "FILE_CHECK" | "BFD_CHECK") {
        // They are told, and do not ask.
        pace.warm_up = Duration::ZERO;
    }
    let (target, source) = connection(node, around.server, troubles);
    Some(Check {
        kind,
        pace,
        target,
        source,
        way: Way::Server,
        log_all_failures,
    })
}

/// `connect_ip` and what stands with it.
fn connection(
    node: &Node,
    server: SocketAddr,
    troubles: &mut Troubles,
) -> (Option<SocketAddr>, Source) {
    let mut address: Option<IpAddr> = None;
    let mut port: Option<u16> = None;
    let mut source = Source::default();
    for inner in &node.nodes {
        match inner.name() {
            "connect_ip" => address = troubles.address(inner).or(address),
            "connect_port" => {
                let word = troubles.word(inner);
                port = word.and_then(|word| troubles.port_in(word)).or(port);
            }
            "bindto" => source.address = troubles.address(inner),
            "bind_port" => {
                let word = troubles.word(inner);
                source.port = word.and_then(|word| troubles.port_in(word)).unwrap_or(0);
            }
            "bind_if" => source.interface = troubles.interface(inner),
            "fwmark" => source.mark = troubles.number(inner, 0..=u32::MAX).unwrap_or(0),
            _ => {}
        }
    }
    let whom = address.unwrap_or(server.ip());
    if let Some(from) = source.address
        && from.is_ipv4() != whom.is_ipv4()
        && let Some(word) = node.last("bindto").and_then(|bind| bind.words().first())
    {
        troubles.wrong(
            word,
            "expected an address of the family that is connected to",
        );
    }
    if let IpAddr::V6(v6) = whom
        && v6.is_unicast_link_local()
        && source.interface.is_none()
    {
        let message = format!("{v6} is of one link only");
        troubles.error(
            node.place(),
            message,
            "expected `bind_if INTERFACE` in the check",
        );
    }
    let other = address.is_some() || port.is_some();
    let target = other.then(|| SocketAddr::new(whom, port.unwrap_or(server.port())));
    (target, source)
}

fn smtp(node: &Node, troubles: &mut Troubles) -> SmtpCheck {
    let greeting = node.last("helo_name").and_then(|node| troubles.word(node));
    SmtpCheck {
        greeting: greeting.map(|word| word.text.clone()),
        extended: false,
    }
}

fn dns(node: &Node, troubles: &mut Troubles) -> DnsCheck {
    let types = [
        ("A", DnsType::A),
        ("NS", DnsType::Ns),
        ("CNAME", DnsType::Cname),
        ("SOA", DnsType::Soa),
        ("MX", DnsType::Mx),
        ("TXT", DnsType::Txt),
        ("AAAA", DnsType::Aaaa),
    ];
    let record = node
        .last("type")
        .and_then(|node| troubles.one_of(node, &types));
    let name = node.last("name").and_then(|node| troubles.word(node));
    if let Some(name) = name
        && name.text != "."
        && (name.text.starts_with('.') || name.text.contains(".."))
    {
        troubles.wrong(name, "expected a name without empty labels");
    }
    DnsCheck {
        name: name.map_or_else(|| ".".to_owned(), |name| name.text.clone()),
        record: record.unwrap_or(DnsType::Soa),
        tcp: false,
    }
}

/// What is sent where nothing is said.
const PAYLOAD: &[u8] = b"keepalived check - keepalived che";

fn udp(node: &Node, troubles: &mut Troubles) -> UdpCheck {
    let mut check = UdpCheck {
        payload: PAYLOAD[..32].to_vec(),
        reply: None,
        least: 0,
        most: 255,
    };
    for inner in &node.nodes {
        match inner.name() {
            "payload" => {
                if let Some(bytes) = hexadecimal(inner, false, troubles) {
                    check.payload = bytes.into_iter().map(|(byte, _)| byte).collect();
                }
            }
            "require_reply" if inner.words().is_empty() => check.reply = Some(Vec::new()),
            "require_reply" => check.reply = hexadecimal(inner, true, troubles),
            "min_reply_length" | "max_reply_length" => {
                let number = troubles.number(inner, 0..=65535);
                let number = number.and_then(|number| u16::try_from(number).ok());
                match (inner.name(), number) {
                    (_, None) => {}
                    ("min_reply_length", Some(number)) => check.least = number,
                    (_, Some(number)) => check.most = number,
                }
            }
            _ => {}
        }
    }
    if check.least > check.most {
        let message = "no reply is long enough and short enough";
        troubles.warning(node.place(), message, "the check always fails");
    }
    if check.reply.as_ref().is_some_and(Vec::is_empty) {
        // keepalived looks at lengths only beside what a reply must be.
        (check.least, check.most) = (0, u16::MAX);
    }
    check
}

/// Bytes as keepalived reads them: digits in pairs, a single one before a blank is a byte too, and
/// `x` is any digit.
fn hexadecimal(node: &Node, wildcards: bool, troubles: &mut Troubles) -> Option<Vec<(u8, u8)>> {
    let mut bytes = Vec::new();
    if node.words().is_empty() {
        troubles.missing(node);
    }
    for word in node.words() {
        for part in word.text.split_whitespace() {
            let digit = |letter: &char| match letter.to_digit(16) {
                Some(digit) => Some((digit as u8, 0xf)),
                None if wildcards && letter.eq_ignore_ascii_case(&'x') => Some((0, 0)),
                None => None,
            };
            let digits: Option<Vec<(u8, u8)>> = part.chars().map(|letter| digit(&letter)).collect();
            let Some(digits) = digits else {
                troubles.wrong(word, "expected hexadecimal digits");
                return None;
            };
            bytes.extend(digits.chunks(2).map(|pair| match pair {
                [(high, mask), (low, low_mask)] => (high << 4 | low, mask << 4 | low_mask),
                [(low, mask), ..] => (*low, 0xf0 | mask),
                [] => (0, 0xff),
            }));
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn misc(node: &Node, troubles: &mut Troubles) -> Option<(ScriptCheck, Option<Duration>)> {
    let Some(path) = node.last("misc_path") else {
        let message = "the check has no script";
        troubles.error(node.place(), message, "expected `misc_path COMMAND`");
        return None;
    };
    let mut script = troubles.script(path)?;
    if let Some(user) = node.last("user") {
        script.user = troubles.user(user, 0);
    }
    let timeout = node.last("misc_timeout");
    let timeout = timeout.and_then(|node| troubles.number(node, 0..=4294));
    let check = ScriptCheck {
        script,
        dynamic: node.last("misc_dynamic").is_some(),
    };
    let timeout = timeout.filter(|seconds| *seconds > 0);
    Some((
        check,
        timeout.map(|seconds| Duration::from_secs(seconds.into())),
    ))
}

fn file(node: &Node, files: &[VrrpFile], troubles: &mut Troubles) -> Option<FileCheck> {
    let Some(track) = node.last("track_file") else {
        let message = "the check has no file";
        troubles.error(node.place(), message, "expected `track_file NAME`");
        return None;
    };
    let name = troubles.word(track)?;
    let Some(known) = files.iter().find(|file| file.name == name.text) else {
        let message = format!("there is no track_file `{}`", name.text);
        troubles.error(
            name.place,
            message,
            "expected the name of a track_file block",
        );
        return None;
    };
    let mut check = FileCheck {
        path: known.path.clone(),
        weight: known.factor,
        reverse: known.reverse,
    };
    if let Some(weight) = node.last("weight") {
        let (factor, reverse) = factor(weight, troubles)?;
        (check.weight, check.reverse) = (factor, reverse);
    }
    Some(check)
}

/// `weight NUMBER [reverse]` of a file.
pub(super) fn factor(node: &Node, troubles: &mut Troubles) -> Option<(i32, bool)> {
    let word = troubles.word(node)?;
    let number = troubles.signed_in(word, -i32::MAX..=i32::MAX)?;
    let reverse = match node.words().get(1) {
        None => false,
        Some(word) if word.text == "reverse" => true,
        Some(word) => {
            troubles.wrong(word, "expected `reverse` or nothing");
            false
        }
    };
    Some((number, reverse))
}

fn session(node: &Node, sessions: &[String], troubles: &mut Troubles) -> Option<String> {
    let Some(name) = node.last("name") else {
        let message = "the check has no BFD session";
        troubles.error(node.place(), message, "expected `name NAME`");
        return None;
    };
    let name = troubles.word(name)?;
    if !sessions.contains(&name.text) {
        let message = format!("there is no bfd_instance `{}`", name.text);
        troubles.error(
            name.place,
            message,
            "expected the name of a bfd_instance block",
        );
        return None;
    }
    Some(name.text.clone())
}

/// `SSL { ... }`
pub(super) fn tls(nodes: &[&Node], troubles: &mut Troubles) -> Tls {
    let mut tls = Tls::default();
    let (mut certificate, mut key): (Option<PathBuf>, Option<PathBuf>) = (None, None);
    for node in nodes.iter().flat_map(|block| &block.nodes) {
        if node.name() == "password" {
            continue;
        }
        let path = troubles.word(node).map(|word| PathBuf::from(&word.text));
        match node.name() {
            // keepalived loads it, and leaves OpenSSL's default: nobody is verified.
            "ca" if path.is_some() => {
                let message = "keepalived reads `ca`, but verifies nobody; nor does Weir here";
                let expected = "`verify` and `authorities` in weir.toml verify";
                troubles.note(node.place(), message, expected);
            }
            "certificate" => certificate = path,
            "key" => key = path,
            _ => {}
        }
    }
    tls.identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (Some(both), None) | (None, Some(both)) => Some((both.clone(), both)),
        (None, None) => None,
    };
    tls
}
