//! One instance: its state, its timers, and how it passes from one state to another. Whether it may is its group's
//! matter (`router.rs`).

mod advertise;
mod heard;
mod timers;

pub(crate) use advertise::{group as group_address, protocol};
pub(crate) use heard::Heard;

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use weir_config::model::vrrp::{Instance as Wanted, Peers, StateWish, Version};

use crate::action::{Notice, Subject};
use crate::authentication::trailer::Sequences;
use crate::packet::{self, Refusal};
use crate::tracking::Verdict;
use crate::view::{Counters, Fault, InstanceView, PeerView, Reason, TrackerView, Transition};
use crate::{Action, Memory, Moment, Name, State};
use timers::Announcing;

/// So many changes are remembered.
pub(crate) const REMEMBERED: usize = 16;

/// A moment, and where actions go.
pub(crate) struct Context<'a> {
    pub(crate) moment: Moment,
    pub(crate) actions: &'a mut Vec<Action>,
}

impl Context<'_> {
    pub(crate) const fn now(&self) -> Duration {
        self.moment.now
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push(action);
    }
}

/// One instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub(crate) wanted: Wanted,
    pub(crate) name: Name,
    /// What advertisements say: the addresses of its family.
    said: Vec<IpAddr>,
    pub(crate) state: State,
    since: Duration,
    /// What it depends on, as it is by itself.
    pub(crate) faults: Vec<Fault>,
    /// Whether the first result of a script is waited for.
    pub(crate) waits: bool,
    trackers: Vec<TrackerView>,
    source: Option<IpAddr>,
    priority: u8,
    /// As Active it advertises then, as Backup it takes over.
    deadline: Option<Duration>,
    /// The interval that the Active router has (version 3).
    active_interval: Duration,
    /// It would be Active but for its group.
    pub(crate) wants_active: bool,
    /// When it may preempt, after it has heard a lower priority.
    preempts_at: Option<Duration>,
    /// Why it will be Active if nothing comes in between.
    expects: Expectation,
    active: Option<(IpAddr, u8)>,
    peers: Vec<PeerView>,
    last_received: Option<Duration>,
    last_sent: Option<Duration>,
    announcing: Announcing,
    pub(crate) counters: Counters,
    transitions: VecDeque<Transition>,
    /// What was complained of.
    complaints: Vec<&'static str>,
    sequences: Sequences,
    header_sequence: u32,
    identification: u16,
    /// A peer has the checksum of keepalived before 1.3.6.
    old_checksum_heard: bool,
    /// So many advertisements of another owner with a lower address.
    rival_owner: u8,
    /// What an earlier daemon knew.
    pub(crate) memory: Option<Memory>,
}

/// Why a Backup's timer runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expectation {
    /// Nothing may be heard for so long.
    Silence(Duration),
    /// Somebody handed over.
    HandOver(IpAddr),
    /// A lower priority is heard.
    Preemption(IpAddr, u8),
}

impl Instance {
    pub(crate) fn new(wanted: &Wanted, now: Duration, memory: Option<Memory>) -> Self {
        let sent = memory.as_ref().map_or(0, |memory| memory.trailer_sequence);
        let header_sequence = memory.as_ref().map_or(0, |memory| memory.header_sequence);
        let mut instance = Self {
            wanted: wanted.clone(),
            name: wanted.name.as_str().into(),
            said: Vec::new(),
            state: State::Initialize,
            since: now,
            faults: Vec::new(),
            waits: false,
            trackers: Vec::new(),
            source: wanted.source,
            priority: wanted.priority.get(),
            deadline: None,
            active_interval: wanted.interval,
            wants_active: false,
            preempts_at: None,
            expects: Expectation::Silence(Duration::ZERO),
            active: None,
            peers: Vec::new(),
            last_received: None,
            last_sent: None,
            announcing: Announcing::default(),
            counters: Counters::default(),
            transitions: VecDeque::new(),
            complaints: Vec::new(),
            sequences: Sequences::default(),
            header_sequence,
            identification: 0,
            old_checksum_heard: false,
            rival_owner: 0,
            memory,
        };
        instance.sequences.sent = sent;
        instance.configure(wanted);
        instance
    }

    /// Takes another configuration of the same virtual router. Its state stays.
    pub(crate) fn configure(&mut self, wanted: &Wanted) {
        let addresses = wanted.addresses.iter().map(|address| address.address);
        self.said = addresses
            .filter(|address| address.is_ipv6() == wanted.v6)
            .collect();
        if self.wanted.interval != wanted.interval {
            self.active_interval = wanted.interval;
        }
        self.wanted = wanted.clone();
    }

