//! All instances and groups of this director.

use core::time::Duration;

use weir_config::model::vrrp::{Peers, Vrrp};

use crate::action::{Notice, Subject};
use crate::group::{Group, Unit};
use crate::instance::{Context, Heard, Instance, group_address, protocol};
use crate::packet::{self, Addressed};
use crate::tracking::Facts;
use crate::view::{GroupView, InstanceView, Reason, Socket, speaking_interface};
use crate::{Action, Event, Memory, Moment, Packet, State};

/// All instances and groups of this director.
#[derive(Clone, Debug)]
pub struct Router {
    config: Vrrp,
    /// Whether a change of priority is told.
    tells_priorities: bool,
    facts: Facts,
    instances: Vec<Instance>,
    units: Vec<Unit>,
    phase: Phase,
    /// Packets that no instance wants.
    strangers: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Facts are told.
    New,
    /// It begins then.
    Delayed(Duration),
    Running,
    Stopped,
}

impl Router {
    /// A router that has not begun; `memories` are what an earlier daemon knew.
    pub fn new(config: &Vrrp, moment: Moment, memories: &[Memory]) -> Self {
        let memory = |name: &str| {
            memories
                .iter()
                .find(|memory| &*memory.name == name)
                .cloned()
        };
        let instances = config.instances.iter();
        let instances: Vec<Instance> = instances
            .map(|wanted| Instance::new(wanted, moment.now, memory(&wanted.name)))
            .collect();
        let units = units(config, &instances, Vec::new(), moment.now);
        Self {
            config: config.clone(),
            tells_priorities: false,
            facts: Facts::default(),
            instances,
            units,
            phase: Phase::New,
            strangers: 0,
        }
    }

    /// Whether a change of priority is told ([`Notice::Priority`]); it is not unless asked for.
    pub fn tell_priorities(&mut self, tells: bool) {
        self.tells_priorities = tells;
    }

    /// Takes in what happens; what is to be done is pushed to `actions`.
    ///
    /// Who was held up for a while should give packets that have come before [`Event::Tick`]: what was said meanwhile counts.
    pub fn handle(&mut self, moment: Moment, event: &Event<'_>, actions: &mut Vec<Action>) {
        if self.phase == Phase::Stopped {
            return;
        }
        let mut context = Context { moment, actions };
        let now = moment.now;
        match event {
            Event::Packet(packet) => return self.packet(packet, &mut context),
            Event::Start => {
                if self.phase == Phase::New {
                    self.phase = Phase::Delayed(now.saturating_add(self.config.startup_delay));
                }
            }
            Event::Tick => {}
            Event::Stop => return self.stop(&mut context),
            Event::Reload(config) => self.reload(config, &mut context),
            Event::Interface { name, up } => self.facts.interface(name, *up),
            Event::Addresses {
                interface,
                addresses,
            } => self.facts.addresses(interface, addresses),
            Event::Script { name, passed } => {
                let script = self
                    .config
                    .scripts
                    .iter()
                    .find(|script| script.name == *name);
                if let Some(script) = script {
                    self.facts.script(script, *passed);
                }
            }
            Event::File { name, number } => self.facts.file(name, *number),
            Event::Process { name, count } => {
                let process = self.config.processes.iter();
                let process = process.clone().find(|process| process.name == *name);
                if let Some(process) = process {
                    self.facts.process(process, *count, now);
                }
            }
            Event::Bfd { name, up } => self.facts.session(name, *up),
            Event::Quorum { service, up } => self.facts.quorum(*service, *up),
            Event::PathInPlace(path) => self.facts.path_in_place(*path),
        }
        self.facts.advance(now);
        self.settle(&mut context);
        if matches!(event, Event::Tick) {
            self.tick(&mut context);
        }
    }

