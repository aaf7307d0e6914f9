//! How real servers are watched.

use std::collections::HashMap;
use std::net::SocketAddr;

use super::check::{check, pace, place, tls};
use super::notifications::script;
use super::raw::{self, Entries};
use crate::file::duration::show;
use crate::model::health::{
    Figure, FigureForm, Passive, Quorum, ServerHealth, ServiceHealth, SlowStart, Sorry,
    WeightPolicy, WeightSource,
};
use crate::model::{Forwarding, RealServer};

/// What is said of one service.
#[derive(Default)]
pub(super) struct Written {
    pub(super) service: Entries,
    servers: HashMap<SocketAddr, Entries>,
}

impl Written {
    /// What a real server says by itself.
    pub(super) fn of_server(&self, address: SocketAddr) -> Entries {
        self.servers.get(&address).cloned().unwrap_or_default()
    }
}

pub(super) fn of_service(
    health: &ServiceHealth,
    servers: &[RealServer],
    forwarding: Forwarding,
) -> Written {
    let watched = health.servers.iter().map(|own| (own.address, own));
    let watched: HashMap<SocketAddr, &ServerHealth> = watched.collect();
    let own = |server: &RealServer| {
        let own = watched.get(&server.address);
        own.map(|own| server_entries(own)).unwrap_or_default()
    };
    let each: Vec<Entries> = servers.iter().map(own).collect();
    let mut service = Entries::new();
    // What all real servers say, the service says once.
    let alike = each
        .first()
        .filter(|first| each.iter().all(|one| one == *first));
    let mut by_server = HashMap::new();
    match alike {
        Some(common) => service.extend(common.clone()),
        None => by_server = servers.iter().map(|one| one.address).zip(each).collect(),
    }
    service.extend(quorum(health.quorum));
    service.extend(
        health
            .sorry
            .map(|sorry| ("sorry_server", self::sorry(sorry, forwarding))),
    );
    for (key, value) in [
        ("only_while_active", health.only_while_active),
        ("omega", health.omega),
    ] {
        if value {
            service.push((key, raw::value(true)));
        }
    }
    let mut notify = Entries::new();
    for (key, own) in [
        ("quorum_up", &health.quorum_up),
        ("quorum_down", &health.quorum_down),
    ] {
        notify.extend(own.as_ref().map(|own| (key, script(own))));
    }
    if health.mail {
        notify.push(("mail", raw::value(true)));
    }
    if !notify.is_empty() {
        service.push(("notify", raw::table(&notify)));
    }
    for server in servers {
        let own = watched.get(&server.address);
        let notify = own
            .map(|own| notify_of(own, health.mail))
            .unwrap_or_default();
        if !notify.is_empty() {
            let entries: &mut Entries = by_server.entry(server.address).or_default();
            entries.push(("notify", raw::table(&notify)));
        }
    }
    if service.is_empty() && by_server.values().all(Vec::is_empty) {
        // Something must say that it is watched at all.
        service.push(("quorum", raw::value(1)));
    }
    Written {
        service,
        servers: by_server,
    }
}

/// What is said of a service, and of each of its real servers, apart.
pub(super) fn apart(health: &ServiceHealth) -> Vec<(Option<SocketAddr>, Entries)> {
    let service = of_service(health, &[], Forwarding::Nat).service;
    let servers = health.servers.iter().map(|own| {
        let mut entries = server_entries(own);
        let notify = notify_of(own, health.mail);
        if !notify.is_empty() {
            entries.push(("notify", raw::table(&notify)));
        }
        (Some(own.address), entries)
    });
    std::iter::once((None, service)).chain(servers).collect()
}

fn quorum(quorum: Quorum) -> Option<(&'static str, String)> {
    let value = match quorum {
        Quorum {
            weight: 1,
            hysteresis: 0,
        } => return None,
        Quorum {
            weight,
            hysteresis: 0,
        } => raw::value(weight),
        Quorum { weight, hysteresis } => raw::table(&vec![
            ("weight", raw::value(weight)),
            ("hysteresis", raw::value(hysteresis)),
        ]),
    };
    Some(("quorum", value))
}

fn sorry(sorry: Sorry, forwarding: Forwarding) -> String {
    let mut entries = super::server(&sorry.server, forwarding);
    if sorry.inhibit {
        entries.push(("inhibit", raw::value(true)));
    }
    raw::table(&entries)
}

