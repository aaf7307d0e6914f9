//! Real servers.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use weir_config::model::health::{Says, ServerHealth, WeightPolicy, WeightSource};
use weir_config::model::{
    Forwarding, GueChecksum, RealServer, Script, ServiceKey, Thresholds, Tunnel, Weight, is_host,
};

use super::check::{self, Inherited};
use super::service::{Around, once, port};
use super::values::Troubles;
use crate::grammar::Node;
use crate::language::place::Place;

/// keepalived takes no greater weight.
pub(super) const MOST_WEIGHT: u32 = Weight::MAX;

/// A real server, whatever its service.
pub(super) struct Server {
    pub(super) address: IpAddr,
    /// 0 is the service's.
    pub(super) port: u16,
    pub(super) forwarding: Forwarding,
    pub(super) weight: Weight,
    pub(super) place: Place,
    thresholds: Thresholds,
    health: ServerHealth,
}

/// What the virtual server says for it.
pub(super) struct Outer<'a> {
    pub(super) inherited: Inherited,
    pub(super) inhibit: bool,
    pub(super) weight: u32,
    pub(super) forwarding: Forwarding,
    pub(super) around: &'a Around<'a>,
}

/// What a real server says beside its checks.
#[derive(Default)]
struct Said {
    inherited: Inherited,
    inhibit: Option<bool>,
    weight: Option<u32>,
    forwarding: Option<Forwarding>,
    upper: u32,
    lower: u32,
    up: Option<Script>,
    down: Option<Script>,
    mail: Option<bool>,
}

pub(super) fn server(node: &Node, outer: &Outer<'_>, troubles: &mut Troubles) -> Option<Server> {
    let word = troubles.word(node)?;
    let address = troubles.address_in(word);
    let port = port(node.words().get(1), troubles);
    let mut said = Said::default();
    for inner in &node.nodes {
        said.take(inner, troubles);
    }
    let (address, port) = (address?, port?);
    if !is_host(address) {
        let message = format!("{address} cannot be a real server");
        troubles.error(
            word.place,
            message,
            "expected the address of one host, not link-local",
        );
        return None;
    }
    let globals = outer.around.globals;
    let inherited = said.inherited.or(&outer.inherited);
    let around = check::Around {
        server: SocketAddr::new(address, port),
        inherited: &inherited,
        files: outer.around.files,
        sessions: outer.around.sessions,
        tls: outer.around.tls,
        log_all_failures: globals.log_all_failures,
    };
    let checks = node.nodes.iter();
    let checks: Vec<_> = checks
        .flat_map(|inner| check::checks(inner, &around, troubles))
        .collect();
    let thresholds = Thresholds::new(said.upper, said.lower).unwrap_or_else(|| {
        let message = "the lower threshold is above the upper one";
        troubles.error(
            node.place(),
            message,
            "expected `lthreshold` below `uthreshold`",
        );
        Thresholds::NONE
    });
    let weight = said.weight.unwrap_or(outer.weight);
    let dynamic = checks.iter().any(|check| check.kind.says() == Says::Weight);
    Some(Server {
        address,
        port,
        forwarding: said.forwarding.unwrap_or(outer.forwarding),
        weight: Weight::new(weight).unwrap_or_default(),
        place: word.place,
        thresholds,
        health: ServerHealth {
            checks,
            inhibit: said.inhibit.unwrap_or(outer.inhibit),
            weight: dynamic.then_some(WeightPolicy {
                source: Some(WeightSource::Checks),
                least: 0,
                most: MOST_WEIGHT,
                smoothing: 100,
                tolerance: 0,
                slow_start: None,
                passive: None,
            }),
            up: said.up,
            down: said.down,
            mail: said
                .mail
                .or(globals.mail_checker)
                .or(globals.mail)
                .unwrap_or(true),
            ..ServerHealth::new(SocketAddr::new(address, port))
        },
    })
}

