//! What instances depend on: what is known of it, and what follows.

use core::time::Duration;
use std::collections::BTreeMap;
use std::net::IpAddr;

use weir_config::model::ServiceKey;
use weir_config::model::vrrp::{
    Instance, InterfaceKind, Peers, SyncGroup, Tracking, Vrrp, VrrpProcess, VrrpScript, Weighting,
};

use crate::view::{Fault, TrackerView, speaking_interface};

/// A number of a file that is as bad as this is a Fault (keepalived's bounds).
const FAULT_FROM: i64 = -254;
const MOST: i64 = 253;

/// All that has been told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    interfaces: BTreeMap<String, bool>,
    addresses: BTreeMap<String, Vec<IpAddr>>,
    scripts: BTreeMap<String, ScriptResult>,
    files: BTreeMap<String, i32>,
    processes: BTreeMap<String, ProcessResult>,
    sessions: BTreeMap<String, bool>,
    quorums: BTreeMap<ServiceKey, bool>,
    path: bool,
}

/// What a script's runs come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct ScriptResult {
    /// Nothing before the first run.
    up: Option<bool>,
    /// So many runs in a row say otherwise.
    against: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct ProcessResult {
    up: bool,
    /// It changes then.
    changes: Option<Duration>,
}

/// What follows for an instance.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Verdict {
    /// Why it takes no part; not in a group's other members.
    pub(crate) faults: Vec<Fault>,
    /// Whether the first result of a script is waited for.
    pub(crate) waits: bool,
    /// What is added to its priority.
    pub(crate) adds: i32,
    /// From where it speaks.
    pub(crate) source: Option<IpAddr>,
    /// Each by itself.
    pub(crate) trackers: Vec<TrackerView>,
}

impl Facts {
    pub(crate) fn path_in_place(&mut self, path: bool) {
        self.path = path;
    }

    pub(crate) fn interface(&mut self, name: &str, up: bool) {
        self.interfaces.insert(name.to_owned(), up);
    }

    pub(crate) fn addresses(&mut self, interface: &str, addresses: &[IpAddr]) {
        self.addresses
            .insert(interface.to_owned(), addresses.to_vec());
    }

    pub(crate) fn file(&mut self, name: &str, number: i32) {
        self.files.insert(name.to_owned(), number);
    }

    pub(crate) fn session(&mut self, name: &str, up: bool) {
        self.sessions.insert(name.to_owned(), up);
    }

    pub(crate) fn quorum(&mut self, service: ServiceKey, up: bool) {
        self.quorums.insert(service, up);
    }

    /// The first run counts at once (unless `init_fail`), later ones when `rise` or `fall` of them agree.
    pub(crate) fn script(&mut self, script: &VrrpScript, passed: bool) {
        let result = self
            .scripts
            .entry(script.name.clone())
            .or_insert(ScriptResult {
                up: script.fails_first.then_some(false),
                against: 0,
            });
        let Some(up) = result.up else {
            result.up = Some(passed);
            return;
        };
        if up == passed {
            result.against = 0;
            return;
        }
        result.against += 1;
        let needed = if passed { script.rise } else { script.fall };
        if result.against >= needed.get() {
            *result = ScriptResult {
                up: Some(passed),
                against: 0,
            };
        }
    }

    /// A number of processes counts when it has held for the delay; the first counts at once.
    pub(crate) fn process(&mut self, process: &VrrpProcess, count: u32, now: Duration) {
        let enough = count >= process.least && process.most.is_none_or(|most| count <= most);
        let Some(result) = self.processes.get_mut(&process.name) else {
            let result = ProcessResult {
                up: enough,
                changes: None,
            };
            self.processes.insert(process.name.clone(), result);
            return;
        };
        if result.up == enough {
            result.changes = None;
            return;
        }
        let delay = if enough {
            process.delay_up
        } else {
            process.delay_down
        };
        result.changes = result.changes.or(Some(now.saturating_add(delay)));
    }

