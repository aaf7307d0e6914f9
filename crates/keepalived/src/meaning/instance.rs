//! VRRP instances and sync groups.

use std::net::IpAddr;
use std::time::Duration;

use weir_config::model::vrrp::{
    Acceptance, Announcements, Authentication, Instance, InterfaceKind, Notify, Peer, Peers,
    Preemption, Priority, StateWish, SyncGroup, UnicastChecksum, Version, VirtualAddress,
    VirtualRouterId,
};
use weir_config::model::{InterfaceName, Script};

use super::authentication::{Proof, proof};
use super::global::{self, Globals, set};
use super::track::{Trackable, tracking};
use super::values::Troubles;
use super::{address, route, strict};
use crate::grammar::Node;
use crate::language::place::{Place, Trouble};

/// A virtual interface as `use_vmac` asks for it.
#[derive(Default)]
struct Vmac {
    name: Option<InterfaceName>,
    link_address: Option<Vec<u8>>,
}

/// What an instance says, piece by piece.
struct Said {
    interface: Option<InterfaceName>,
    router_id: Option<VirtualRouterId>,
    version: Option<Version>,
    v6: Option<bool>,
    priority: Option<Priority>,
    interval: Option<(Duration, Place)>,
    wish: Option<StateWish>,
    preempt: bool,
    delay: Duration,
    source: Option<IpAddr>,
    group: Option<IpAddr>,
    peers: Vec<Peer>,
    unicast_ttl: Option<u8>,
    check_source: bool,
    fault_without_peers: bool,
    vmac: Option<Vmac>,
    vmac_of_addresses: bool,
    transmit_by_base: bool,
    acceptance: Option<Acceptance>,
    announcements: Announcements,
    lower: (Option<u16>, Option<Duration>),
    lower_priority_silent: Option<bool>,
    sync_interface: Option<InterfaceName>,
}

