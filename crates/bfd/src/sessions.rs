//! All sessions of this director.

use core::time::Duration;
use std::net::IpAddr;

use weir_config::model::vrrp::BfdInstance;

use crate::packet::{Control, Diagnostic, LENGTH};
use crate::session::Session;
use crate::view::{Refusal, Refusals, SessionView};
use crate::{MULTIHOP_PORT, Name};

/// What happens.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A packet came.
    Packet(Received<'a>),
    /// The deadline has come.
    Tick,
    /// Another configuration holds from now on; sessions with the same neighbour go on.
    Reload(&'a [BfdInstance]),
    /// Say to all neighbours that it is over, and end.
    Stop,
}

/// A packet that came to one of the two ports.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// From whom.
    pub source: IpAddr,
    /// To which port.
    pub port: u16,
    /// Its hop limit, if known.
    pub hop_limit: Option<u8>,
    /// What it says.
    pub bytes: &'a [u8],
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send a packet.
    Send(Datagram),
    /// A session is Up, or Up no more without anybody having held it down.
    Changed {
        /// Which.
        name: Name,
        /// Whether it is Up.
        up: bool,
        /// Why not.
        why: Diagnostic,
    },
}

/// A packet to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Whose; each has a source port of its own (RFC 5881, 4).
    pub session: Name,
    /// From where; nothing is as the routes say.
    pub source: Option<IpAddr>,
    /// To whom.
    pub destination: IpAddr,
    /// To which port.
    pub port: u16,
    /// Its hop limit.
    pub hop_limit: u8,
    /// What it says.
    pub bytes: [u8; LENGTH],
}

/// All sessions of this director.
#[derive(Clone, Debug)]
pub struct Sessions {
    sessions: Vec<Session>,
    seed: u64,
    strangers: Refusals,
    stopped: bool,
}

impl Sessions {
    /// Sessions that begin at once; `seed` is a random number, of which discriminators and jitter come.
    pub fn new(wanted: &[BfdInstance], seed: u64, now: Duration) -> Self {
        let mut all = Self {
            sessions: Vec::new(),
            seed,
            strangers: Refusals::default(),
            stopped: false,
        };
        for wanted in wanted {
            let number = all.number();
            all.sessions.push(Session::new(wanted, number, now));
        }
        all
    }

    /// A number that no session has; never 0.
    fn number(&mut self) -> u32 {
        loop {
            self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.seed;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            let number = (mixed >> 32) as u32;
            if number != 0 && self.sessions.iter().all(|session| session.number != number) {
                return number;
            }
        }
    }

    /// Takes in what happens; what is to be done is pushed to `actions`. Says why a packet was not taken.
    pub fn handle(
        &mut self,
        now: Duration,
        event: &Event<'_>,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        if self.stopped {
            return Ok(());
        }
        match event {
            Event::Packet(received) => return self.packet(received, now, actions),
            Event::Tick => {
                for session in &mut self.sessions {
                    session.tick(now, actions);
                }
            }
            Event::Reload(wanted) => self.reload(wanted, now, actions),
            Event::Stop => {
                self.stopped = true;
                for session in &mut self.sessions {
                    session.hold_down(now, actions);
                }
            }
        }
        Ok(())
    }

    fn packet(
        &mut self,
        received: &Received<'_>,
        now: Duration,
        actions: &mut Vec<Action>,
    ) -> Result<(), Refusal> {
        let control = Control::read(received.bytes).map_err(Refusal::Malformed);
        let multihop = received.port == MULTIHOP_PORT;
        let mut sessions = self.sessions.iter_mut();
        let session = match control {
            // By its number, if it says one (RFC 5880, 6.8.6), and from the neighbour whose it is.
            Ok(control) if control.yours != 0 => sessions.find(|session| {
                session.number == control.yours && session.is_with(received.source, multihop)
            }),
            Ok(_) | Err(_) => sessions.find(|session| session.is_with(received.source, multihop)),
        };
        let Some(session) = session else {
            let refusal = control.err().unwrap_or(Refusal::Stranger);
            self.strangers.count(refusal);
            return Err(refusal);
        };
        let heard =
            control.and_then(|control| session.hear(&control, received.hop_limit, now, actions));
        if let Err(refusal) = heard {
            session.refused.count(refusal);
        }
        heard
    }

    fn reload(&mut self, wanted: &[BfdInstance], now: Duration, actions: &mut Vec<Action>) {
        let mut before = core::mem::take(&mut self.sessions);
        for wanted in wanted {
            let same = before.iter().position(|session| {
                session.wanted.name == wanted.name
                    && session.wanted.neighbour == wanted.neighbour
                    && session.wanted.source == wanted.source
                    && session.wanted.multihop == wanted.multihop
            });
            let session = match same {
                Some(same) => {
                    let mut session = before.swap_remove(same);
                    if session.wanted != *wanted {
                        session.configure(wanted);
                    }
                    session
                }
                None => {
                    let number = self.number();
                    Session::new(wanted, number, now)
                }
            };
            self.sessions.push(session);
        }
        for mut gone in before {
            gone.hold_down(now, actions);
        }
    }

    /// Holds a session down, or lets it up again.
    pub fn hold_down(&mut self, name: &str, down: bool, now: Duration, actions: &mut Vec<Action>) {
        for session in self
            .sessions
            .iter_mut()
            .filter(|session| &*session.name == name)
        {
            match down {
                true => session.hold_down(now, actions),
                false => session.let_up(now),
            }
        }
    }

    /// When it wants an [`Event::Tick`], unless something happens before.
    pub fn next_deadline(&self) -> Option<Duration> {
        match self.stopped {
            true => None,
            false => self
                .sessions
                .iter()
                .filter_map(Session::next_deadline)
                .min(),
        }
    }

    /// Whether a session is Up.
    pub fn is_up(&self, name: &str) -> bool {
        self.sessions
            .iter()
            .any(|session| &*session.name == name && session.is_up())
    }

    /// As they are.
    pub fn views(&self) -> Vec<SessionView> {
        self.sessions.iter().map(Session::view).collect()
    }

    /// Packets that were about no session of ours.
    pub const fn strangers(&self) -> Refusals {
        self.strangers
    }
}
