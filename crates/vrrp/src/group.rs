//! Instances that change together. An instance in no group is a unit of itself: the same rules hold.

use core::time::Duration;
use std::collections::VecDeque;

use weir_config::model::vrrp::SyncGroup;

use crate::action::{Action, Notice, Subject};
use crate::instance::{Context, Instance, REMEMBERED};
use crate::view::{Fault, Reason, Transition};
use crate::{Name, State};

/// What changes together.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    /// Of a group: it, as it is told of.
    pub(crate) group: Option<Group>,
    /// Where the members are among the instances; at least one.
    pub(crate) members: Vec<usize>,
}

/// A group as it is told of.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) wanted: SyncGroup,
    pub(crate) name: Name,
    pub(crate) state: State,
    pub(crate) since: Duration,
    pub(crate) transitions: VecDeque<Transition>,
}

impl Group {
    pub(crate) fn new(wanted: &SyncGroup, now: Duration) -> Self {
        Self {
            wanted: wanted.clone(),
            name: wanted.name.as_str().into(),
            state: State::Initialize,
            since: now,
            transitions: VecDeque::new(),
        }
    }
}

impl Unit {
    fn any<'a>(&'a self, instances: &'a [Instance], is: impl Fn(&Instance) -> bool) -> bool {
        self.members
            .iter()
            .filter_map(|at| instances.get(*at))
            .any(is)
    }

    fn all<'a>(&'a self, instances: &'a [Instance], are: impl Fn(&Instance) -> bool) -> bool {
        self.members
            .iter()
            .filter_map(|at| instances.get(*at))
            .all(are)
    }

    /// Takes its members to where what they depend on allows, and lets them begin if they have not.
    pub(crate) fn settle(&mut self, instances: &mut [Instance], context: &mut Context<'_>) {
        let at_fault = self.members.iter().copied().find(|at| {
            instances
                .get(*at)
                .is_some_and(|instance| !instance.faults.is_empty())
        });
        if let Some(at_fault) = at_fault {
            self.fail(at_fault, instances, context);
        } else if self.any(instances, |instance| instance.state.takes_no_part()) {
            match self.any(instances, |instance| instance.waits) {
                true => self.wait(instances, context),
                false => self.begin(instances, context),
            }
        }
        self.agree(instances, context);
        self.tell(instances, context);
    }

    /// Another configuration may have put together what is not alike: Backup is what all may be.
    fn agree(&mut self, instances: &mut [Instance], context: &mut Context<'_>) {
        let has = |state: State| self.any(instances, |instance| instance.state == state);
        if !(has(State::Active) && has(State::Backup)) {
            return;
        }
        for at in self.members.iter().copied() {
            if let Some(instance) = instances.get_mut(at) {
                instance.enter(State::Backup, Reason::Reloaded, true, context);
            }
        }
    }

    /// All of it into Fault.
    fn fail(&mut self, at_fault: usize, instances: &mut [Instance], context: &mut Context<'_>) {
        let blamed = instances
            .get(at_fault)
            .map(|instance| instance.name.clone());
        for at in self.members.iter().copied() {
            let Some(instance) = instances.get_mut(at) else {
                continue;
            };
            let why = match (instance.faults.first(), &self.group, &blamed) {
                (Some(fault), _, _) => Reason::Fault(fault.clone()),
                (None, Some(group), Some(member)) => Reason::Group {
                    group: group.name.clone(),
                    member: member.clone(),
                },
                (None, _, _) => Reason::Started,
            };
            instance.enter(State::Fault, why, true, context);
        }
    }

    /// Nothing is wrong any more, but the first result of a script is not there.
    fn wait(&mut self, instances: &mut [Instance], context: &mut Context<'_>) {
        for at in self.members.iter().copied() {
            let instance = instances.get_mut(at);
            if let Some(instance) = instance.filter(|instance| instance.state == State::Fault) {
                instance.enter(State::Initialize, Reason::Recovered, false, context);
            }
        }
    }

    /// All of it out of Initialize or Fault.
    fn begin(&mut self, instances: &mut [Instance], context: &mut Context<'_>) {
        let new = self.any(instances, |instance| instance.state == State::Initialize);
        let all_own = self.all(instances, Instance::is_owner);
        let all_adopted = new && self.all(instances, Instance::is_adopted);
        // Some of a group may go on already, after another configuration.
        let joins = self.any(instances, |instance| instance.state == State::Active);
        for at in self.members.iter().copied() {
            let Some(instance) = instances.get_mut(at) else {
                continue;
            };
            if !instance.state.takes_no_part() {
                continue;
            }
            let recovers = instance.state == State::Fault;
            let (to, why) = match (all_adopted, all_own, joins) {
                (true, _, _) => (State::Active, Reason::Adopted),
                (false, true, _) => (State::Active, Reason::Owner),
                (false, false, true) => (State::Active, Reason::Reloaded),
                (false, false, false) if recovers => (State::Backup, Reason::Recovered),
                (false, false, false) => (State::Backup, Reason::Started),
            };
            instance.enter(to, why, false, context);
            if to == State::Backup && recovers {
                instance.announce_source(context);
            }
        }
    }

    /// A member's timer has run out: all go with it, if all would.
    pub(crate) fn claim(
        &mut self,
        at: usize,
        instances: &mut [Instance],
        context: &mut Context<'_>,
    ) {
        let now = context.now();
        let is_active = self.any(instances, |instance| instance.state == State::Active);
        let Some(instance) = instances.get_mut(at) else {
            return;
        };
        let why = instance.reason_to_be_active();
        let member = instance.name.clone();
        instance.wants_active = true;
        let ready = |instance: &Instance| instance.wants_active || instance.state == State::Active;
        if !is_active && !self.all(instances, ready) {
            if let Some(instance) = instances.get_mut(at) {
                instance.wait_for_group(now);
            }
            return;
        }
        if let Some(instance) = instances.get_mut(at) {
            instance.enter(State::Active, why, false, context);
        }
        self.follow(State::Active, &member, instances, context);
    }

    /// A member has heard a better router: all are Backup.
    pub(crate) fn yield_to(
        &mut self,
        at: usize,
        why: Reason,
        instances: &mut [Instance],
        context: &mut Context<'_>,
    ) {
        let Some(instance) = instances.get_mut(at) else {
            return;
        };
        let member = instance.name.clone();
        instance.enter(State::Backup, why, false, context);
        self.follow(State::Backup, &member, instances, context);
    }

    fn follow(
        &mut self,
        to: State,
        member: &Name,
        instances: &mut [Instance],
        context: &mut Context<'_>,
    ) {
        let Some(group) = &self.group else { return };
        for at in self.members.iter().copied() {
            if let Some(instance) = instances.get_mut(at) {
                let why = Reason::Group {
                    group: group.name.clone(),
                    member: member.clone(),
                };
                instance.enter(to, why, false, context);
            }
        }
        self.tell(instances, context);
    }

    /// A member has heard a lower priority: the others may have been taken over too for a while, and cannot hear it.
    pub(crate) fn announce_others(
        &self,
        at: usize,
        instances: &mut [Instance],
        context: &mut Context<'_>,
    ) {
        for other in self.members.iter().copied().filter(|other| *other != at) {
            if let Some(instance) = instances.get_mut(other) {
                instance.announce_against_lower(context);
            }
        }
    }

    /// What the members have in common, told when it changes.
    fn tell(&mut self, instances: &[Instance], context: &mut Context<'_>) {
        let Some(first) = self.members.first().and_then(|at| instances.get(*at)) else {
            return;
        };
        let (state, why) = (first.state, first.last_reason());
        if !self.all(instances, |instance| instance.state == state) {
            return;
        }
        let Some(group) = &mut self.group else { return };
        if group.state == state {
            return;
        }
        let transition = Transition {
            at: context.now(),
            from: group.state,
            to: state,
            why: why.unwrap_or(Reason::Started),
        };
        group.state = state;
        group.since = context.now();
        group.transitions.push_front(transition.clone());
        group.transitions.truncate(REMEMBERED);
        let who = Subject::Group(group.name.clone());
        if state != State::Initialize {
            context.push(Action::Notify(Notice::State {
                who: who.clone(),
                state,
                priority: 0,
            }));
        }
        context.push(Action::Record { who, transition });
    }

    /// Why a member takes no part: its own reasons, and the members that take it along.
    pub(crate) fn faults_of(&self, at: usize, instances: &[Instance]) -> Vec<Fault> {
        let mut faults = instances
            .get(at)
            .map(|instance| instance.faults.clone())
            .unwrap_or_default();
        for other in self.members.iter().filter(|other| **other != at) {
            let other = instances
                .get(*other)
                .filter(|other| !other.faults.is_empty());
            faults.extend(other.map(|other| Fault::Member(other.name.clone())));
        }
        faults
    }
}