    /// Lets what has held long enough count.
    pub(crate) fn advance(&mut self, now: Duration) {
        for result in self.processes.values_mut() {
            if result.changes.is_some_and(|at| at <= now) {
                result.up = !result.up;
                result.changes = None;
            }
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.processes
            .values()
            .filter_map(|result| result.changes)
            .min()
    }

    /// Forgets what the configuration does not know any more.
    pub(crate) fn keep(&mut self, config: &Vrrp) {
        self.scripts
            .retain(|name, _| config.scripts.iter().any(|known| known.name == *name));
        self.files
            .retain(|name, _| config.files.iter().any(|known| known.name == *name));
        self.processes
            .retain(|name, _| config.processes.iter().any(|known| known.name == *name));
        self.sessions
            .retain(|name, _| config.bfd.iter().any(|known| known.name == *name));
    }

    fn is_up(&self, interface: &str) -> bool {
        self.interfaces.get(interface).copied().unwrap_or_default()
    }

    fn addresses_of(&self, interface: &str) -> &[IpAddr] {
        self.addresses.get(interface).map_or(&[], Vec::as_slice)
    }

    /// What follows for an instance, in its group if it has one.
    pub(crate) fn judge(
        &self,
        config: &Vrrp,
        instance: &Instance,
        group: Option<&SyncGroup>,
    ) -> Verdict {
        let mut verdict = Verdict {
            source: self.source(config, instance),
            ..Verdict::default()
        };
        if !self.path {
            verdict.faults.push(Fault::NoPath);
        }
        self.judge_link(instance, &mut verdict);
        self.judge_source(instance, &mut verdict);
        let weights_count = group.is_none_or(|group| group.weights_count);
        let mut seen = Weighed {
            facts: self,
            config,
            verdict: &mut verdict,
            weights_count,
        };
        seen.all(&instance.tracking);
        if let Some(group) = group {
            seen.all(&group.tracking);
        }
        verdict.faults.sort();
        verdict.faults.dedup();
        verdict
    }

    /// Its own interface, and those of what it puts.
    fn judge_link(&self, instance: &Instance, verdict: &mut Verdict) {
        let mut needed = Vec::new();
        if !instance.tracking.own_interface_ignored {
            needed.push(instance.interface.as_str());
        }
        for address in instance
            .addresses
            .iter()
            .chain(&instance.excluded_addresses)
        {
            if let Some(interface) = address.interface.as_ref().filter(|_| !address.untracked) {
                needed.push(interface.as_str());
            }
        }
        for route in instance.routes.iter().filter(|route| !route.untracked) {
            let hops = route.next_hops.iter();
            needed.extend(
                hops.filter_map(|hop| hop.interface.as_ref())
                    .map(|name| name.as_str()),
            );
        }
        // What is put on the virtual link follows the link that it is made on.
        let virtual_link = speaking_interface(instance);
        needed
            .retain(|name| *name == instance.interface.as_str() || *name != virtual_link.as_str());
        for name in needed {
            if !self.is_up(name) {
                verdict.faults.push(Fault::Interface(name.to_owned()));
            }
        }
    }

    fn judge_source(&self, instance: &Instance, verdict: &mut Verdict) {
        match (instance.source, verdict.source) {
            (_, None) => verdict.faults.push(Fault::NoSource),
            (Some(source), Some(_)) if instance.track_source => {
                let interface = instance.interface.as_str();
                if !self.addresses_of(interface).contains(&source) {
                    verdict.faults.push(Fault::SourceMissing(source));
                }
            }
            (Some(_) | None, Some(_)) => {}
        }
        if let Peers::Unicast {
            peers,
            fault_without: true,
            ..
        } = &instance.peers
            && peers.is_empty()
        {
            verdict.faults.push(Fault::NoPeers);
        }
    }

    /// What is configured, or the first address of the interface that is not a virtual one; of IPv6 its link's own (RFC
    /// 9568, 5.1.2.1). Who owns the addresses may have no other.
    fn source(&self, config: &Vrrp, instance: &Instance) -> Option<IpAddr> {
        if instance.source.is_some() {
            return instance.source;
        }
        let on_virtual_link = instance.v6
            && matches!(
                instance.kind,
                InterfaceKind::VirtualMac {
                    transmit_by_base: false,
                    ..
                }
            );
        let interface = match on_virtual_link {
            true => speaking_interface(instance),
            false => instance.interface.clone(),
        };
        let suits = |address: &&IpAddr| match address {
            IpAddr::V4(_) => !instance.v6,
            IpAddr::V6(address) => instance.v6 && address.is_unicast_link_local(),
        };
        let mut candidates = self.addresses_of(interface.as_str()).iter().filter(suits);
        let is_virtual = |address: &IpAddr| {
            let all = config.instances.iter();
            let mut all =
                all.flat_map(|other| other.addresses.iter().chain(&other.excluded_addresses));
            all.any(|other| other.address == *address)
        };
        match instance.priority.is_owner() {
            true => candidates.next().copied(),
            false => candidates.find(|address| !is_virtual(address)).copied(),
        }
    }
}

struct Weighed<'a> {
    facts: &'a Facts,
    config: &'a Vrrp,
    verdict: &'a mut Verdict,
    weights_count: bool,
}