impl Said {
    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        self.inherited.take(node, 1, troubles);
        match node.name() {
            "weight" => self.weight = troubles.number(node, 0..=MOST_WEIGHT).or(self.weight),
            "lvs_method" => self.forwarding = forwarding(node, troubles).or(self.forwarding),
            "uthreshold" => self.upper = troubles.number(node, 0..=u32::MAX).unwrap_or(0),
            "lthreshold" => self.lower = troubles.number(node, 0..=u32::MAX).unwrap_or(0),
            "inhibit_on_failure" => self.inhibit = troubles.switch(node).or(self.inhibit),
            "notify_up" => self.up = once(self.up.take(), node, troubles),
            "notify_down" => self.down = once(self.down.take(), node, troubles),
            "smtp_alert" => self.mail = troubles.switch(node).or(self.mail),
            _ => {}
        }
    }
}

impl Server {
    /// As it is in a service.
    pub(super) fn of_service(
        &self,
        key: ServiceKey,
        troubles: &mut Troubles,
    ) -> (RealServer, ServerHealth) {
        let (method, place) = (self.forwarding, self.place);
        let address = address_for(key, self.address, self.port, method, place, troubles);
        let server = RealServer {
            weight: self.weight,
            thresholds: self.thresholds,
            ..RealServer::new(address, self.forwarding)
        };
        (server, self.health.clone())
    }
}

/// A real server's address in a service: without a port of its own it has the service's, and DR and
/// TUN can have no other.
pub(super) fn address_for(
    key: ServiceKey,
    address: IpAddr,
    port: u16,
    forwarding: Forwarding,
    place: Place,
    troubles: &mut Troubles,
) -> SocketAddr {
    let of_service = match key {
        ServiceKey::Address { address, .. } => address.port(),
        ServiceKey::FirewallMark { .. } => 0,
    };
    let port = match port {
        0 => of_service,
        port if port != of_service && forwarding.keeps_ports() => {
            let message = format!(
                "{} leaves the port as it is",
                forwarding.name().to_uppercase()
            );
            troubles.warning(place, message, "the service's port is taken");
            of_service
        }
        port => port,
    };
    SocketAddr::new(address, port)
}

/// `lvs_method` and its old and further names.
pub(super) fn forwarding(node: &Node, troubles: &mut Troubles) -> Option<Forwarding> {
    let method = troubles.word(node)?;
    let rest = &node.words()[1..];
    match method.text.as_str() {
        "NAT" | "DR" => {
            if let Some(word) = rest.first() {
                troubles.wrong(word, "expected nothing behind the method");
            }
            let nat = method.text == "NAT";
            return Some(if nat {
                Forwarding::Nat
            } else {
                Forwarding::Direct
            });
        }
        "TUN" => {}
        _ => {
            troubles.wrong(method, "expected NAT, DR or TUN");
            return None;
        }
    }
    let mut kind = "ipip";
    let mut port = None;
    let mut checksum = GueChecksum::None;
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            "type" => match words.next() {
                Some(name) if ["ipip", "gue", "gre"].contains(&name.text.as_str()) => {
                    kind = name.text.as_str();
                }
                other => {
                    troubles.wrong(other.unwrap_or(word), "expected type ipip, gue or gre");
                    return None;
                }
            },
            "port" => {
                let Some(number) = words.next() else {
                    troubles.wrong(word, "expected a port behind it");
                    return None;
                };
                port = Some(NonZeroU16::new(troubles.port_in(number)?)?);
            }
            "nocsum" => checksum = GueChecksum::None,
            "csum" => checksum = GueChecksum::Full,
            "remcsum" => checksum = GueChecksum::Remote,
            _ => {
                troubles.wrong(word, "expected type, port, nocsum, csum or remcsum");
                return None;
            }
        }
    }
    let tunnel = match (kind, port, checksum) {
        ("ipip", None, GueChecksum::None) => Tunnel::Ipip,
        ("gue", Some(port), checksum) => Tunnel::Gue { port, checksum },
        ("gre", None, GueChecksum::None) => Tunnel::Gre { checksum: false },
        ("gre", None, GueChecksum::Full) => Tunnel::Gre { checksum: true },
        ("gue", None, _) => {
            troubles.error(
                method.place,
                "a GUE tunnel has no port",
                "expected `port PORT`",
            );
            return None;
        }
        (kind, ..) => {
            let message = format!("{kind} has no port, or no such checksum");
            troubles.error(
                method.place,
                message,
                "expected only what this kind of tunnel has",
            );
            return None;
        }
    };
    Some(Forwarding::Tunnel(tunnel))
}
