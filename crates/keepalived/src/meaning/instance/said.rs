//! What an instance says, piece by piece, and what follows from the pieces together.

use std::net::IpAddr;
use std::time::Duration;

use weir_config::model::InterfaceName;
use weir_config::model::vrrp::{
    Acceptance, Announcements, InterfaceKind, Peer, Peers, Preemption, Priority, StateWish,
    Version, VirtualAddress, VirtualRouterId,
};

use super::super::address;
use super::super::global::{self, Globals, set};
use super::super::values::Troubles;
use crate::grammar::Node;
use crate::language::place::Place;

use super::vmac::{Vmac, vmac};

/// What an instance says, piece by piece.
pub(super) struct Said {
    pub(super) interface: Option<InterfaceName>,
    pub(super) router_id: Option<VirtualRouterId>,
    pub(super) version: Option<Version>,
    pub(super) v6: Option<bool>,
    pub(super) priority: Option<Priority>,
    pub(super) interval: Option<(Duration, Place)>,
    pub(super) wish: Option<StateWish>,
    pub(super) preempt: bool,
    pub(super) delay: Duration,
    pub(super) source: Option<IpAddr>,
    pub(super) group: Option<IpAddr>,
    pub(super) peers: Vec<Peer>,
    pub(super) unicast_ttl: Option<u8>,
    pub(super) check_source: bool,
    pub(super) fault_without_peers: bool,
    pub(super) vmac: Option<Vmac>,
    pub(super) vmac_of_addresses: bool,
    pub(super) transmit_by_base: bool,
    pub(super) acceptance: Option<Acceptance>,
    pub(super) announcements: Announcements,
    pub(super) lower: (Option<u16>, Option<Duration>),
    pub(super) lower_priority_silent: Option<bool>,
    pub(super) sync_interface: Option<InterfaceName>,
}

impl Said {
    pub(super) fn new(globals: &Globals) -> Self {
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
    pub(super) fn priority(&self) -> Priority {
        let of_wish = match self.wish {
            Some(StateWish::Active) => Priority::OWNER,
            Some(StateWish::Backup) | None => Priority::default(),
        };
        self.priority.unwrap_or(of_wish)
    }

    /// Unless it is said, who owns the addresses begins as Active.
    pub(super) fn wish(&self) -> StateWish {
        self.wish.unwrap_or(match self.priority().is_owner() {
            true => StateWish::Active,
            false => StateWish::Backup,
        })
    }

    pub(super) fn take(&mut self, node: &Node, troubles: &mut Troubles) {
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

    pub(super) fn take_peers(&mut self, node: &Node, troubles: &mut Troubles) {
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

    pub(super) fn interface_of(
        &self,
        node: &Node,
        troubles: &mut Troubles,
    ) -> Option<InterfaceName> {
        let interface = troubles.interface(node)?;
        if interface.as_str() == "lo"
            && let Some(word) = node.words().first()
        {
            troubles.wrong(word, "expected an interface that leads somewhere");
        }
        Some(interface)
    }

    /// An address of the family that the ones before it have.
    pub(super) fn address_of_family(
        &mut self,
        node: &Node,
        troubles: &mut Troubles,
    ) -> Option<IpAddr> {
        let address = troubles.address(node)?;
        if *self.v6.get_or_insert(address.is_ipv6()) != address.is_ipv6() {
            if let Some(word) = node.words().first() {
                troubles.wrong(word, "expected an address of the instance's family");
            }
            return None;
        }
        Some(address)
    }

    pub(super) fn peer(&mut self, line: &crate::language::Statement, troubles: &mut Troubles) {
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

    pub(super) fn addresses(
        &self,
        node: &Node,
        block: &str,
        troubles: &mut Troubles,
    ) -> Vec<VirtualAddress> {
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

    pub(super) fn one_family(
        &mut self,
        addresses: &[VirtualAddress],
        node: &Node,
        troubles: &mut Troubles,
    ) {
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

    pub(super) fn version(
        &self,
        globals: &Globals,
        node: &Node,
        troubles: &mut Troubles,
    ) -> Version {
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

    pub(super) fn interval(&self, version: Version, troubles: &mut Troubles) -> Duration {
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

    pub(super) fn preemption(&self, node: &Node, troubles: &mut Troubles) -> Preemption {
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

    pub(super) fn kind(
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

    pub(super) fn peers(
        &self,
        globals: &Globals,
        v6: bool,
        node: &Node,
        troubles: &mut Troubles,
    ) -> Peers {
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

    pub(super) fn announcements(&self) -> Announcements {
        let mut announcements = self.announcements;
        announcements.lower_repeat = self.lower.0.unwrap_or(announcements.repeat);
        announcements.lower_delay = self.lower.1.unwrap_or(announcements.delay);
        announcements
    }
}