    /// When it wants an [`Event::Tick`], unless something happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        let begins = match self.phase {
            Phase::Delayed(at) => Some(at),
            Phase::New | Phase::Running => None,
            Phase::Stopped => return None,
        };
        let instances = self.instances.iter().filter_map(Instance::next_deadline);
        instances
            .chain(self.facts.next_deadline())
            .chain(begins)
            .min()
    }

    /// Looks at what is known, and lets all that may begin, or must end, do so.
    fn settle(&mut self, context: &mut Context<'_>) {
        let mut begins = self.phase == Phase::Running;
        if let Phase::Delayed(at) = self.phase
            && at <= context.now()
        {
            self.phase = Phase::Running;
            begins = true;
        }
        for unit in &mut self.units {
            for at in unit.members.iter().copied() {
                let Some(instance) = self.instances.get_mut(at) else {
                    continue;
                };
                let group = unit.group.as_ref().map(|group| &group.wanted);
                let verdict = self.facts.judge(&self.config, &instance.wanted, group);
                instance.take_verdict(verdict, self.tells_priorities, context);
            }
            if begins {
                unit.settle(&mut self.instances, context);
            }
        }
    }

    fn tick(&mut self, context: &mut Context<'_>) {
        for unit in &mut self.units {
            for at in unit.members.clone() {
                let Some(instance) = self.instances.get_mut(at) else {
                    continue;
                };
                if instance.is_silent_for_too_long(context.now()) {
                    unit.claim(at, &mut self.instances, context);
                } else {
                    instance.tick_as_active(context);
                }
            }
        }
    }

    fn packet(&mut self, packet: &Packet<'_>, context: &mut Context<'_>) {
        let found = Addressed::find(packet);
        let found = found.and_then(|found| Some((self.whose(&found, packet.interface)?, found)));
        let Some((at, found)) = found else {
            self.strangers += 1;
            return;
        };
        let unit = self
            .units
            .iter_mut()
            .find(|unit| unit.members.contains(&at));
        let (Some(unit), Some(instance)) = (unit, self.instances.get_mut(at)) else {
            return;
        };
        match instance.hear(&found, context) {
            Heard::Nothing => {}
            Heard::Better(why) => unit.yield_to(at, why, &mut self.instances, context),
            Heard::Lower => unit.announce_others(at, &mut self.instances, context),
        }
    }

    /// The instance of that number on the interface. Several may have it, if they speak with different peers.
    fn whose(&self, found: &Addressed<'_>, interface: &str) -> Option<usize> {
        let source = found.source();
        let multicast = found
            .destination()
            .is_some_and(|destination| destination.is_multicast());
        let suits = |instance: &Instance| {
            instance.wanted.router_id.get() == packet::router_id(found)
                && instance.wanted.v6 == source.is_ipv6()
                && speaking_interface(&instance.wanted).as_str() == interface
        };
        // Rather who speaks as it came, rather whose peer it is.
        let fitness = |instance: &Instance| match &instance.wanted.peers {
            Peers::Multicast { .. } => u8::from(multicast),
            Peers::Unicast { .. } if multicast => 0,
            Peers::Unicast { peers, .. } => {
                let is_peer = peers.iter().any(|peer| peer.address == source);
                1 + u8::from(is_peer)
            }
        };
        let candidates = self
            .instances
            .iter()
            .enumerate()
            .filter(|(_, it)| suits(it));
        let best = candidates.max_by_key(|(at, it)| (fitness(it), core::cmp::Reverse(*at)));
        best.map(|(at, _)| at)
    }

    fn stop(&mut self, context: &mut Context<'_>) {
        self.phase = Phase::Stopped;
        for instance in &mut self.instances {
            instance.enter(State::Initialize, Reason::Stopped, true, context);
            let (who, priority) = (instance.subject(), instance.priority());
            context.push(Action::Notify(Notice::Stop { who, priority }));
        }
        for group in self.units.iter().filter_map(|unit| unit.group.as_ref()) {
            let who = Subject::Group(group.name.clone());
            context.push(Action::Notify(Notice::Stop { who, priority: 0 }));
        }
    }

    /// What is the same virtual router keeps its state; what is gone hands over.
    fn reload(&mut self, config: &Vrrp, context: &mut Context<'_>) {
        let now = context.now();
        let mut before = core::mem::take(&mut self.instances);
        let mut instances = Vec::with_capacity(config.instances.len());
        for wanted in &config.instances {
            let same = before
                .iter()
                .position(|instance| instance.is_same_router(wanted));
            let Some(same) = same else {
                instances.push(Instance::new(wanted, now, None));
                continue;
            };
            let mut instance = before.swap_remove(same);
            if instance.wanted != *wanted {
                let was = instance.wanted.clone();
                instance.configure(wanted);
                if changes_what_is_said(&was, wanted) {
                    instance.put_again(context);
                }
            }
            instances.push(instance);
        }
        for mut instance in before {
            instance.enter(State::Initialize, Reason::Reloaded, true, context);
            // Under its name there may be another virtual router now.
            if config
                .instances
                .iter()
                .all(|other| other.name != *instance.name)
            {
                let (who, priority) = (instance.subject(), instance.priority());
                context.push(Action::Notify(Notice::Deleted { who, priority }));
            }
            context.push(Action::Gone(instance.name.clone()));
        }
        let groups = self.units.drain(..).filter_map(|unit| unit.group).collect();
        self.units = units(config, &instances, groups, now);
        self.instances = instances;
        self.facts.keep(config);
        self.config = config.clone();
    }

    /// The sockets that its instances need, each once. It changes by [`Event::Reload`] only.
    pub fn sockets(&self) -> Vec<Socket> {
        let mut sockets = Vec::new();
        for instance in &self.instances {
            let wanted = &instance.wanted;
            let socket = Socket {
                interface: speaking_interface(wanted),
                v6: wanted.v6,
                protocol: protocol(&wanted.authentication),
                group: group_address(&wanted.peers, wanted.v6),
            };
            if !sockets.contains(&socket) {
                sockets.push(socket);
            }
        }
        sockets
    }

    /// Its instances.
    pub fn instances(&self) -> Vec<InstanceView> {
        let mut views = Vec::with_capacity(self.instances.len());
        for (at, instance) in self.instances.iter().enumerate() {
            let unit = self.units.iter().find(|unit| unit.members.contains(&at));
            let faults = unit.map(|unit| unit.faults_of(at, &self.instances));
            let group = unit.and_then(|unit| unit.group.as_ref());
            let group = group.map(|group| group.name.clone());
            views.push(instance.view(faults.unwrap_or_default(), group));
        }
        views
    }

    /// What an instance is.
    pub fn state(&self, name: &str) -> Option<State> {
        let instance = self
            .instances
            .iter()
            .find(|instance| &*instance.name == name);
        instance.map(|instance| instance.state)
    }

    /// Its groups.
    pub fn groups(&self) -> Vec<GroupView> {
        let units = self.units.iter();
        let groups = units.filter_map(|unit| Some((unit, unit.group.as_ref()?)));
        groups
            .map(|(unit, group)| GroupView {
                name: group.name.clone(),
                state: group.state,
                since: group.since,
                members: unit
                    .members
                    .iter()
                    .filter_map(|at| self.instances.get(*at))
                    .map(|instance| instance.name.clone())
                    .collect(),
                transitions: group.transitions.iter().cloned().collect(),
            })
            .collect()
    }

    /// Packets that were about no instance of ours, or too short to be about any.
    pub const fn strangers(&self) -> u64 {
        self.strangers
    }

    /// What a daemon that replaces this one should know.
    pub fn memories(&self, moment: Moment) -> Vec<Memory> {
        let instances = self.instances.iter();
        instances
            .map(|instance| instance.remember(moment.now))
            .collect()
    }
}