/// An instance, and the interface of an old-fashioned sync daemon in it.
pub(super) fn instance(
    node: &Node,
    globals: &Globals,
    known: &Trackable<'_>,
    troubles: &mut Troubles,
) -> Option<(Instance, Option<InterfaceName>)> {
    let name = troubles.word(node)?.text.clone();
    let mut said = Said::new(globals);
    let mut notify = Notify {
        mail: globals.mail_vrrp.or(globals.mail).unwrap_or(false),
        ..Notify::default()
    };
    let mut strict = globals.strict;
    let mut owner_ignores = globals.owner_ignores_others;
    let mut higher = globals.higher_priority_answered;
    let mut checksum = globals.checksum_as_version_2;
    let mut any_addresses = globals.any_addresses;
    let mut missed = globals.missed;
    let mut authentication = Proof::None;
    for inner in &node.nodes {
        said.take(inner, troubles);
        take_notify(&mut notify, inner, troubles);
        match inner.name() {
            "strict_mode" => set(&mut strict, troubles.switch(inner)),
            "owner_ignore_adverts" => set(&mut owner_ignores, troubles.switch(inner)),
            "higher_prio_send_advert" => set(&mut higher, troubles.switch(inner)),
            "v3_checksum_as_v2" => set(&mut checksum, troubles.switch(inner)),
            "skip_check_adv_addr" => set(&mut any_addresses, troubles.switch(inner)),
            "down_timer_adverts" => set(&mut missed, global::missed(inner, troubles)),
            "authentication" | "auth_hmac" => {
                let found = proof(inner, troubles);
                authentication = authentication.with(found, inner.place(), troubles);
            }
            _ => {}
        }
    }
    let addresses = said.addresses(node, "virtual_ipaddress", troubles);
    said.one_family(&addresses, node, troubles);
    let excluded = said.addresses(node, "virtual_ipaddress_excluded", troubles);
    let lines = |name| node.nodes.iter().filter(move |inner| inner.name() == name);
    let routes = lines("virtual_routes").flat_map(|inner| &inner.lines);
    let routes = routes
        .filter_map(|line| route::route(line, troubles))
        .collect();
    let rules = lines("virtual_rules").flat_map(|inner| &inner.lines);
    let rules = rules
        .filter_map(|line| route::rule(line, troubles))
        .collect();
    let has = |name: &str| node.last(name).is_some();
    let v6 = said.v6.unwrap_or(false);
    let version = said.version(globals, node, troubles);
    let interval = said.interval(version, troubles);
    let preemption = said.preemption(node, troubles);
    let authentication = match (authentication.finish(interval), version) {
        (Authentication::Password(_) | Authentication::Header(_), Version::V3) => {
            let place = node
                .last("authentication")
                .map_or(node.place(), Node::place);
            let message = "version 3 has no such authentication";
            troubles.warning(place, message, "none is used, as keepalived does");
            Authentication::None
        }
        (authentication, _) => authentication,
    };
    let interface = said.interface.clone().or_else(|| {
        // With peers of their own addresses, keepalived needs no interface.
        let unicast = !said.peers.is_empty() && !has("interface");
        unicast.then(|| globals.default_interface.clone()).flatten()
    });
    if interface.is_none() && !has("interface") {
        let message = format!("vrrp_instance `{name}` has no interface");
        troubles.error(
            node.place(),
            message,
            "expected `interface INTERFACE` in it",
        );
    }
    if said.router_id.is_none() && !has("virtual_router_id") {
        let message = format!("vrrp_instance `{name}` has no number");
        troubles.error(
            node.place(),
            message,
            "expected `virtual_router_id 1-255` in it",
        );
    }
    if addresses.is_empty() && !has("no_virtual_ipaddress") && !strict {
        let message = format!("vrrp_instance `{name}` has no addresses");
        let expected = "expected `virtual_ipaddress { ... }` in it";
        match version {
            Version::V2 => troubles.warning(node.place(), message, expected),
            Version::V3 => troubles.error(node.place(), message, expected),
        }
    }
    let router_id = said.router_id;
    let sync_interface = said.sync_interface.clone();
    let owner = said.priority().is_owner();
    let acceptance = said.acceptance.unwrap_or(match strict && !owner {
        true => Acceptance::Refuse,
        false => Acceptance::Accept,
    });
    let mut instance = Instance {
        kind: said.kind(router_id?, globals, node, troubles),
        version,
        v6,
        priority: said.priority(),
        interval,
        missed,
        wish: said.wish(),
        preemption,
        source: said.source,
        track_source: has("track_src_ip"),
        peers: said.peers(globals, v6, node, troubles),
        authentication,
        acceptance,
        addresses,
        excluded_addresses: excluded,
        routes,
        rules,
        tracking: tracking(node, known, troubles),
        announcements: said.announcements(),
        promote_secondaries: has("promote_secondaries"),
        notify,
        any_addresses,
        unicast_checksum: unicast_checksum(node, troubles),
        lower_priority_silent: said
            .lower_priority_silent
            .or(globals.lower_priority_silent)
            .unwrap_or(strict),
        higher_priority_answered: higher,
        owner_ignores_others: owner_ignores,
        checksum_as_version_2: checksum,
        strict,
        ..Instance::new(&name, interface?, router_id?)
    };
    strict::enforce(node, &mut instance, troubles);
    Some((instance, sync_interface))
}

impl Said {
    fn new(globals: &Globals) -> Self {
        Self {
            interface: None,
            router_id: None,
            version: None,
            v6: None,
            priority: None,
            interval: None,
            wish: None,
            preempt: true,
            delay: Duration::ZERO,
            source: None,
            group: None,
            peers: Vec::new(),
            unicast_ttl: None,
            check_source: globals.check_unicast_source,
            fault_without_peers: false,
            vmac: None,
            vmac_of_addresses: false,
            transmit_by_base: false,
            acceptance: None,
            announcements: globals.announcements,
            lower: globals.lower,
            lower_priority_silent: None,
            sync_interface: None,
        }
    }

    /// Unless it is said, who begins as Active owns the addresses, as with keepalived.
    fn priority(&self) -> Priority {
        let of_wish = match self.wish {
            Some(StateWish::Active) => Priority::OWNER,
            Some(StateWish::Backup) | None => Priority::default(),
        };
        self.priority.unwrap_or(of_wish)
    }

