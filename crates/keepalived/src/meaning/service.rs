//! Virtual servers with their real servers.

use std::net::{IpAddr, SocketAddr};

use weir_config::model::health::{Quorum, ServerHealth, ServiceHealth, Sorry, Tls};
use weir_config::model::vrrp::VrrpFile;
use weir_config::model::{
    Engine, Family, Forwarding, Netmask, Persistence, Protocol, RealServer, Scheduler,
    SchedulerFlags, Service, ServiceKey,
};

use super::check::Inherited;
use super::global::Globals;
use super::group::{Group, What};
use super::server::{self, Server};
use super::values::Troubles;
use crate::grammar::Node;
use crate::language::Word;
use crate::language::place::{Place, Trouble};

/// What services need to know beside what they say.
pub(super) struct Around<'a> {
    pub(super) globals: &'a Globals,
    pub(super) groups: &'a [Group],
    pub(super) files: &'a [VrrpFile],
    pub(super) sessions: &'a [String],
    pub(super) tls: &'a Tls,
}

/// A service, its real servers, and how they are watched.
pub(super) type Made = (Service, Vec<RealServer>, ServiceHealth);

/// The services that a `virtual_server` is: one, or as many as its group has members.
pub(super) fn services(
    node: &Node,
    around: &Around<'_>,
    troubles: &mut Troubles,
) -> Vec<(Made, Place)> {
    let Some(members) = members(node, around.groups, troubles) else {
        return Vec::new();
    };
    let spec = Spec::read(node, around, troubles);
    if spec.servers.is_empty() {
        let message = "the virtual server has no real servers";
        troubles.error(
            node.place(),
            message,
            "expected `real_server ADDRESS PORT { ... }` in it",
        );
        return Vec::new();
    }
    spec.check_protocol(node, &members, troubles);
    let mut made = Vec::new();
    for (what, place) in members {
        made.extend(spec.service(what, node, troubles).map(|made| (made, place)));
    }
    made
}

fn members(node: &Node, groups: &[Group], troubles: &mut Troubles) -> Option<Vec<(What, Place)>> {
    let first = troubles.word(node)?;
    let second = node.words().get(1);
    let need = |troubles: &mut Troubles| {
        if second.is_none() {
            let expected = format!("expected `virtual_server {}`", node.keyword.usage);
            troubles.wrong(first, expected);
        }
        second
    };
    let what = match first.text.as_str() {
        "group" => {
            let name = need(troubles)?;
            let Some(group) = groups.iter().find(|group| group.name == name.text) else {
                let message = format!("there is no virtual_server_group `{}`", name.text);
                troubles.error(name.place, message, "expected the name of one");
                return None;
            };
            let members = group.members.iter();
            return Some(members.map(|member| (member.what, member.place)).collect());
        }
        "fwmark" => {
            let number = need(troubles)?;
            What::Mark(troubles.number_in(number, 1..=u32::MAX)?, None)
        }
        _ => {
            let address = troubles.address_in(first)?;
            What::Address(address, port(second, troubles)?)
        }
    };
    Some(vec![(what, first.place)])
}

/// A port; 0 where there is none, or zeroes.
pub(super) fn port(word: Option<&Word>, troubles: &mut Troubles) -> Option<u16> {
    match word {
        None => Some(0),
        Some(word) if word.text.bytes().all(|byte| byte == b'0') => Some(0),
        Some(word) => troubles.port_in(word),
    }
}

/// What a `virtual_server` says, whatever its address.
struct Spec {
    family: Option<Family>,
    scheduler: Option<Scheduler>,
    flags: Vec<(String, Place)>,
    forwarding: Option<Forwarding>,
    protocol: Option<(Protocol, Place)>,
    engine: Option<Engine>,
    persistence: Option<u32>,
    granularity: Option<Word>,
    one_packet: Option<Place>,
    quorum: Quorum,
    health: ServiceHealth,
    sorry: Option<(IpAddr, u16, Forwarding, bool)>,
    servers: Vec<Server>,
}