    /// Whether another configuration is of the same virtual router, so that the state can stay.
    pub(crate) fn is_same_router(&self, other: &Wanted) -> bool {
        let reach = |peers: &Peers| match peers {
            Peers::Multicast { group } => (false, *group),
            Peers::Unicast { .. } => (true, None),
        };
        let one = &self.wanted;
        one.name == other.name
            && one.interface == other.interface
            && one.kind == other.kind
            && one.router_id == other.router_id
            && one.version == other.version
            && one.v6 == other.v6
            && reach(&one.peers) == reach(&other.peers)
    }

    pub(crate) const fn is_owner(&self) -> bool {
        self.wanted.priority.is_owner()
    }

    pub(crate) fn subject(&self) -> Subject {
        Subject::Instance(self.name.clone())
    }

    /// What notifications say of its priority.
    pub(crate) const fn priority(&self) -> u8 {
        self.priority
    }

    /// Why it last changed.
    pub(crate) fn last_reason(&self) -> Option<Reason> {
        self.transitions
            .front()
            .map(|transition| transition.why.clone())
    }

    /// Whether an earlier daemon was Active and nobody can have missed it yet.
    pub(crate) fn is_adopted(&self) -> bool {
        let missed = self
            .wanted
            .interval
            .saturating_mul(u32::from(self.wanted.missed.get()));
        self.memory.as_ref().is_some_and(|memory| {
            memory.active && memory.last_advertisement.is_some_and(|ago| ago < missed)
        })
    }

    /// Takes in what follows from what is tracked, but for the state.
    pub(crate) fn take_verdict(
        &mut self,
        verdict: Verdict,
        tells_priority: bool,
        context: &mut Context<'_>,
    ) {
        self.faults = verdict.faults;
        self.waits = verdict.waits;
        self.trackers = verdict.trackers;
        // Where it has gone, the last one serves to hand over.
        self.source = verdict.source.or(self.source);
        if self.is_owner() {
            return;
        }
        let priority = i32::from(self.wanted.priority.get()).saturating_add(verdict.adds);
        // Between 1 and 254.
        let priority = priority.clamp(1, 254) as u8;
        if priority == self.priority {
            return;
        }
        let before = self.master_down_interval();
        self.priority = priority;
        let after = self.master_down_interval();
        if self.state == State::Backup {
            let deadline = self.deadline.map(|deadline| deadline.saturating_add(after));
            self.deadline = deadline.map(|deadline| deadline.saturating_sub(before));
        }
        if tells_priority && self.state != State::Initialize {
            context.push(Action::Notify(Notice::Priority {
                who: self.subject(),
                state: self.state,
                priority,
            }));
        }
    }

    /// Passes to another state. Who leaves Active says so to the others by priority 0 if `hands_over`.
    pub(crate) fn enter(
        &mut self,
        to: State,
        why: Reason,
        hands_over: bool,
        context: &mut Context<'_>,
    ) {
        if self.state == to {
            return;
        }
        let from = self.state;
        match from {
            State::Active => self.leave_active(hands_over, context),
            // What an earlier daemon has left, perhaps.
            State::Initialize if to != State::Active => {
                context.push(Action::Release(self.name.clone()));
            }
            State::Initialize | State::Backup | State::Fault => {}
        }
        self.state = to;
        self.since = context.now();
        self.wants_active = false;
        self.rival_owner = 0;
        self.complaints.clear();
        self.memory = None;
        match to {
            State::Active => self.begin_active(context),
            State::Backup => self.begin_backup(from, context.now()),
            State::Fault | State::Initialize => {
                self.deadline = None;
                self.active = None;
            }
        }
        if to != State::Initialize {
            context.push(Action::Notify(Notice::State {
                who: self.subject(),
                state: to,
                priority: self.priority,
            }));
        }
        self.record(from, to, why, context);
    }

    fn record(&mut self, from: State, to: State, why: Reason, context: &mut Context<'_>) {
        let transition = Transition {
            at: context.now(),
            from,
            to,
            why,
        };
        self.transitions.push_front(transition.clone());
        self.transitions.truncate(REMEMBERED);
        context.push(Action::Record {
            who: self.subject(),
            transition,
        });
    }