    /// Unless it is said, who owns the addresses begins as Active.
    fn wish(&self) -> StateWish {
        self.wish.unwrap_or(match self.priority().is_owner() {
            true => StateWish::Active,
            false => StateWish::Backup,
        })
    }

    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        let small = |number: Option<u32>| number.and_then(|number| u8::try_from(number).ok());
        match node.name() {
            "interface" => self.interface = self.interface_of(node, troubles),
            "virtual_router_id" => {
                let number = small(troubles.number(node, 1..=255));
                self.router_id = number.and_then(VirtualRouterId::new);
            }
            "priority" => {
                let number = small(troubles.number(node, 1..=255));
                let priority = number.and_then(Priority::new).unwrap_or_default();
                self.priority = Some(priority);
            }
            "advert_int" => {
                let range = Duration::from_millis(10)..=Duration::from_secs(255);
                let interval = troubles.seconds(node, 6, range);
                self.interval = interval.map(|interval| (interval, node.place()));
            }
            "version" => {
                let known = [("2", Version::V2), ("3", Version::V3)];
                self.version = troubles.one_of(node, &known);
            }
            "state" => {
                let known = [("MASTER", StateWish::Active), ("BACKUP", StateWish::Backup)];
                self.wish = troubles.one_of(node, &known).or(self.wish);
            }
            "native_ipv6" => self.v6 = Some(true),
            "preempt" => self.preempt = true,
            "nopreempt" => self.preempt = false,
            "preempt_delay" => {
                let range = Duration::ZERO..=Duration::from_secs(1000);
                set(&mut self.delay, troubles.seconds(node, 6, range));
            }
            "accept" => self.acceptance = Some(Acceptance::Accept),
            "no_accept" => self.acceptance = Some(Acceptance::Refuse),
            "lower_prio_no_advert" => self.lower_priority_silent = troubles.switch(node),
            "lvs_sync_daemon_interface" => self.sync_interface = troubles.interface(node),
            "garp_lower_prio_repeat" => {
                let number = troubles.number(node, 0..=0x7fff_ffff);
                self.lower.0 = number.map(global::many).or(self.lower.0);
            }
            "garp_lower_prio_delay" => {
                let seconds = troubles.number(node, 0..=4294);
                let delay = seconds.map(|seconds| Duration::from_secs(seconds.into()));
                self.lower.1 = delay.or(self.lower.1);
            }
            _ => self.take_peers(node, troubles),
        }
    }

    fn take_peers(&mut self, node: &Node, troubles: &mut Troubles) {
        match node.name() {
            "mcast_src_ip" | "unicast_src_ip" => {
                self.source = self.address_of_family(node, troubles);
            }
            "mcast_dst_ip" => {
                let group = self.address_of_family(node, troubles);
                self.group = group.filter(IpAddr::is_multicast);
                if let (Some(_), None, Some(word)) = (group, self.group, node.words().first()) {
                    troubles.wrong(word, "expected a multicast address");
                }
            }
            "unicast_peer" => {
                for line in &node.lines {
                    self.peer(line, troubles);
                }
            }
            "unicast_ttl" => {
                let number = troubles.number(node, 0..=255);
                self.unicast_ttl = number.and_then(|number| u8::try_from(number).ok());
            }
            "unicast_fault_no_peer" => self.fault_without_peers = true,
            "check_unicast_src" => self.check_source = true,
            "use_vmac" => self.vmac = Some(vmac(node, troubles)),
            "use_vmac_addr" => self.vmac_of_addresses = true,
            "vmac_xmit_base" => self.transmit_by_base = true,
            name => global::announcement(&mut self.announcements, name, node, troubles),
        }
    }

    fn interface_of(&self, node: &Node, troubles: &mut Troubles) -> Option<InterfaceName> {
        let interface = troubles.interface(node)?;
        if interface.as_str() == "lo"
            && let Some(word) = node.words().first()
        {
            troubles.wrong(word, "expected an interface that leads somewhere");
        }
        Some(interface)
    }

    /// An address of the family that the ones before it have.
    fn address_of_family(&mut self, node: &Node, troubles: &mut Troubles) -> Option<IpAddr> {
        let address = troubles.address(node)?;
        if *self.v6.get_or_insert(address.is_ipv6()) != address.is_ipv6() {
            if let Some(word) = node.words().first() {
                troubles.wrong(word, "expected an address of the instance's family");
            }
            return None;
        }
        Some(address)
    }

    fn peer(&mut self, line: &crate::language::Statement, troubles: &mut Troubles) {
        let word = &line.words[0];
        let Some(address) = troubles.address_in(word) else {
            return;
        };
        if *self.v6.get_or_insert(address.is_ipv6()) != address.is_ipv6() {
            return troubles.wrong(word, "expected an address of the instance's family");
        }
        let mut peer = Peer {
            address,
            least_time_to_live: 0,
            most_time_to_live: 255,
        };
        for pair in line.words[1..].chunks(2) {
            let Some(value) = pair.get(1) else {
                troubles.wrong(&pair[0], "expected a value behind it");
                continue;
            };
            let number = troubles.number_in(value, 0..=255);
            let Some(number) = number.and_then(|number| u8::try_from(number).ok()) else {
                continue;
            };
            match pair[0].text.as_str() {
                "min_ttl" => peer.least_time_to_live = number,
                "max_ttl" => peer.most_time_to_live = number,
                _ => troubles.wrong(&pair[0], "expected min_ttl or max_ttl"),
            }
            self.check_source = true;
        }
        if peer.least_time_to_live > peer.most_time_to_live {
            let message = "no time to live is great enough and small enough";
            troubles.warning(word.place, message, "nothing of this peer is taken");
        }
        if self.peers.iter().any(|other| other.address == address) {
            let message = format!("peer {address} is there twice");
            return troubles.warning(word.place, message, "only the first one counts");
        }
        self.peers.push(peer);
    }

    fn addresses(&self, node: &Node, block: &str, troubles: &mut Troubles) -> Vec<VirtualAddress> {
        let blocks = node.nodes.iter().filter(|inner| inner.name() == block);
        let mut addresses: Vec<VirtualAddress> = Vec::new();
        for line in blocks.flat_map(|block| &block.lines) {
            let Some(mut found) = address::address(line, None, false, troubles) else {
                continue;
            };
            let other = |interface: &InterfaceName| Some(interface) != self.interface.as_ref();
            let elsewhere = found.interface.as_ref().is_some_and(other);
            found.on_vmac |= self.vmac_of_addresses && elsewhere;
            let same = |before: &VirtualAddress| {
                (before.address, &before.interface) == (found.address, &found.interface)
            };
            if addresses.iter().any(same) {
                let word = &line.words[0];
                let message = format!("address {} is there twice", found.address);
                troubles.note(word.place, message, "only the first one counts");
            } else {
                addresses.push(found);
            }
        }
        addresses
    }

    fn one_family(&mut self, addresses: &[VirtualAddress], node: &Node, troubles: &mut Troubles) {
        let Some(first) = addresses.first() else {
            return;
        };
        let v6 = *self.v6.get_or_insert(first.address.is_ipv6());
        if addresses
            .iter()
            .any(|address| address.address.is_ipv6() != v6)
        {
            let place = node
                .last("virtual_ipaddress")
                .map_or(node.place(), Node::place);
            let message = "the addresses are of both families";
            let expected = "expected the other family's in `virtual_ipaddress_excluded`";
            troubles.error(place, message, expected);
        }
    }

    fn version(&self, globals: &Globals, node: &Node, troubles: &mut Troubles) -> Version {
        let said = self.version.or(globals.version);
        if self.v6 != Some(true) {
            return said.unwrap_or(Version::V2);
        }
        if self.version == Some(Version::V2) {
            let place = node.last("version").map_or(node.place(), Node::place);
            let message = "version 2 has no IPv6";
            troubles.note(place, message, "version 3 is taken, as keepalived does");
        }
        Version::V3
    }

    fn interval(&self, version: Version, troubles: &mut Troubles) -> Duration {
        let Some((interval, place)) = self.interval else {
            return Duration::from_secs(1);
        };
        let step = match version {
            Version::V2 => 1000,
            Version::V3 => 10,
        };
        let most = Duration::from_millis(40_950);
        if version == Version::V3 && interval > most {
            troubles.error(
                place,
                "version 3 has no such interval",
                "expected at most 40.95 seconds",
            );
            return most;
        }
        let steps = (interval.as_micros() + step * 500) / (step * 1000);
        let rounded = u64::try_from(steps.max(1) * step).unwrap_or(1000);
        let rounded = Duration::from_millis(rounded);
        if rounded != interval {
            let message = "the protocol has no such interval";
            let expected = format!("{} s is taken, as keepalived does", rounded.as_secs_f64());
            troubles.warning(place, message, expected);
        }
        rounded
    }

    fn preemption(&self, node: &Node, troubles: &mut Troubles) -> Preemption {
        let active = self.wish() == StateWish::Active;
        for (name, said) in [
            ("nopreempt", !self.preempt),
            ("preempt_delay", !self.delay.is_zero()),
        ] {
            if let (Some(inner), true) = (node.last(name), said && active) {
                let message = format!("`{name}` does not go with `state MASTER`");
                troubles.warning(
                    inner.place(),
                    message,
                    "it has no effect, as with keepalived",
                );
            }
        }
        match (self.preempt, active) {
            (false, false) => Preemption::Never,
            (_, true) => Preemption::After(Duration::ZERO),
            (true, false) => Preemption::After(self.delay),
        }
    }

    fn kind(
        &self,
        router_id: VirtualRouterId,
        globals: &Globals,
        node: &Node,
        troubles: &mut Troubles,
    ) -> InterfaceKind {
        let Some(vmac) = &self.vmac else {
            return InterfaceKind::Plain;
        };
        if !self.peers.is_empty() && !self.transmit_by_base {
            let place = node.last("use_vmac").map_or(node.place(), Node::place);
            let message = "peers are spoken to from the interface itself";
            let expected = "`vmac_xmit_base` is taken, as keepalived does";
            troubles.warning(place, message, expected);
        }
        let prefix = globals.vmac_prefix.as_ref();
        let prefixed =
            prefix.and_then(|prefix| InterfaceName::new(&format!("{prefix}.{}", router_id.get())));
        let link_address = vmac.link_address.as_ref().map(|bytes| {
            let mut address = [router_id.get(); 6];
            address[..bytes.len()].copy_from_slice(bytes);
            address
        });
        InterfaceKind::VirtualMac {
            name: vmac.name.clone().or(prefixed),
            link_address,
            transmit_by_base: self.transmit_by_base || !self.peers.is_empty(),
        }
    }

    fn peers(&self, globals: &Globals, v6: bool, node: &Node, troubles: &mut Troubles) -> Peers {
        if self.peers.is_empty() && !self.fault_without_peers {
            if let Some(inner) = node.last("unicast_ttl") {
                let message = "there are no peers";
                troubles.warning(inner.place(), message, "this has no effect");
            }
            let of_all = if v6 {
                globals.groups.1
            } else {
                globals.groups.0
            };
            return Peers::Multicast {
                group: self.group.or(of_all),
            };
        }
        Peers::Unicast {
            peers: self.peers.clone(),
            time_to_live: self.unicast_ttl.unwrap_or(255),
            check_source: self.check_source,
            fault_without: self.fault_without_peers,
        }
    }

    fn announcements(&self) -> Announcements {
        let mut announcements = self.announcements;
        announcements.lower_repeat = self.lower.0.unwrap_or(announcements.repeat);
        announcements.lower_delay = self.lower.1.unwrap_or(announcements.delay);
        announcements
    }
}

