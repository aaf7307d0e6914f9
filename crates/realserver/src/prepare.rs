//! What has to change so that a host can be a real server.

use std::fmt;
use std::net::IpAddr;

use crate::facts::{Decapsulation, Facts, Kind, LOOPBACK, is_link_local, whole};
use crate::record::Record;
use crate::setting::{ALL, ANNOUNCE_OWN, LOOSE, STRICT, Setting, Sysctl, keeps_quiet};

/// The port that is GUE's (IANA).
pub const GUE_PORT: u16 = 6080;

/// How packets come from the director.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As the client sent them, to our link address.
    DirectRouting,
    /// Inside others, to our network address.
    Tunnel,
}

/// What a host is to be prepared for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The virtual addresses.
    pub virtual_addresses: Vec<IpAddr>,
    /// The interfaces by which packets come.
    pub interfaces: Vec<String>,
    /// How they come.
    pub method: Method,
    /// The host's addresses to which tunnels lead; none stands for all of those interfaces.
    pub here: Vec<IpAddr>,
    /// The ports to which GUE is sent.
    pub gue_ports: Vec<u16>,
}

/// Something to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A setting.
    Set {
        /// Which.
        sysctl: Sysctl,
        /// What it is.
        before: u32,
        /// What it is to be.
        after: u32,
    },
    /// An address of its own for the loopback interface.
    AddAddress(IpAddr),
    /// Our program, told exactly this.
    Decapsulate(Decapsulation),
}

/// Why a host cannot be prepared as it is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not an address that a service can have.
    NotAVirtualAddress(IpAddr),
    /// No such interface.
    NoInterface(String),
    /// An interface that has no neighbours.
    NotALink(String),
    /// An interface with neighbours has the virtual address, and so answers for it.
    OnALink(IpAddr, String),
    /// The virtual address is there with a prefix that takes others in.
    Wide(IpAddr, String, u8),
    /// The loopback interface has no IPv6.
    NoIpv6(IpAddr),
    /// Tunnels are to end at an address that this host has not.
    NotHere(IpAddr),
    /// There is no address at which tunnels could end.
    NowhereToEnd,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAVirtualAddress(address) => write!(
                formatter,
                "{address} cannot be a virtual address: it is unspecified, loopback, multicast or \
                 link-local"
            ),
            Self::NoInterface(name) => {
                write!(
                    formatter,
                    "there is no interface {name:?} in this network namespace"
                )
            }
            Self::NotALink(name) => write!(
                formatter,
                "{name} is no interface with neighbours: name the one by which the director's \
                 packets come"
            ),
            Self::OnALink(address, interface) => write!(
                formatter,
                "{address} is an address of {interface}, which answers its neighbours for it in the \
                 director's place: take it away with `ip address del {address} dev {interface}` \
                 first"
            ),
            Self::Wide(address, interface, prefix) => write!(
                formatter,
                "{interface} has {address}/{prefix}, and so takes the whole subnet for its own: \
                 take it away with `ip address del {address}/{prefix} dev {interface}` first"
            ),
            Self::NoIpv6(address) => write!(
                formatter,
                "{LOOPBACK} cannot have {address}, because IPv6 is disabled on it: `sysctl -w \
                 {}=0` first",
                Sysctl::new(Setting::DisableIpv6, LOOPBACK)
            ),
            Self::NotHere(address) => write!(
                formatter,
                "tunnels cannot end at {address}: it is no address of this host"
            ),
            Self::NowhereToEnd => write!(
                formatter,
                "there is no address at which tunnels could end: the interfaces have none beside \
                 virtual addresses. Name this host's address with --address"
            ),
        }
    }
}

