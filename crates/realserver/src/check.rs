//! What is wrong on a real server, however it was set up.

use std::net::IpAddr;

use serde::Serialize;

use crate::facts::{Facts, Interface, Kind, LOOPBACK, Tunnel, whole};
use crate::setting::{ANNOUNCE_OWN, STRICT, Setting, Sysctl, keeps_quiet};

/// What a host should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The virtual addresses that it serves.
    pub virtual_addresses: Vec<IpAddr>,
    /// How packets come.
    pub method: Method,
    /// From whom; may be unknown, but for [`Method::Nat`].
    pub directors: Vec<IpAddr>,
    /// By which interfaces; none stands for all with neighbours.
    pub interfaces: Vec<String>,
}

/// How packets come from the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As the client sent them, to our link address.
    DirectRouting,
    /// Inside others, to our network address.
    Tunnel,
    /// With our address as their destination.
    Nat,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, for scripts.
    pub code: &'static str,
    /// The address, interface or setting that it is about.
    pub about: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It does not work so.
    Wrong,
    /// It may work, under conditions that cannot be seen from here.
    Notice,
}

/// The bytes that the largest header around a packet has: IPv6, UDP, GUE with its options.
const LARGEST_TUNNEL: u32 = 40 + 8 + 12;
/// The bytes that the smallest has: IPv4.
const SMALLEST_TUNNEL: u32 = 20;
/// What every link of IPv6 carries (RFC 8200, 5).
const LEAST_MTU6: u32 = 1280;
/// What every host takes (RFC 791, 3.1), and more than any host needs to get through a tunnel.
const LEAST_MTU4: u32 = 576;
/// IPv4 and TCP, without options.
const HEADERS4: u32 = 40;

/// All that is wrong, the worst first.
pub fn check(question: &Question, facts: &Facts) -> Vec<Finding> {
    let mut report = Report(Vec::new());
    for address in &question.virtual_addresses {
        match question.method {
            Method::DirectRouting | Method::Tunnel => report.needs_address(*address, facts),
            Method::Nat => {}
        }
        report.is_quiet(*address, facts);
    }
    let has4 = question.virtual_addresses.iter().any(IpAddr::is_ipv4);
    match question.method {
        Method::DirectRouting | Method::Tunnel => {
            if has4 {
                report.quiet_settings(facts);
                report.reverse_path(question, facts);
            }
            report.way_back(question, facts);
        }
        Method::Nat => report.way_through_director(question, facts),
    }
    if question.method == Method::Tunnel {
        report.takes_out(question, facts);
        report.room_for_tunnels(question, facts);
    }
    report.interfaces_up(question, facts);
    report.0.sort_by_key(|finding| finding.severity);
    report.0
}

struct Report(Vec<Finding>);

impl Report {
    fn wrong(&mut self, code: &'static str, about: impl ToString, message: String) {
        self.add(Severity::Wrong, code, about, message);
    }

    fn notice(&mut self, code: &'static str, about: impl ToString, message: String) {
        self.add(Severity::Notice, code, about, message);
    }

    fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        about: impl ToString,
        message: String,
    ) {
        let about = about.to_string();
        let finding = Finding {
            severity,
            code,
            about,
            message,
        };
        if !self.0.contains(&finding) {
            self.0.push(finding);
        }
    }

    fn needs_address(&mut self, vip: IpAddr, facts: &Facts) {
        let mut holders = facts.holders(vip).peekable();
        if holders.peek().is_none() {
            let host = whole(vip);
            self.wrong("vip-missing", vip, format!(
                "No interface has {vip}, so the kernel does not take its packets for its own. Add \
                 it with `ip address add {vip}/{host} dev {LOOPBACK}`, or let `weir realserver \
                 prepare` do all."
            ));
        }
        for (held, kind) in holders {
            // On the loopback interface that lasts for no longer than this command.
            if !held.usable && kind != Kind::Loopback {
                self.wrong("vip-unusable", vip, format!(
                    "{vip} on {} cannot be used: the kernel is still looking whether somebody else \
                     on that link has it, or has found somebody. Put it on {LOOPBACK}, where nobody \
                     else can be.", held.interface
                ));
            }
            if held.prefix != whole(vip) {
                let (interface, prefix, host) = (&held.interface, held.prefix, whole(vip));
                self.wrong(
                    "vip-prefix",
                    vip,
                    format!(
                        "{interface} has {vip}/{prefix}: so the kernel looks for the whole subnet \
                     there, and answers to clients in it go nowhere. Replace it: `ip address del \
                     {vip}/{prefix} dev {interface}` and `ip address add {vip}/{host} dev \
                     {interface}`."
                    ),
                );
            }
        }
    }

    fn is_quiet(&mut self, vip: IpAddr, facts: &Facts) {
        let (protocol, host) = if vip.is_ipv4() {
            ("ARP", 32)
        } else {
            ("neighbour", 128)
        };
        for (held, kind) in facts.holders(vip) {
            if kind == Kind::Link {
                let interface = &held.interface;
                self.wrong(
                    "vip-on-link",
                    vip,
                    format!(
                        "{vip} is an address of {interface}, which therefore answers {protocol} \
                     requests for it: clients and routers may find this host where they look for \
                     the director. Move it: `ip address del {vip}/{} dev {interface}` and `ip \
                     address add {vip}/{host} dev {LOOPBACK}`.",
                        held.prefix
                    ),
                );
            }
        }
        for proxy in facts.proxies.iter().filter(|proxy| proxy.address == vip) {
            let interface = &proxy.interface;
            self.wrong(
                "vip-proxied",
                vip,
                format!(
                    "{interface} answers {protocol} requests for {vip} on behalf of others, where \
                 clients and routers look for the director. Take that away: `ip neigh del proxy \
                 {vip} dev {interface}`."
                ),
            );
        }
    }

    /// ARP alone: for IPv6 only the interface that has an address answers.
    fn quiet_settings(&mut self, facts: &Facts) {
        for Interface { name, .. } in facts.links() {
            let ignore = facts.effective(Setting::ArpIgnore, name);
            if !keeps_quiet(ignore) {
                let sysctl = Sysctl::new(Setting::ArpIgnore, name);
                self.wrong(
                    "arp-answered",
                    name,
                    format!(
                        "{name} answers ARP requests for addresses of {LOOPBACK} (arp_ignore is \
                     {ignore}), so clients and routers may find this host where they look for the \
                     director. Set `sysctl -w {sysctl}=1`, unless a filter drops those answers."
                    ),
                );
            }
            let announce = facts.effective(Setting::ArpAnnounce, name);
            if announce < ANNOUNCE_OWN {
                let sysctl = Sysctl::new(Setting::ArpAnnounce, name);
                self.wrong(
                    "arp-announced",
                    name,
                    format!(
                        "ARP requests that {name} sends may say to be from a virtual address \
                     (arp_announce is {announce}), from which a router learns that it is here. Set \
                     `sysctl -w {sysctl}=2`."
                    ),
                );
            }
        }
    }

    fn reverse_path(&mut self, question: &Question, facts: &Facts) {
        let back = facts
            .default_route(false)
            .map(|route| route.interface.as_str());
        for interface in receiving(question, facts) {
            let name = &interface.name;
            let is_strict = facts.effective(Setting::RpFilter, name) == STRICT;
            // A tunnel device is never the way back.
            let is_tunnel = matches!(interface.kind, Kind::Tunnel(_));
            if !is_strict || (!is_tunnel && back == Some(name)) {
                continue;
            }
            // Packets come by it for sure only if it was named.
            let sysctl = Sysctl::new(Setting::RpFilter, name);
            let message = format!(
                "The reverse path filter of {name} is strict (rp_filter is {STRICT}) and the way \
                 back to clients does not lead through it, so their packets are dropped when they \
                 come by it. Set `sysctl -w {sysctl}=2`."
            );
            if is_tunnel || question.interfaces.contains(name) {
                self.wrong("rp-filter-strict", name, message);
            } else {
                self.notice("rp-filter-strict", name, message);
            }
        }
    }

    /// Answers go to the client without the director.
    fn way_back(&mut self, question: &Question, facts: &Facts) {
        for is_ipv6 in families(&question.virtual_addresses) {
            let family = if is_ipv6 { "IPv6" } else { "IPv4" };
            let Some(route) = facts.default_route(is_ipv6) else {
                self.notice(
                    "no-way-back",
                    family,
                    format!(
                        "There is no default route of {family}: answers reach only clients to whom \
                     there is a route of their own. Add one that leads to the clients' router."
                    ),
                );
                continue;
            };
            if let Some(gateway) = route.gateway
                && question.directors.contains(&gateway)
            {
                self.wrong(
                    "way-back-by-director",
                    gateway,
                    format!(
                        "The default route of {family} leads through the director {gateway}, which \
                     has the virtual address itself and drops answers that claim to be from it. \
                     Let the default route lead through the clients' router."
                    ),
                );
            }
        }
    }

    /// Answers go through the director, which gives them back the virtual address.
    fn way_through_director(&mut self, question: &Question, facts: &Facts) {
        for is_ipv6 in families(&question.directors) {
            let family = if is_ipv6 { "IPv6" } else { "IPv4" };
            let of_family = question
                .directors
                .iter()
                .filter(|one| one.is_ipv6() == is_ipv6);
            let directors: Vec<String> = of_family.map(ToString::to_string).collect();
            let (names, first) = (directors.join(" or "), &directors[0]);
            let flag = if is_ipv6 { "ip -6" } else { "ip" };
            let remedy = format!("Set it with `{flag} route replace default via {first}`");
            match facts.default_route(is_ipv6) {
                None => self.wrong("no-default-route", family, format!(
                    "There is no default route of {family}, so answers do not pass the director \
                     {names} and never get back their virtual address. {remedy}."
                )),
                Some(route) if route.gateway.is_some_and(|one| question.directors.contains(&one)) => {}
                Some(route) => {
                    let through = match route.gateway {
                        Some(gateway) => format!("through {gateway}"),
                        None => format!("out of {} to nobody in particular", route.interface),
                    };
                    self.wrong("default-route-elsewhere", family, format!(
                        "The default route of {family} leads {through}, so answers do not pass the \
                         director {names} and clients see the real server's own address. {remedy}, \
                         or send answers of the service there by a rule of policy routing."
                    ));
                }
            }
        }
    }

    /// Something takes packets out of their tunnels.
    fn takes_out(&mut self, question: &Question, facts: &Facts) {
        for vip in &question.virtual_addresses {
            let ours = facts.decapsulation.as_ref();
            let by_program = ours.is_some_and(|ours| {
                let there = |name: &String| facts.interface(name).is_some_and(|one| one.up);
                ours.virtual_addresses.contains(vip) && ours.interfaces.iter().any(there)
            });
            if by_program {
                continue;
            }
            let devices = || {
                facts.interfaces.iter().filter(|one| match one.kind {
                    Kind::Tunnel(Tunnel::Both) => true,
                    Kind::Tunnel(Tunnel::V4) => vip.is_ipv4(),
                    Kind::Tunnel(Tunnel::V6) => vip.is_ipv6(),
                    Kind::Link | Kind::Loopback | Kind::Silent => false,
                })
            };
            if devices().any(|one| one.up) {
                continue;
            }
            match devices().next() {
                Some(Interface { name, .. }) => self.wrong("tunnel-down", name, format!(
                    "The tunnel device {name} is down, so nothing takes packets for {vip} out of \
                     their tunnel. Bring it up: `ip link set {name} up`."
                )),
                None => self.wrong("no-decapsulation", vip, format!(
                    "Nothing takes packets for {vip} out of their tunnel: there is neither a tunnel \
                     device nor Weir's program. `weir realserver prepare --method tun --vip {vip} \
                     --interface IF` attaches that to the interface IF."
                )),
            }
        }
        self.ends_here(facts);
    }

    fn ends_here(&mut self, facts: &Facts) {
        let Some(ours) = &facts.decapsulation else {
            return;
        };
        for address in &ours.here {
            if facts.holders(*address).next().is_none() {
                self.wrong("tunnel-end-gone", address, format!(
                    "Weir's program takes tunnels for {address}, which is no address of this host \
                     any more. Run `weir realserver prepare` again, which tells it the addresses \
                     that there are."
                ));
            }
        }
    }

    fn room_for_tunnels(&mut self, question: &Question, facts: &Facts) {
        let has6 = question.virtual_addresses.iter().any(IpAddr::is_ipv6);
        let needed = LARGEST_TUNNEL + if has6 { LEAST_MTU6 } else { LEAST_MTU4 };
        for interface in receiving(question, facts).filter(|one| one.kind == Kind::Link) {
            let Interface { name, mtu, .. } = interface;
            if *mtu < needed {
                self.wrong("mtu-too-small", name, format!(
                    "{name} carries {mtu} bytes, and a tunnel needs {needed} for the packets that \
                     cannot be made smaller. Set `ip link set {name} mtu 1500` or more, as on the \
                     rest of that link."
                ));
                continue;
            }
            let Some(route) = facts.default_route(false) else {
                continue;
            };
            let announced = route.segment_size.unwrap_or(mtu - HEADERS4);
            let largest = announced + HEADERS4 + SMALLEST_TUNNEL;
            if largest > *mtu {
                let fits = mtu - HEADERS4 - LARGEST_TUNNEL;
                self.notice("segments-too-large", name, format!(
                    "Clients are told that they can send segments of {announced} bytes, which in a \
                     tunnel are larger than the {mtu} bytes that {name} carries: each client has to \
                     learn that by an ICMP error of the director. Either let the director's and \
                     this host's link carry {} bytes (`ip link set {name} mtu {}`), or announce \
                     less: `ip route change default via ROUTER advmss {fits}`.",
                    largest + LARGEST_TUNNEL - SMALLEST_TUNNEL,
                    largest + LARGEST_TUNNEL - SMALLEST_TUNNEL,
                ));
            }
        }
    }

    fn interfaces_up(&mut self, question: &Question, facts: &Facts) {
        let named = question.interfaces.iter().map(String::as_str);
        for name in [LOOPBACK].into_iter().chain(named) {
            match facts.interface(name) {
                Some(interface) if interface.up => {}
                Some(_) => self.wrong(
                    "interface-down",
                    name,
                    format!("{name} is down. Bring it up: `ip link set {name} up`."),
                ),
                None => self.wrong(
                    "interface-missing",
                    name,
                    format!("There is no interface {name}: name the one by which packets come."),
                ),
            }
        }
    }
}

/// The interfaces by which packets come, or may come.
fn receiving<'f>(question: &'f Question, facts: &'f Facts) -> impl Iterator<Item = &'f Interface> {
    facts.interfaces.iter().filter(|one| {
        let is_tunnel = matches!(one.kind, Kind::Tunnel(_)) && question.method == Method::Tunnel;
        let is_meant = question.interfaces.is_empty() || question.interfaces.contains(&one.name);
        one.up && (is_tunnel || (one.kind == Kind::Link && is_meant))
    })
}

/// Which families there are among the addresses: whether IPv6, each once.
fn families(addresses: &[IpAddr]) -> impl Iterator<Item = bool> {
    let has = |is_ipv6| addresses.iter().any(|one| one.is_ipv6() == is_ipv6);
    let (has4, has6) = (has(false), has(true));
    [(false, has4), (true, has6)]
        .into_iter()
        .filter_map(|(is_ipv6, there)| there.then_some(is_ipv6))
}

#[cfg(test)]
mod tests;