/// `old_unicast_checksum [never]`
fn unicast_checksum(node: &Node, troubles: &mut Troubles) -> UnicastChecksum {
    let Some(old) = node.last("old_unicast_checksum") else {
        return UnicastChecksum::AsHeard;
    };
    match old.words().first() {
        None => UnicastChecksum::Old,
        Some(word) if word.text == "never" => UnicastChecksum::Right,
        Some(word) => {
            troubles.wrong(word, "expected `never` or nothing");
            UnicastChecksum::AsHeard
        }
    }
}

/// `use_vmac [[name] NAME] [MAC] [netlink_notify_msg] [group GROUP]`
fn vmac(node: &Node, troubles: &mut Troubles) -> Vmac {
    let mut vmac = Vmac::default();
    let mut words = node.words().iter();
    while let Some(word) = words.next() {
        match word.text.as_str() {
            text if text.contains(':') => {
                vmac.link_address = link_address(text);
                if vmac.link_address.is_none() {
                    let expected = "expected a unicast link address of 5 or 6 bytes";
                    troubles.wrong(word, expected);
                }
            }
            "netlink_notify_msg" => {}
            "group" => {
                let message = "the virtual interface is in the group of its interface";
                troubles.note(word.place, message, "this has no effect in Weir");
                words.next();
            }
            "name" => match words.next() {
                Some(name) => vmac.name = troubles.interface_in(name),
                None => troubles.wrong(word, "expected a name behind it"),
            },
            _ => vmac.name = troubles.interface_in(word),
        }
    }
    vmac
}

