//! Checks.

use std::net::{IpAddr, SocketAddr};

use super::notifications::script;
use super::raw::{self, Entries};
use crate::file::duration::show;
use crate::model::health::{
    Check, CheckKind, DnsType, HttpBody, HttpCheck, HttpRequest, HttpTurns, HttpVersion, Pace,
    Source, StatusRange, Tls, UdpCheck, Way,
};

/// A check of the real server at this address.
pub(super) fn check(check: &Check, server: SocketAddr) -> String {
    let mut entries = kind(&check.kind);
    entries.extend(pace(&check.pace));
    entries.extend(place(check.target, server));
    if check.source != Source::default() {
        entries.push(("source", source(&check.source)));
    }
    if check.way == Way::Traffic {
        entries.push(("way", raw::value("traffic")));
    }
    entries.extend(truth("log_all_failures", check.log_all_failures));
    raw::table(&entries)
}

fn truth(key: &'static str, value: bool) -> Option<(&'static str, String)> {
    value.then(|| (key, raw::value(true)))
}

fn kind(kind: &CheckKind) -> Entries {
    let mut entries = Entries::new();
    match kind {
        CheckKind::Tcp(own) => {
            entries.push(("tcp", raw::value(true)));
            entries.extend(truth("proxy", own.proxy));
            entries.extend(own.tls.as_ref().map(|own| ("tls", tls(own))));
        }
        CheckKind::Http(own) => entries = http(own),
        CheckKind::Smtp(own) => {
            entries.push(("smtp", text_or_true(own.greeting.as_deref())));
            entries.extend(truth("extended", own.extended));
        }
        CheckKind::Dns(own) => {
            entries.push(("dns", raw::value(own.name.as_str())));
            if own.record != DnsType::Soa {
                entries.push(("record", raw::value(own.record.name())));
            }
            entries.extend(truth("over_tcp", own.tcp));
        }
        CheckKind::Udp(own) => entries = udp(own),
        CheckKind::Ping(_) => entries.push(("ping", raw::value(true))),
        CheckKind::Script(own) => {
            entries.push(("script", script(&own.script)));
            entries.extend(truth("dynamic", own.dynamic));
        }
        CheckKind::File(own) => {
            entries.push(("file", raw::path(&own.path)));
            if own.weight != 0 {
                entries.push(("factor", raw::value(own.weight)));
            }
            entries.extend(truth("reverse", own.reverse));
        }
        CheckKind::Bfd(name) => entries.push(("bfd", raw::value(name.as_str()))),
        CheckKind::Grpc(own) => {
            let service = Some(own.service.as_str()).filter(|name| !name.is_empty());
            entries.push(("grpc", text_or_true(service)));
            entries.extend(own.tls.as_ref().map(|own| ("tls", tls(own))));
        }
        CheckKind::Agent(own) => {
            let send = Some(own.send.as_str()).filter(|text| !text.is_empty());
            entries.push(("agent", text_or_true(send)));
        }
    }
    entries
}

fn text_or_true(text: Option<&str>) -> String {
    text.map_or_else(|| raw::value(true), raw::value)
}

/// What is not as it would be if only the interval were said.
pub(super) fn pace(pace: &Pace) -> Entries {
    let default = Pace::of_interval(pace.interval);
    let mut entries = Entries::new();
    for (key, own, default) in [
        ("interval", pace.interval, Pace::WEIR.interval),
        ("timeout", pace.timeout, default.timeout),
        ("warm_up", pace.warm_up, default.warm_up),
        ("retry_delay", pace.retry_delay, default.retry_delay),
    ] {
        if own != default {
            entries.push((key, raw::value(show(own))));
        }
    }
    for (key, own, default) in [
        ("rise", pace.rise, default.rise),
        ("fall", pace.fall, default.fall),
    ] {
        if own != default {
            entries.push((key, raw::value(own.get())));
        }
    }
    for (key, own, default) in [
        ("alpha", pace.alpha, default.alpha),
        (
            "first_failure_counts",
            pace.first_counts,
            default.first_counts,
        ),
    ] {
        if own != default {
            entries.push((key, raw::value(own)));
        }
    }
    entries
}

pub(super) fn place(target: Option<SocketAddr>, server: SocketAddr) -> Entries {
    let mut entries = Entries::new();
    if let Some(target) = target {
        if target.ip() != server.ip() {
            entries.push(("address", raw::value(target.ip().to_string())));
        }
        // Said even when it is the real server's own: it may become another.
        if target.port() != 0 {
            entries.push(("port", raw::value(u32::from(target.port()))));
        }
    }
    entries
}

fn source(source: &Source) -> String {
    let mut entries = Entries::new();
    let address = source.address.as_ref().map(IpAddr::to_string);
    entries.extend(address.map(|address| ("address", raw::value(address))));
    if source.port != 0 {
        entries.push(("port", raw::value(u32::from(source.port))));
    }
    let interface = source.interface.as_ref();
    entries.extend(interface.map(|name| ("interface", raw::value(name.as_str()))));
    if source.mark != 0 {
        entries.push(("mark", raw::value(source.mark)));
    }
    raw::table(&entries)
}