/// Whether what is put and advertised changes, not only what happens then.
fn changes_what_is_said(
    was: &weir_config::model::vrrp::Instance,
    is: &weir_config::model::vrrp::Instance,
) -> bool {
    was.addresses != is.addresses
        || was.excluded_addresses != is.excluded_addresses
        || was.routes != is.routes
        || was.rules != is.rules
        || was.acceptance != is.acceptance
        || was.interval != is.interval
        || was.missed != is.missed
        || was.priority != is.priority
}

/// The groups with their members, and every other instance by itself. Groups that have been go on as they are.
fn units(config: &Vrrp, instances: &[Instance], before: Vec<Group>, now: Duration) -> Vec<Unit> {
    let mut before = before;
    let mut units = Vec::new();
    let mut taken = vec![false; instances.len()];
    for wanted in &config.groups {
        let members = wanted.members.iter();
        let members = members.filter_map(|name| {
            instances
                .iter()
                .position(|instance| instance.wanted.name == *name)
        });
        let members: Vec<usize> = members
            .filter(|at| !taken.get(*at).copied().unwrap_or(true))
            .collect();
        for at in &members {
            if let Some(taken) = taken.get_mut(*at) {
                *taken = true;
            }
        }
        let known = before
            .iter()
            .position(|group| group.wanted.name == wanted.name);
        let group = match known {
            Some(known) => Group {
                wanted: wanted.clone(),
                ..before.swap_remove(known)
            },
            None => Group::new(wanted, now),
        };
        if !members.is_empty() {
            units.push(Unit {
                group: Some(group),
                members,
            });
        }
    }
    for (at, taken) in taken.iter().enumerate() {
        if !taken {
            units.push(Unit {
                group: None,
                members: vec![at],
            });
        }
    }
    units
}