/// All but who is told: that is said by each.
fn server_entries(own: &ServerHealth) -> Entries {
    let mut entries = Entries::new();
    let checks = own.checks.iter().map(|one| check(one, own.address));
    match checks.collect::<Vec<_>>().as_slice() {
        [] => {}
        [one] => entries.push(("check", one.clone())),
        several => entries.push(("checks", raw::list(several))),
    }
    if own.inhibit {
        entries.push(("inhibit_on_failure", raw::value(true)));
    }
    if let Some(policy) = &own.weight {
        entries.extend(weight(policy, own.address));
    }
    entries
}

fn notify_of(own: &ServerHealth, mail: bool) -> Entries {
    let mut entries = Entries::new();
    for (key, own) in [("up", &own.up), ("down", &own.down)] {
        entries.extend(own.as_ref().map(|own| (key, script(own))));
    }
    if own.mail != mail {
        entries.push(("mail", raw::value(own.mail)));
    }
    entries
}

fn weight(policy: &WeightPolicy, server: SocketAddr) -> Entries {
    let mut entries = Entries::new();
    let mut own = Entries::new();
    match &policy.source {
        None => {}
        Some(WeightSource::Checks) => own.push(("checks", raw::value(true))),
        Some(WeightSource::ConnectTime { target }) => {
            own.push(("connect_time", raw::value(show(*target))));
        }
        Some(WeightSource::Figure(one)) => own.push(("figure", figure(one, server))),
    }
    let default = WeightPolicy::following(policy.source.clone());
    for (key, value, default) in [
        ("least", policy.least, default.least),
        ("most", policy.most, default.most),
        (
            "smoothing",
            policy.smoothing.into(),
            default.smoothing.into(),
        ),
        (
            "tolerance",
            policy.tolerance.into(),
            default.tolerance.into(),
        ),
    ] {
        if value != default {
            own.push((key, raw::value(value)));
        }
    }
    if !own.is_empty() || policy.slow_start.is_none() && policy.passive.is_none() {
        entries.push(("weights", raw::table(&own)));
    }
    let slow_start = policy.slow_start.map(slow_start);
    entries.extend(slow_start.map(|value| ("slow_start", value)));
    entries.extend(policy.passive.map(|own| ("passive", passive(own))));
    entries
}

fn figure(figure: &Figure, server: SocketAddr) -> String {
    let mut entries = vec![("path", raw::value(figure.path.as_str()))];
    match &figure.form {
        FigureForm::Json(pointer) => entries.push(("json", raw::value(pointer.as_str()))),
        FigureForm::Prometheus { metric, labels } => {
            entries.push(("metric", raw::value(metric.as_str())));
            if !labels.is_empty() {
                let labels = labels.iter();
                let labels = labels.map(|(name, value)| raw::value(format!("{name}={value}")));
                entries.push(("labels", raw::list(&labels.collect::<Vec<_>>())));
            }
        }
    }
    if let Some(at) = figure.at {
        let (whole, part) = (at / 1000, at % 1000);
        entries.push((
            "at",
            match part {
                0 => whole.to_string(),
                _ => format!("{whole}.{part:03}"),
            },
        ));
    }
    let host = figure.host.as_deref();
    entries.extend(host.map(|host| ("host", raw::value(host))));
    entries.extend(figure.tls.as_ref().map(|own| ("tls", tls(own))));
    let own = pace(&figure.pace).into_iter();
    // Of a pace a figure has only when.
    entries.extend(own.filter(|(key, _)| ["interval", "timeout", "warm_up"].contains(key)));
    entries.extend(place(figure.target, server));
    raw::table(&entries)
}

fn slow_start(own: SlowStart) -> String {
    let duration = raw::value(show(own.duration));
    match own.from == SlowStart::DEFAULT.from {
        true => duration,
        false => raw::table(&vec![
            ("duration", duration),
            ("from", raw::value(u32::from(own.from))),
        ]),
    }
}

fn passive(own: Passive) -> String {
    if own == Passive::DEFAULT {
        return raw::value(true);
    }
    raw::table(&vec![
        ("share", raw::value(u32::from(own.share))),
        ("least", raw::value(own.least)),
        ("window", raw::value(show(own.window))),
        ("pause", raw::value(show(own.pause))),
    ])
}