/// What has to change; what a record says was prepared before stays so.
pub fn prepare(
    wanted: &Wanted,
    facts: &Facts,
    record: &Record,
) -> Result<Vec<Change>, Vec<Refusal>> {
    let refusals = refusals(wanted, facts);
    if !refusals.is_empty() {
        return Err(refusals);
    }
    // Quiet first, then the address that there is to be quiet about.
    let mut changes = settings(wanted, facts);
    changes.extend(addresses(wanted, facts));
    if wanted.method == Method::Tunnel {
        let told = decapsulation(wanted, facts, record).map_err(|refusal| vec![refusal])?;
        if facts.decapsulation.as_ref() != Some(&told) {
            changes.push(Change::Decapsulate(told));
        }
    }
    Ok(changes)
}

fn refusals(wanted: &Wanted, facts: &Facts) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for address in &wanted.virtual_addresses {
        refusals.extend(refusal_of(*address, facts));
    }
    for name in &wanted.interfaces {
        match facts.interface(name).map(|interface| interface.kind) {
            None => refusals.push(Refusal::NoInterface(name.clone())),
            Some(Kind::Link) => {}
            Some(Kind::Loopback | Kind::Tunnel(_) | Kind::Silent) => {
                refusals.push(Refusal::NotALink(name.clone()));
            }
        }
    }
    for address in &wanted.here {
        if facts.holders(*address).next().is_none() {
            refusals.push(Refusal::NotHere(*address));
        }
    }
    refusals
}

fn refusal_of(address: IpAddr, facts: &Facts) -> Option<Refusal> {
    if address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || is_link_local(address)
    {
        return Some(Refusal::NotAVirtualAddress(address));
    }
    for (held, kind) in facts.holders(address) {
        if kind == Kind::Link {
            return Some(Refusal::OnALink(address, held.interface.clone()));
        }
        if held.prefix != whole(address) {
            return Some(Refusal::Wide(address, held.interface.clone(), held.prefix));
        }
    }
    let is_disabled = facts
        .sysctl(Setting::DisableIpv6, LOOPBACK)
        .is_none_or(|value| value != 0);
    (address.is_ipv6() && is_disabled).then_some(Refusal::NoIpv6(address))
}

fn settings(wanted: &Wanted, facts: &Facts) -> Vec<Change> {
    // None of this is IPv6's: its neighbours are answered only by the interface that has the
    // address, and it has no reverse path filter.
    if !wanted.virtual_addresses.iter().any(IpAddr::is_ipv4) {
        return Vec::new();
    }
    let mut changes = Vec::new();
    let mut set = |setting, scope: &str, after, is_fine: fn(u32) -> bool| {
        if let Some(before) = facts.sysctl(setting, scope)
            && !is_fine(before)
        {
            let sysctl = Sysctl::new(setting, scope);
            changes.push(Change::Set {
                sysctl,
                before,
                after,
            });
        }
    };
    for scope in [ALL]
        .into_iter()
        .chain(wanted.interfaces.iter().map(String::as_str))
    {
        set(Setting::ArpIgnore, scope, 1, keeps_quiet);
        set(Setting::ArpAnnounce, scope, ANNOUNCE_OWN, |value| {
            value >= ANNOUNCE_OWN
        });
    }
    for interface in &wanted.interfaces {
        // The greater of both values holds, so loose is enough here, and `all` can stay strict.
        if facts.effective(Setting::RpFilter, interface) == STRICT {
            set(Setting::RpFilter, interface, LOOSE, |_| false);
        }
    }
    changes
}

fn addresses(wanted: &Wanted, facts: &Facts) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    for address in &wanted.virtual_addresses {
        // A dummy or a tunnel that has it serves as well as the loopback interface.
        let change = Change::AddAddress(*address);
        if facts.holders(*address).next().is_none() && !changes.contains(&change) {
            changes.push(change);
        }
    }
    changes
}