pub(super) fn tls(tls: &Tls) -> String {
    let mut entries = Entries::new();
    let name = tls.server_name.as_deref();
    entries.extend(name.map(|name| ("server_name", raw::value(name))));
    if tls.verify != tls.authorities.is_some() {
        entries.push(("verify", raw::value(tls.verify)));
    }
    let authorities = tls.authorities.as_deref();
    entries.extend(authorities.map(|path| ("authorities", raw::path(path))));
    if let Some((certificate, key)) = &tls.identity {
        entries.push(("certificate", raw::path(certificate)));
        entries.push(("key", raw::path(key)));
    }
    match entries.is_empty() {
        true => raw::value(true),
        false => raw::table(&entries),
    }
}

fn http(check: &HttpCheck) -> Entries {
    let name = match check.tls {
        None => "http",
        Some(_) => "https",
    };
    let mut entries = match check.requests.as_slice() {
        [one] => {
            let mut entries = vec![(name, raw::value(one.path.as_str()))];
            entries.extend(request(one));
            entries
        }
        several => {
            let requests = several.iter().map(|one| {
                let mut entries = vec![("path", raw::value(one.path.as_str()))];
                entries.extend(request(one));
                raw::table(&entries)
            });
            vec![(name, raw::list(&requests.collect::<Vec<_>>()))]
        }
    };
    if check.version != HttpVersion::Http11 {
        entries.push(("version", raw::value(check.version.name())));
    }
    let special = check.tls.as_ref().filter(|own| **own != Tls::default());
    entries.extend(special.map(|own| ("tls", tls(own))));
    entries.extend(truth("proxy", check.proxy));
    if let HttpTurns::One { fast_recovery } = check.turns {
        entries.extend(truth("in_turn", true));
        entries.extend(truth("fast_recovery", fast_recovery));
    }
    entries
}

fn request(request: &HttpRequest) -> Entries {
    let mut entries = Entries::new();
    if request.method != "GET" {
        entries.push(("method", raw::value(request.method.as_str())));
    }
    let host = request.host.as_deref();
    entries.extend(host.map(|host| ("host", raw::value(host))));
    if !request.headers.is_empty() {
        let headers = request.headers.iter();
        let headers = headers.map(|(name, value)| raw::value(format!("{name}: {value}")));
        entries.push(("headers", raw::list(&headers.collect::<Vec<_>>())));
    }
    if !request.status.is_empty() {
        let ranges = request.status.iter().copied().map(range);
        entries.push(("status", one_or_list(ranges.collect())));
    }
    if !request.body.is_empty() {
        let bodies = request.body.iter().map(body);
        entries.push(("body", one_or_list(bodies.collect())));
    }
    entries
}

fn one_or_list(values: Vec<String>) -> String {
    match values.as_slice() {
        [one] => one.clone(),
        several => raw::list(several),
    }
}

fn range(range: StatusRange) -> String {
    match range.first == range.last {
        true => raw::value(u32::from(range.first)),
        false => raw::value(format!("{}-{}", range.first, range.last)),
    }
}

fn body(body: &HttpBody) -> String {
    let mut entries = Entries::new();
    match body {
        HttpBody::Md5(digest) => entries.push(("md5", raw::value(digest.as_str()))),
        HttpBody::Sha256(digest) => entries.push(("sha256", raw::value(digest.as_str()))),
        HttpBody::Matches {
            pattern,
            not,
            from,
            before,
            options,
        } => {
            entries.push(("matches", raw::value(pattern.as_str())));
            entries.extend(truth("not", *not));
            if *from != 0 {
                entries.push(("from", raw::value(offset(*from))));
            }
            entries.extend(before.map(|before| ("before", raw::value(offset(before)))));
            if !options.is_empty() {
                entries.push(("options", raw::value(options.as_str())));
            }
            if entries.len() == 1 {
                return raw::value(pattern.as_str());
            }
        }
    }
    raw::table(&entries)
}

fn offset(offset: usize) -> i64 {
    i64::try_from(offset).unwrap_or(i64::MAX)
}

fn udp(check: &UdpCheck) -> Entries {
    let mut entries = vec![("udp", raw::value(true))];
    match std::str::from_utf8(&check.payload) {
        Ok("") => {}
        Ok(text) if !text.chars().any(char::is_control) => {
            entries.push(("payload", raw::value(text)));
        }
        Ok(_) | Err(_) => {
            let bytes = check.payload.iter();
            let bytes: Vec<String> = bytes.map(|byte| format!("{byte:02x}")).collect();
            entries.push(("payload_hex", raw::value(bytes.join(" "))));
        }
    }
    if let Some(reply) = &check.reply {
        let pairs: Vec<String> = reply.iter().copied().map(pair).collect();
        entries.push((
            "reply",
            match pairs.is_empty() {
                true => raw::value(true),
                false => raw::value(pairs.join(" ")),
            },
        ));
    }
    if check.least != 0 {
        entries.push(("least_length", raw::value(u32::from(check.least))));
    }
    if check.most != u16::MAX {
        entries.push(("greatest_length", raw::value(u32::from(check.most))));
    }
    entries
}

/// A byte in hexadecimal, with `x` for what does not count.
fn pair((byte, mask): (u8, u8)) -> String {
    let digit = |byte: u8, mask: u8| match mask & 0xf {
        0 => "x".to_owned(),
        _ => format!("{:x}", byte & 0xf),
    };
    digit(byte >> 4, mask >> 4) + &digit(byte, mask)
}