fn link_address(text: &str) -> Option<Vec<u8>> {
    let parts = text.trim_end_matches(':').split(':');
    let byte = |part: &str| (part.len() <= 2).then(|| u8::from_str_radix(part, 16).ok())?;
    let bytes: Vec<u8> = parts.map(byte).collect::<Option<_>>()?;
    let rfc = bytes.starts_with(&[0, 0, 0x5e, 0, 1]) || bytes.starts_with(&[0, 0, 0x5e, 0, 2]);
    ((5..=6).contains(&bytes.len()) && bytes[0] & 1 == 0 && !rfc).then_some(bytes)
}

/// `notify_...` of an instance or a group.
pub(super) fn take_notify(notify: &mut Notify, node: &Node, troubles: &mut Troubles) {
    let place: &mut Option<Script> = match node.name() {
        "notify_master" => &mut notify.active,
        "notify_backup" => &mut notify.backup,
        "notify_fault" => &mut notify.fault,
        "notify_stop" => &mut notify.stop,
        "notify" => &mut notify.any,
        "notify_master_rx_lower_pri" => &mut notify.lower_priority,
        "notify_deleted" if node.words().is_empty() => return,
        "notify_deleted" => &mut notify.deleted,
        "smtp_alert" => return set(&mut notify.mail, troubles.switch(node)),
        _ => return,
    };
    *place = super::service::once(place.take(), node, troubles);
}