/// What our program is to be told: what is wanted, and what was prepared before.
fn decapsulation(
    wanted: &Wanted,
    facts: &Facts,
    record: &Record,
) -> Result<Decapsulation, Refusal> {
    let before = record.decapsulation.clone().unwrap_or_default();
    let mut told = Decapsulation {
        // What is gone meanwhile is not kept.
        interfaces: kept(before.interfaces, |name| facts.interface(name).is_some()),
        here: kept(before.here, |address| {
            facts.holders(*address).next().is_some()
        }),
        virtual_addresses: before.virtual_addresses,
        gue_ports: before.gue_ports,
    };
    add(&mut told.interfaces, &wanted.interfaces);
    add(&mut told.virtual_addresses, &wanted.virtual_addresses);
    add(&mut told.gue_ports, &wanted.gue_ports);
    if wanted.here.is_empty() {
        let own = own_addresses(facts, &told);
        add(&mut told.here, &own);
    } else {
        add(&mut told.here, &wanted.here);
    }
    if told.here.is_empty() {
        return Err(Refusal::NowhereToEnd);
    }
    Ok(told)
}

fn own_addresses(facts: &Facts, told: &Decapsulation) -> Vec<IpAddr> {
    let all = facts.addresses.iter();
    all.filter(|one| told.interfaces.contains(&one.interface))
        .map(|one| one.address)
        .filter(|address| !told.virtual_addresses.contains(address) && !is_link_local(*address))
        .collect()
}

fn kept<T>(all: Vec<T>, is_kept: impl Fn(&T) -> bool) -> Vec<T> {
    all.into_iter().filter(is_kept).collect()
}

