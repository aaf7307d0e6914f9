//! One session (RFC 5880, 6.8).

use core::time::Duration;
use std::collections::VecDeque;
use std::net::IpAddr;

use weir_config::model::vrrp::BfdInstance;

use crate::packet::{Control, Diagnostic, State};
use crate::sessions::{Action, Datagram};
use crate::view::{Refusal, Refusals, SessionView, Transition};
use crate::{MULTIHOP_PORT, Name, PORT};

/// So many changes are remembered.
const REMEMBERED: usize = 16;

/// What the neighbour says.
#[derive(Clone, Copy, Debug)]
struct Remote {
    number: u32,
    state: State,
    diagnostic: Diagnostic,
    multiplier: u8,
    least_send: Duration,
    /// Nothing wants no packets.
    least_receive: Option<Duration>,
    demand: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) wanted: BfdInstance,
    pub(crate) name: Name,
    pub(crate) number: u32,
    /// Of jitter.
    seed: u64,
    state: State,
    since: Duration,
    diagnostic: Diagnostic,
    remote: Option<Remote>,
    /// What we say of our sending; a larger one counts when the neighbour has heard of it (6.8.3).
    said_send: Duration,
    counts_send: Duration,
    polls: bool,
    sends_at: Option<Duration>,
    /// It is down then unless something is heard.
    expires_at: Option<Duration>,
    last_sent: Option<Duration>,
    last_received: Option<Duration>,
    sent: u64,
    received: u64,
    pub(crate) refused: Refusals,
    times_up: u64,
    /// The last one first.
    transitions: VecDeque<Transition>,
    /// Others were told last that it is up.
    told_up: bool,
}