/// `vrrp_sync_group`
pub(super) fn group(
    node: &Node,
    globals: &Globals,
    instances: &[Instance],
    known: &Trackable<'_>,
    troubles: &mut Troubles,
) -> Option<SyncGroup> {
    let name = troubles.word(node)?.text.clone();
    let mut members: Vec<String> = Vec::new();
    let blocks = node.nodes.iter().filter(|inner| inner.name() == "group");
    let lines = blocks.flat_map(|block| &block.lines);
    for word in lines.flat_map(|line| &line.words) {
        if !instances.iter().any(|instance| instance.name == word.text) {
            let message = format!("there is no vrrp_instance `{}`", word.text);
            troubles.push(Trouble::error(
                word.place,
                message,
                "expected the name of one",
            ));
        } else if members.contains(&word.text) {
            let message = format!("`{}` is there twice", word.text);
            troubles.warning(word.place, message, "it is there once");
        } else {
            members.push(word.text.clone());
        }
    }
    if members.is_empty() {
        let message = format!("sync group `{name}` has no instances");
        troubles.error(node.place(), message, "expected `group { NAME ... }` in it");
        return None;
    }
    let mut notify = Notify {
        mail: globals.mail_vrrp.or(globals.mail).unwrap_or(false),
        ..Notify::default()
    };
    for inner in &node.nodes {
        take_notify(&mut notify, inner, troubles);
    }
    let weights = ["sync_group_tracking_weight", "global_tracking"];
    Some(SyncGroup {
        name,
        members,
        tracking: tracking(node, known, troubles),
        weights_count: weights.iter().any(|name| node.last(name).is_some()),
        notify,
    })
}