    /// The advertisement goes first, so that a router that was Active gives the addresses up before they are announced.
    fn begin_active(&mut self, context: &mut Context<'_>) {
        self.counters.become_master += 1;
        if self.is_owner() {
            self.priority = self.wanted.priority.get();
        }
        self.active_interval = self.wanted.interval;
        self.active = None;
        self.preempts_at = None;
        self.advertise(self.priority, context);
        context.push(Action::Take(self.name.clone()));
        self.announce_as_new(context);
        self.deadline = Some(context.now().saturating_add(self.wanted.interval));
    }

    fn leave_active(&mut self, hands_over: bool, context: &mut Context<'_>) {
        if hands_over {
            self.advertise(0, context);
            self.counters.pri_zero_sent += 1;
        }
        context.push(Action::Release(self.name.clone()));
        self.counters.release_master += 1;
        self.announcing = Announcing::default();
    }

    fn begin_backup(&mut self, from: State, now: Duration) {
        if from != State::Active {
            self.active_interval = self.wanted.interval;
            self.active = None;
        }
        self.preempts_at = None;
        let wait = match self.wanted.wish {
            // Who wants to be Active waits for one advertisement only, whether another is.
            StateWish::Active if from == State::Initialize => {
                self.active_interval.saturating_add(self.skew_of(1))
            }
            StateWish::Active | StateWish::Backup => self.master_down_interval(),
        };
        self.wait(wait, Expectation::Silence(wait), now);
    }

    fn wait(&mut self, time: Duration, expects: Expectation, now: Duration) {
        self.deadline = Some(now.saturating_add(time));
        self.expects = expects;
    }

    /// `missed` intervals and the skew (RFC 9568, 6.1: Active_Down_Interval).
    pub(crate) fn master_down_interval(&self) -> Duration {
        let missed = u32::from(self.wanted.missed.get());
        let silent = self.active_interval.saturating_mul(missed);
        silent.saturating_add(self.skew())
    }

    /// Higher priorities take over sooner (RFC 3768, 6.1: of a second; RFC 9568, 6.1: of the Active router's interval).
    fn skew(&self) -> Duration {
        let priority = match self.is_owner() {
            true => u8::MAX,
            false => self.priority,
        };
        self.skew_of(256 - u32::from(priority))
    }

    fn skew_of(&self, parts: u32) -> Duration {
        let whole = match self.wanted.version {
            Version::V2 => Duration::from_secs(1),
            Version::V3 => self.active_interval,
        };
        whole.saturating_mul(parts) / 256
    }

    /// Why it becomes Active now.
    pub(crate) fn reason_to_be_active(&self) -> Reason {
        match self.expects {
            Expectation::Silence(interval) => Reason::Silence {
                interval,
                after: self.active.map(|(address, _)| address),
            },
            Expectation::HandOver(by) => Reason::HandedOver { by },
            Expectation::Preemption(whom, theirs) => Reason::Preempted {
                whom,
                theirs,
                ours: self.priority,
            },
        }
    }

    /// Something that the operator should know, once until something changes.
    fn complain(&mut self, kind: &'static str, text: String, context: &mut Context<'_>) {
        if !self.complaints.contains(&kind) {
            self.complaints.push(kind);
            context.push(Action::Complain {
                instance: self.name.clone(),
                text,
            });
        }
    }

    /// What a daemon that replaces this one should know.
    pub(crate) fn remember(&self, now: Duration) -> Memory {
        Memory {
            name: self.name.clone(),
            active: self.state == State::Active,
            last_advertisement: self.last_sent.map(|sent| now.saturating_sub(sent)),
            header_sequence: self.header_sequence,
            trailer_sequence: self.sequences.sent,
        }
    }

    /// How it looks from outside; `faults` are its own and its group's.
    pub(crate) fn view(&self, faults: Vec<Fault>, group: Option<Name>) -> InstanceView {
        InstanceView {
            name: self.name.clone(),
            state: self.state,
            since: self.since,
            base_priority: self.wanted.priority.get(),
            priority: self.priority,
            source: self.source,
            faults,
            active: self.active,
            last_received: self.last_received,
            last_sent: self.last_sent,
            active_interval: self.active_interval,
            master_down_interval: self.master_down_interval(),
            deadline: self.deadline,
            peers: self.peers.clone(),
            transitions: self.transitions.iter().cloned().collect(),
            counters: self.counters,
            trackers: self.trackers.clone(),
            group,
        }
    }

    /// Why a packet was refused, in the counters and once in words.
    fn refuse(&mut self, from: IpAddr, refusal: Refusal, context: &mut Context<'_>) {
        let (counter, kind, text) = packet::explain(refusal, &mut self.counters, &self.wanted);
        *counter += 1;
        self.complain(kind, format!("packet from {from} refused: {text}"), context);
    }
}