impl Session {
    pub(crate) fn new(wanted: &BfdInstance, number: u32, now: Duration) -> Self {
        Self {
            wanted: wanted.clone(),
            name: wanted.name.as_str().into(),
            number,
            seed: u64::from(number),
            state: State::Down,
            since: now,
            diagnostic: Diagnostic::NONE,
            remote: None,
            said_send: wanted.idle_send,
            counts_send: wanted.idle_send,
            polls: false,
            // The passive one waits (6.1).
            sends_at: (!wanted.passive).then_some(now),
            expires_at: None,
            last_sent: None,
            last_received: None,
            sent: 0,
            received: 0,
            refused: Refusals::default(),
            times_up: 0,
            transitions: VecDeque::new(),
            told_up: false,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state == State::Up
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        [self.sends_at, self.expires_at].into_iter().flatten().min()
    }

    /// Whether packets from there, that do not say our number, are about it.
    pub(crate) fn is_with(&self, source: IpAddr, multihop: bool) -> bool {
        self.wanted.neighbour == source && self.wanted.multihop == multihop
    }

    pub(crate) fn tick(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.expires_at.is_some_and(|at| at <= now) {
            self.expires_at = None;
            self.remote = None;
            if matches!(self.state, State::Init | State::Up) {
                self.enter(State::Down, Diagnostic::EXPIRED, now, actions);
            }
        }
        if self.sends_at.is_some_and(|at| at <= now) {
            self.send(false, now, actions);
            self.schedule(now);
        }
    }

    /// RFC 5880, 6.8.6, after what a packet says by itself and whose it is.
    pub(crate) fn hear(
        &mut self,
        control: &Control,
        hop_limit: Option<u8>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let wanted = &self.wanted;
        if let Some(limit) = hop_limit
            && wanted.most_hops != u8::MAX
            && limit.saturating_add(wanted.most_hops) < wanted.time_to_live
        {
            return Err(Refusal::HopLimit(limit));
        }
        let is_down = matches!(control.state, State::Down | State::AdminDown);
        if control.yours == 0 && !is_down {
            return Err(Refusal::Unanswered);
        }
        self.received += 1;
        self.last_received = Some(now);
        self.remote = Some(Remote {
            number: control.mine,
            state: control.state,
            diagnostic: control.diagnostic,
            multiplier: control.multiplier,
            least_send: micros(control.least_send),
            least_receive: (control.least_receive > 0).then(|| micros(control.least_receive)),
            demand: control.demand,
        });
        if control.answers && self.polls {
            self.polls = false;
            self.counts_send = self.said_send;
        }
        if self.state == State::AdminDown {
            return Ok(());
        }
        self.follow(control.state, now, actions);
        self.expires_at = self.detection_time().map(|time| now.saturating_add(time));
        if control.poll {
            self.send(true, now, actions);
        }
        self.reschedule(now);
        Ok(())
    }

    /// The table of 6.8.6.
    fn follow(&mut self, theirs: State, now: Duration, actions: &mut Vec<Action>) {
        match (self.state, theirs) {
            (State::Init | State::Up, State::AdminDown) | (State::Up, State::Down) => {
                self.enter(State::Down, Diagnostic::SIGNALLED, now, actions);
            }
            (State::Down, State::Down) => self.enter(State::Init, self.diagnostic, now, actions),
            (State::Down, State::Init) | (State::Init, State::Init | State::Up) => {
                self.enter(State::Up, Diagnostic::NONE, now, actions);
            }
            (State::Down, State::AdminDown | State::Up)
            | (State::Init, State::Down)
            | (State::Up, State::Init | State::Up)
            | (State::AdminDown, _) => {}
        }
    }

    fn enter(&mut self, to: State, why: Diagnostic, now: Duration, actions: &mut Vec<Action>) {
        let was_up = self.is_up();
        self.record(to, why, now);
        self.state = to;
        self.since = now;
        self.diagnostic = why;
        match to {
            State::Up => {
                self.times_up += 1;
                self.want(self.wanted.least_send);
            }
            State::Down | State::AdminDown | State::Init => {
                // Not less than a second, or what is configured (6.8.3).
                self.said_send = self.wanted.idle_send;
                self.counts_send = self.wanted.idle_send;
                self.polls = false;
            }
        }
        // Who holds it down on purpose has not failed (RFC 5882, 4.2), here or there.
        let on_purpose = to == State::AdminDown
            || self
                .remote
                .is_some_and(|remote| remote.state == State::AdminDown);
        if was_up != self.is_up() && self.told_up != self.is_up() && !on_purpose {
            self.told_up = self.is_up();
            actions.push(Action::Changed {
                name: self.name.clone(),
                up: self.is_up(),
                why,
            });
        }
        // The neighbour should know at once.
        if self.state == State::Init || was_up {
            self.sends_at = Some(now);
        }
    }

    fn record(&mut self, to: State, why: Diagnostic, now: Duration) {
        if self.state != to {
            self.transitions.push_front(Transition {
                at: now,
                from: self.state,
                to,
                why,
            });
            self.transitions.truncate(REMEMBERED);
        }
    }

    /// Sends with another interval: the neighbour is polled, and a longer one counts when it has answered (6.8.3).
    fn want(&mut self, interval: Duration) {
        if self.said_send == interval {
            return;
        }
        self.polls = true;
        self.said_send = interval;
        self.counts_send = self.counts_send.min(interval);
    }

    /// Another configuration of the same session.
    pub(crate) fn configure(&mut self, wanted: &BfdInstance) {
        self.wanted = wanted.clone();
        match self.is_up() {
            true => {
                // What we can take is said by the same poll.
                self.polls = true;
                self.said_send = wanted.least_send;
                self.counts_send = self.counts_send.min(wanted.least_send);
            }
            false => {
                self.said_send = wanted.idle_send;
                self.counts_send = wanted.idle_send;
            }
        }
    }

    /// Says that it is held down, which the neighbour does not take for a failure (6.8.16).
    pub(crate) fn hold_down(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.enter(State::AdminDown, Diagnostic::ADMINISTRATIVE, now, actions);
        self.send(false, now, actions);
        self.sends_at = None;
        self.expires_at = None;
    }

    /// Held down no more.
    pub(crate) fn let_up(&mut self, now: Duration) {
        if self.state == State::AdminDown {
            self.record(State::Down, Diagnostic::NONE, now);
            self.state = State::Down;
            self.since = now;
            self.sends_at = (!self.wanted.passive).then_some(now);
        }
    }

    fn send(&mut self, answers: bool, now: Duration, actions: &mut Vec<Action>) {
        let remote = self.remote;
        let control = Control {
            diagnostic: self.diagnostic,
            state: self.state,
            // An answer asks nothing (6.5).
            poll: self.polls && !answers,
            answers,
            demand: false,
            multiplier: self.wanted.multiplier.get(),
            mine: self.number,
            yours: remote.map_or(0, |remote| remote.number),
            least_send: in_micros(self.said_send),
            least_receive: in_micros(self.wanted.least_receive),
            least_echo: 0,
        };
        self.sent += 1;
        self.last_sent = Some(now);
        actions.push(Action::Send(Datagram {
            session: self.name.clone(),
            source: self.wanted.source,
            destination: self.wanted.neighbour,
            port: if self.wanted.multihop {
                MULTIHOP_PORT
            } else {
                PORT
            },
            hop_limit: self.wanted.time_to_live,
            bytes: control.write(),
        }));
    }

    /// From one packet to the next, without jitter; nothing while none may be sent (6.8.7).
    fn send_interval(&self) -> Option<Duration> {
        let silent = self.state == State::AdminDown
            || (self.wanted.passive && self.remote.is_none())
            || self.remote.is_some_and(|remote| {
                remote.least_receive.is_none()
                    || (remote.demand && remote.state == State::Up && self.is_up() && !self.polls)
            });
        if silent {
            return None;
        }
        let theirs = self.remote.and_then(|remote| remote.least_receive);
        Some(self.counts_send.max(theirs.unwrap_or_default()))
    }

    /// Three quarters of it to all of it; nine tenths at most where one may be missed (6.8.7).
    fn with_jitter(&mut self, interval: Duration) -> Duration {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let most: u32 = if self.wanted.multiplier.get() == 1 {
            900
        } else {
            1000
        };
        // Less than 2 to the 31.
        let random = (self.seed >> 33) as u32;
        let part = 750 + random % (most - 750 + 1);
        interval.saturating_mul(part) / 1000
    }

    fn schedule(&mut self, now: Duration) {
        let interval = self.send_interval();
        self.sends_at = interval.map(|interval| now.saturating_add(self.with_jitter(interval)));
    }

    /// After something was heard: a shorter interval counts at once, and who was silent begins.
    fn reschedule(&mut self, now: Duration) {
        let Some(interval) = self.send_interval() else {
            self.sends_at = None;
            return;
        };
        let latest = self
            .last_sent
            .map_or(now, |sent| sent.saturating_add(interval))
            .max(now);
        self.sends_at = Some(self.sends_at.map_or(latest, |at| at.min(latest)));
    }

    /// RFC 5880, 6.8.4.
    fn detection_time(&self) -> Option<Duration> {
        let remote = self.remote?;
        let each = self.wanted.least_receive.max(remote.least_send);
        Some(each.saturating_mul(remote.multiplier.into()))
    }

    pub(crate) fn view(&self) -> SessionView {
        SessionView {
            name: self.name.clone(),
            neighbour: self.wanted.neighbour,
            multihop: self.wanted.multihop,
            passive: self.wanted.passive,
            number: self.number,
            remote_number: self.remote.map(|remote| remote.number),
            state: self.state,
            since: self.since,
            diagnostic: self.diagnostic,
            remote_state: self.remote.map(|remote| remote.state),
            remote_diagnostic: self
                .remote
                .map_or(Diagnostic::NONE, |remote| remote.diagnostic),
            send_interval: self.send_interval(),
            detection_time: self.detection_time(),
            expires: self.expires_at,
            last_received: self.last_received,
            last_sent: self.last_sent,
            sent: self.sent,
            received: self.received,
            refused: self.refused,
            times_up: self.times_up,
            transitions: self.transitions.iter().copied().collect(),
        }
    }
}

fn micros(time: u32) -> Duration {
    Duration::from_micros(time.into())
}

fn in_micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