fn add<T: Clone + Ord>(all: &mut Vec<T>, more: &[T]) {
    all.extend(more.iter().cloned());
    all.sort();
    all.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{RIP4, RIP6, V4, V6, address, bare_host, host};
    use std::net::Ipv4Addr;

    fn wanted(method: Method) -> Wanted {
        Wanted {
            virtual_addresses: vec![V4, V6],
            interfaces: vec!["eth0".to_owned()],
            method,
            here: vec![],
            gue_ports: vec![GUE_PORT],
        }
    }

    fn set(setting: Setting, scope: &str, before: u32, after: u32) -> Change {
        Change::Set {
            sysctl: Sysctl::new(setting, scope),
            before,
            after,
        }
    }

    /// The facts after those changes.
    fn changed(mut facts: Facts, changes: &[Change]) -> Facts {
        for change in changes {
            match change {
                Change::Set { sysctl, after, .. } => {
                    facts.sysctls.insert(sysctl.clone(), *after);
                }
                Change::AddAddress(vip) => {
                    facts.addresses.push(address(LOOPBACK, *vip, whole(*vip)));
                }
                Change::Decapsulate(told) => facts.decapsulation = Some(told.clone()),
            }
        }
        facts
    }

    #[test]
    fn a_bare_host_becomes_quiet_and_then_gets_the_addresses() {
        let mut facts = bare_host();
        facts.sysctls.insert(Sysctl::new(Setting::RpFilter, ALL), 1);
        let changes = prepare(&wanted(Method::Tunnel), &facts, &Record::default());
        let expected = [
            set(Setting::ArpIgnore, "all", 0, 1),
            set(Setting::ArpAnnounce, "all", 0, 2),
            set(Setting::ArpIgnore, "eth0", 0, 1),
            set(Setting::ArpAnnounce, "eth0", 0, 2),
            set(Setting::RpFilter, "eth0", 0, 2),
            Change::AddAddress(V4),
            Change::AddAddress(V6),
            Change::Decapsulate(Decapsulation {
                interfaces: vec!["eth0".to_owned()],
                virtual_addresses: vec![V4, V6],
                here: vec![RIP4, RIP6],
                gue_ports: vec![6080],
            }),
        ];
        assert_eq!(changes.as_deref(), Ok(&expected[..]));
    }

    #[test]
    fn a_second_time_there_is_nothing_to_do() {
        for method in [Method::DirectRouting, Method::Tunnel] {
            let facts = bare_host();
            let changes = prepare(&wanted(method), &facts, &Record::default()).expect("changes");
            let record = Record::default().with(&changes);
            let facts = changed(facts, &changes);
            assert_eq!(prepare(&wanted(method), &facts, &record), Ok(vec![]));
        }
    }

    #[test]
    fn what_was_prepared_before_stays() {
        let first = prepare(&wanted(Method::Tunnel), &bare_host(), &Record::default());
        let first = first.expect("changes");
        let facts = changed(bare_host(), &first);
        let more = Wanted {
            virtual_addresses: vec![Ipv4Addr::new(192, 0, 2, 11).into()],
            interfaces: vec!["eth1".to_owned()],
            gue_ports: vec![7000],
            ..wanted(Method::Tunnel)
        };
        let changes = prepare(&more, &facts, &Record::default().with(&first)).expect("changes");
        let Some(Change::Decapsulate(told)) = changes.last() else {
            panic!("{changes:?}");
        };
        assert_eq!(told.interfaces, ["eth0", "eth1"]);
        assert_eq!(told.virtual_addresses.len(), 3);
        assert_eq!(told.gue_ports, [6080, 7000]);
    }

    #[test]
    fn values_that_serve_as_well_are_left_alone() {
        let mut facts = host();
        for (setting, value) in [(Setting::ArpIgnore, 2), (Setting::ArpAnnounce, 2)] {
            for scope in ["all", "eth0"] {
                facts.sysctls.insert(Sysctl::new(setting, scope), value);
            }
        }
        facts
            .sysctls
            .insert(Sysctl::new(Setting::RpFilter, ALL), LOOSE);
        let changes = prepare(&wanted(Method::DirectRouting), &facts, &Record::default());
        assert_eq!(changes, Ok(vec![]));
    }

    #[test]
    fn ipv6_alone_changes_no_setting() {
        let only6 = Wanted {
            virtual_addresses: vec![V6],
            ..wanted(Method::DirectRouting)
        };
        let changes = prepare(&only6, &bare_host(), &Record::default());
        assert_eq!(changes, Ok(vec![Change::AddAddress(V6)]));
    }

    #[test]
    fn what_cannot_work_is_refused() {
        type Spoil = fn(&mut Wanted, &mut Facts);
        let rows: &[(Spoil, Refusal)] = &[
            (
                |wanted, _| wanted.interfaces = vec!["eth7".to_owned()],
                Refusal::NoInterface("eth7".to_owned()),
            ),
            (
                |wanted, _| wanted.interfaces = vec!["lo".to_owned()],
                Refusal::NotALink("lo".to_owned()),
            ),
            (
                |_, facts| facts.addresses.push(address("eth1", V4, 24)),
                Refusal::OnALink(V4, "eth1".to_owned()),
            ),
            (
                |_, facts| facts.addresses.push(address("lo", V4, 24)),
                Refusal::Wide(V4, "lo".to_owned(), 24),
            ),
            (
                |_, facts| {
                    facts
                        .sysctls
                        .insert(Sysctl::new(Setting::DisableIpv6, "lo"), 1);
                },
                Refusal::NoIpv6(V6),
            ),
            (|wanted, _| wanted.here = vec![V4], Refusal::NotHere(V4)),
            (
                |_, facts| facts.addresses.retain(|one| one.interface != "eth0"),
                Refusal::NowhereToEnd,
            ),
            (
                |wanted, _| wanted.virtual_addresses = vec![Ipv4Addr::LOCALHOST.into()],
                Refusal::NotAVirtualAddress(Ipv4Addr::LOCALHOST.into()),
            ),
        ];
        for (spoil, expected) in rows {
            let (mut wanted, mut facts) = (wanted(Method::Tunnel), bare_host());
            spoil(&mut wanted, &mut facts);
            let refused = prepare(&wanted, &facts, &Record::default());
            assert_eq!(refused, Err(vec![expected.clone()]));
        }
    }
}