impl Spec {
    fn read(node: &Node, around: &Around<'_>, troubles: &mut Troubles) -> Self {
        let placeholder = ServiceKey::FirewallMark {
            family: Family::V4,
            mark: 1,
        };
        let globals = around.globals;
        let mut spec = Self {
            family: None,
            scheduler: None,
            flags: Vec::new(),
            forwarding: None,
            protocol: None,
            engine: None,
            persistence: None,
            granularity: None,
            one_packet: None,
            quorum: Quorum::default(),
            health: ServiceHealth {
                mail: globals.mail_checker.or(globals.mail).unwrap_or(false),
                ..ServiceHealth::new(placeholder)
            },
            sorry: None,
            servers: Vec::new(),
        };
        let mut inherited = Inherited::default();
        let mut inhibit = false;
        let mut weight = 1;
        for inner in &node.nodes {
            inherited.take(inner, 1, troubles);
            spec.take(inner, troubles);
            match inner.name() {
                "inhibit_on_failure" => inhibit = true,
                "alpha" => inherited.alpha = Some(true),
                "weight" => weight = troubles.number(inner, 1..=server::MOST_WEIGHT).unwrap_or(1),
                _ => {}
            }
        }
        spec.defaults(node, troubles);
        spec.sorry(node, troubles);
        let outer = server::Outer {
            inherited,
            inhibit,
            weight,
            forwarding: spec.forwarding.unwrap_or(Forwarding::Nat),
            around,
        };
        for inner in node
            .nodes
            .iter()
            .filter(|inner| inner.name() == "real_server")
        {
            if let Some(server) = server::server(inner, &outer, troubles) {
                spec.add(server, inner, troubles);
            }
        }
        spec.check_quorum(node, troubles);
        spec
    }

    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        match node.name() {
            "ip_family" => {
                let known = [("inet", Family::V4), ("inet6", Family::V6)];
                self.family = troubles.one_of(node, &known);
            }
            "lvs_sched" | "lb_algo" => {
                let Some(word) = troubles.word(node) else {
                    return;
                };
                self.scheduler = Scheduler::from_name(&word.text);
                if self.scheduler.is_none() {
                    let names = Scheduler::ALL.map(Scheduler::name).join(", ");
                    troubles.wrong(word, format!("expected a scheduler: {names}"));
                }
            }
            "lvs_method" | "lb_kind" => {
                let method = server::forwarding(node, troubles);
                self.forwarding = method.or(self.forwarding);
            }
            "protocol" => {
                let Some(word) = troubles.word(node) else {
                    return;
                };
                match Protocol::from_name(&word.text.to_ascii_lowercase()) {
                    Some(protocol) => self.protocol = Some((protocol, node.place())),
                    None => troubles.wrong(word, "expected TCP, UDP or SCTP"),
                }
            }
            "persistence_engine" => {
                let Some(word) = troubles.word(node) else {
                    return;
                };
                self.engine = Engine::from_name(&word.text);
                if self.engine.is_none() {
                    troubles.wrong(word, "expected sip");
                }
            }
            "persistence_timeout" => {
                self.persistence = match node.words().first() {
                    None => Some(Persistence::DEFAULT_TIMEOUT),
                    Some(word) => troubles.number_in(word, 1..=Persistence::MAX_TIMEOUT),
                };
            }
            "persistence_granularity" => self.granularity = troubles.word(node).cloned(),
            "ops" => self.one_packet = Some(node.place()),
            "flag-1" | "flag-2" | "flag-3" | "sh-port" | "sh-fallback" | "mh-port"
            | "mh-fallback" => self.flags.push((node.name().to_owned(), node.place())),
            _ => self.take_health(node, troubles),
        }
    }

    fn take_health(&mut self, node: &Node, troubles: &mut Troubles) {
        let health = &mut self.health;
        match node.name() {
            "ha_suspend" => health.only_while_active = true,
            "omega" => health.omega = true,
            "quorum" => {
                self.quorum.weight = troubles.number(node, 1..=u32::MAX).unwrap_or(1);
            }
            "hysteresis" => {
                self.quorum.hysteresis = troubles.number(node, 0..=u32::MAX).unwrap_or(0);
            }
            "quorum_up" => health.quorum_up = once(health.quorum_up.take(), node, troubles),
            "quorum_down" => health.quorum_down = once(health.quorum_down.take(), node, troubles),
            "smtp_alert" => health.mail = troubles.switch(node).unwrap_or(health.mail),
            _ => {}
        }
    }

    /// What keepalived takes, with a word about it, where nothing is said.
    fn defaults(&mut self, node: &Node, troubles: &mut Troubles) {
        if self.scheduler.is_none() && node.last("lvs_sched").or(node.last("lb_algo")).is_none() {
            let message = "the virtual server has no scheduler";
            troubles.warning(node.place(), message, "wlc is taken, as keepalived does");
        }
        let method = node.last("lvs_method").or(node.last("lb_kind"));
        let inner = |server: &Node| server.last("lvs_method").is_some();
        let mut servers = node
            .nodes
            .iter()
            .filter(|inner| inner.name() == "real_server");
        if method.is_none() && !servers.all(inner) {
            let message = "the virtual server has no forwarding method";
            troubles.warning(node.place(), message, "NAT is taken, as keepalived does");
        }
        if self.granularity.is_some() && self.persistence.is_none() {
            self.persistence = Some(Persistence::DEFAULT_TIMEOUT);
        }
    }

    fn sorry(&mut self, node: &Node, troubles: &mut Troubles) {
        let Some(sorry) = node.last("sorry_server") else {
            for name in ["sorry_server_inhibit", "sorry_server_lvs_method"] {
                if let Some(inner) = node.last(name) {
                    let message = format!("`{name}` without a sorry server");
                    troubles.error(
                        inner.place(),
                        message,
                        "expected `sorry_server ADDRESS [PORT]`",
                    );
                }
            }
            return;
        };
        let Some(word) = troubles.word(sorry) else {
            return;
        };
        let address = troubles.address_in(word);
        let port = port(sorry.words().get(1), troubles);
        let method = node.last("sorry_server_lvs_method");
        let method = method.and_then(|node| server::forwarding(node, troubles));
        let method = method.or(self.forwarding).unwrap_or(Forwarding::Nat);
        let inhibit = node.last("sorry_server_inhibit").is_some();
        if let (Some(address), Some(port)) = (address, port) {
            self.sorry = Some((address, port, method, inhibit));
        }
    }

    fn add(&mut self, server: Server, node: &Node, troubles: &mut Troubles) {
        let same = |other: &&Server| (other.address, other.port) == (server.address, server.port);
        if let Some(first) = self.servers.iter().find(same) {
            let message = "the real server is there twice";
            let trouble = Trouble::warning(node.place(), message, "only the first one counts");
            troubles.push(trouble.beside(first.place, "first here"));
        } else {
            self.servers.push(server);
        }
    }

    fn check_quorum(&mut self, node: &Node, troubles: &mut Troubles) {
        let sum = self
            .servers
            .iter()
            .fold(0u32, |sum, server| sum.saturating_add(server.weight.get()));
        let place = node.last("quorum").map_or(node.place(), Node::place);
        if self.quorum.weight > sum && !self.servers.is_empty() {
            let message = format!("the real servers weigh {sum} in all, less than the quorum");
            troubles.warning(
                place,
                message,
                format!("{sum} is taken, as keepalived does"),
            );
            self.quorum.weight = sum.max(1);
        }
        if self.quorum.hysteresis >= self.quorum.weight {
            let most = self.quorum.weight - 1;
            let place = node.last("hysteresis").map_or(place, Node::place);
            let message = "the hysteresis is not less than the quorum";
            troubles.warning(
                place,
                message,
                format!("{most} is taken, as keepalived does"),
            );
            self.quorum.hysteresis = most;
        }
    }

    fn check_protocol(&self, node: &Node, members: &[(What, Place)], troubles: &mut Troubles) {
        let by_address = |(what, _): &(What, Place)| matches!(what, What::Address(..));
        let addresses = members.iter().any(by_address);
        match self.protocol {
            None if addresses => {
                let message = "the virtual server has no protocol";
                troubles.warning(node.place(), message, "UDP is taken, as keepalived does");
            }
            Some((_, place)) if !addresses => {
                let message = "a firewall mark has packets of all protocols";
                troubles.warning(place, message, "the protocol has no effect");
            }
            Some((protocol, _)) if protocol != Protocol::Udp => {
                if let Some(place) = self.one_packet {
                    let message = "one-packet scheduling is for UDP";
                    troubles.warning(place, message, "it has no effect here");
                }
            }
            _ => {}
        }
        let portless = |(what, _): &(What, Place)| matches!(what, What::Address(_, 0));
        if self.persistence.is_none() && members.iter().any(portless) {
            let message = "only a persistent service has all ports";
            let expected = "a persistence of 360 s is taken, as keepalived does";
            troubles.warning(node.place(), message, expected);
        }
        if self.health.only_while_active && !members.iter().all(by_address) {
            let place = node.last("ha_suspend").map_or(node.place(), Node::place);
            let message = "a firewall mark has no address that could be elsewhere";
            troubles.warning(place, message, "`ha_suspend` has no effect on it");
        }
    }

    fn family_of_servers(&self) -> Family {
        let plain = |server: &&Server| !matches!(server.forwarding, Forwarding::Tunnel(_));
        let server = self.servers.iter().find(plain);
        let all = self.servers.first().map(|first| Family::of(first.address));
        let same = |server: &Server| Some(Family::of(server.address)) == all;
        match server {
            Some(server) => Family::of(server.address),
            None if self.servers.iter().all(same) => all.unwrap_or(Family::V4),
            None => Family::V4,
        }
    }

    fn service(&self, what: What, node: &Node, troubles: &mut Troubles) -> Option<Made> {
        let key = match what {
            What::Address(address, port) => ServiceKey::Address {
                protocol: self
                    .protocol
                    .map_or(Protocol::Udp, |(protocol, _)| protocol),
                address: SocketAddr::new(address, port),
            },
            What::Mark(mark, family) => ServiceKey::FirewallMark {
                family: family
                    .or(self.family)
                    .unwrap_or_else(|| self.family_of_servers()),
                mark,
            },
        };
        let mut service = Service::new(key);
        service.scheduler = self.scheduler.unwrap_or_default();
        service.flags = self.scheduler_flags(service.scheduler, troubles);
        service.engine = self.engine;
        let datagrams = |key| match key {
            ServiceKey::Address { protocol, .. } => protocol == Protocol::Udp,
            ServiceKey::FirewallMark { .. } => true,
        };
        service.one_packet = self.one_packet.is_some() && datagrams(key);
        let portless = matches!(what, What::Address(_, 0));
        let timeout = self
            .persistence
            .or(portless.then_some(Persistence::DEFAULT_TIMEOUT));
        if let Some(timeout) = timeout {
            service.persistence = Some(Persistence {
                timeout,
                netmask: self.netmask(key.family(), troubles),
            });
        }
        let mut health = ServiceHealth {
            key,
            quorum: self.quorum,
            ..self.health.clone()
        };
        if matches!(key, ServiceKey::FirewallMark { .. }) {
            health.only_while_active = false;
        }
        let mut servers = Vec::new();
        for server in &self.servers {
            let tunnel = matches!(server.forwarding, Forwarding::Tunnel(_));
            if Family::of(server.address) != key.family() && !tunnel {
                let message = format!("{} is not of the virtual server's family", server.address);
                troubles.error(server.place, message, "expected one of it, or TUN");
                continue;
            }
            let (real, watched) = server.of_service(key, troubles);
            servers.push(real);
            health.servers.push(ServerHealth {
                address: real.address,
                ..watched
            });
        }
        health.sorry = self.sorry_of(key, node, troubles);
        Some((service, servers, health))
    }

    fn sorry_of(&self, key: ServiceKey, node: &Node, troubles: &mut Troubles) -> Option<Sorry> {
        let (address, port, forwarding, inhibit) = self.sorry?;
        let place = node.last("sorry_server").map_or(node.place(), Node::place);
        let tunnel = matches!(forwarding, Forwarding::Tunnel(_));
        if Family::of(address) != key.family() && !tunnel {
            let message = "the sorry server is not of the virtual server's family";
            troubles.error(place, message, "expected one of it, or TUN");
            return None;
        }
        let address = server::address_for(key, address, port, forwarding, place, troubles);
        Some(Sorry {
            server: RealServer::new(address, forwarding),
            inhibit,
        })
    }

    fn scheduler_flags(&self, scheduler: Scheduler, troubles: &mut Troubles) -> SchedulerFlags {
        let mut flags = SchedulerFlags::default();
        for (name, place) in &self.flags {
            if !flags.set(scheduler, name) {
                let message = format!("`{name}` is for another scheduler");
                troubles.warning(*place, message, "it has no effect here");
            }
        }
        flags
    }

    fn netmask(&self, family: Family, troubles: &mut Troubles) -> Netmask {
        let Some(word) = &self.granularity else {
            return Netmask::whole(family);
        };
        let expected = match family {
            Family::V4 => "expected a netmask, like 255.255.255.0",
            Family::V6 => "expected the length of a prefix, 1 to 128",
        };
        Netmask::of_text(&word.text, family).unwrap_or_else(|| {
            troubles.wrong(word, expected);
            Netmask::whole(family)
        })
    }
}

/// A script that may be said once.
pub(super) fn once(
    before: Option<weir_config::model::Script>,
    node: &Node,
    troubles: &mut Troubles,
) -> Option<weir_config::model::Script> {
    if before.is_some() {
        let message = format!("`{}` is there twice", node.name());
        troubles.warning(node.place(), message, "only the first one counts");
        return before;
    }
    troubles.script(node)
}