impl Weighed<'_> {
    fn all(&mut self, tracking: &Tracking) {
        for tracked in &tracking.interfaces {
            let name = tracked.interface.as_str();
            let up = Some(self.facts.is_up(name));
            let fault = Fault::Interface(name.to_owned());
            self.one("interface", name, up, tracked.weighting, fault);
        }
        for tracked in &tracking.scripts {
            let name = tracked.name.as_str();
            let script = self
                .config
                .scripts
                .iter()
                .find(|script| script.name == name);
            let Some(script) = script else { continue };
            let result = self.facts.scripts.get(name);
            let up = match result {
                Some(result) => result.up,
                None => script.fails_first.then_some(false),
            };
            let weighting = tracked.weighting.unwrap_or(script.weighting);
            self.one(
                "script",
                name,
                up,
                weighting,
                Fault::Script(name.to_owned()),
            );
        }
        for tracked in &tracking.files {
            let name = tracked.name.as_str();
            let file = self.config.files.iter().find(|file| file.name == name);
            let Some(file) = file else { continue };
            let number = self.facts.files.get(name).copied().unwrap_or_default();
            let (factor, reverse) = match tracked.factor {
                Some(factor) => (factor, tracked.reverse),
                None => (file.factor, file.reverse),
            };
            self.file(name, number, factor, reverse);
        }
        for tracked in &tracking.processes {
            let name = tracked.name.as_str();
            let process = self
                .config
                .processes
                .iter()
                .find(|process| process.name == name);
            let Some(process) = process else { continue };
            let up = self
                .facts
                .processes
                .get(name)
                .is_some_and(|result| result.up);
            let weighting = tracked.weighting.unwrap_or(process.weighting);
            self.one(
                "process",
                name,
                Some(up),
                weighting,
                Fault::Process(name.to_owned()),
            );
        }
        for tracked in &tracking.bfd {
            let name = tracked.name.as_str();
            let session = self.config.bfd.iter().find(|session| session.name == name);
            let Some(session) = session else { continue };
            let up = self.facts.sessions.get(name).copied().unwrap_or_default();
            let weighting = tracked.weighting.unwrap_or(session.weighting);
            self.one(
                "bfd",
                name,
                Some(up),
                weighting,
                Fault::Bfd(name.to_owned()),
            );
        }
        for (service, weighting) in &tracking.services {
            let up = self.facts.quorums.get(service).copied().unwrap_or_default();
            let name = service.to_string();
            self.one(
                "service",
                &name,
                Some(up),
                *weighting,
                Fault::Quorum(name.clone()),
            );
        }
        self.addresses(tracking);
    }

    fn addresses(&mut self, tracking: &Tracking) {
        for tracked in &tracking.addresses {
            let address = tracked.address;
            let up = match &tracked.interface {
                Some(interface) => {
                    let there = self.facts.addresses_of(interface.as_str());
                    there.contains(&address)
                }
                None => self
                    .facts
                    .addresses
                    .values()
                    .flatten()
                    .any(|one| *one == address),
            };
            let fault = Fault::Address(address);
            let weighting = Weighting::Fault { reverse: false };
            self.one("address", &address.to_string(), Some(up), weighting, fault);
        }
    }

    /// Something that is up, down or not known yet.
    fn one(
        &mut self,
        kind: &'static str,
        name: &str,
        up: Option<bool>,
        weighting: Weighting,
        fault: Fault,
    ) {
        let (adds, faults) = match (weighting, up) {
            (Weighting::Fault { reverse }, Some(up)) => (0, up == reverse),
            (Weighting::Fault { .. }, None) => {
                self.verdict.waits = true;
                (0, false)
            }
            (Weighting::Add { .. }, None) => (0, false),
            (Weighting::Add { weight, reverse }, Some(up)) => {
                let counts = if weight > 0 { up } else { !up };
                let weight = i32::from(weight);
                let adds = if counts { weight } else { 0 };
                (if reverse { -adds } else { adds }, false)
            }
        };
        self.note(kind, name, up, adds, faults.then_some(fault));
    }

    fn file(&mut self, name: &str, number: i32, factor: i32, reverse: bool) {
        let status = match factor {
            0 if (number != 0) != reverse => FAULT_FROM,
            0 => 0,
            factor => {
                let sign = if reverse { -1 } else { 1 };
                i64::from(number) * i64::from(factor) * sign
            }
        };
        let faults = status <= FAULT_FROM;
        let adds = match faults {
            true => 0,
            // Between -253 and 253.
            false => status.min(MOST) as i32,
        };
        let fault = faults.then(|| Fault::File(name.to_owned()));
        self.note("file", name, Some(!faults), adds, fault);
    }

    fn note(
        &mut self,
        kind: &'static str,
        name: &str,
        up: Option<bool>,
        adds: i32,
        fault: Option<Fault>,
    ) {
        let adds = if self.weights_count { adds } else { 0 };
        self.verdict.adds += adds;
        self.verdict.trackers.push(TrackerView {
            kind,
            name: name.to_owned(),
            up,
            adds,
            faults: fault.is_some(),
        });
        self.verdict.faults.extend(fault);
    }
}
