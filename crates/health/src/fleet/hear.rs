//! Asking, and what is heard.

use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use weir_config::model::ServiceKey;

use super::{Fleet, Kind, Outage, Output, Phase, Watch};
use crate::event::{Event, EventKind};
use crate::notice::Notice;
use crate::passive::Totals;
use crate::probe::{Probe, ProbeId};
use crate::quorum::{self, Turn};
use crate::round::Round;
use crate::timers::Due;
use crate::verdict::{Outcome, Verdict, Wish};
use crate::view::LastView;
use crate::{check, weight};

impl Fleet {
    /// A watch is asked, unless the timer is of an old turn.
    pub(super) fn ask(&mut self, slot: u32, turn: u64, now: Duration, out: &mut Output) {
        if self
            .watches
            .get(slot)
            .is_none_or(|watch| watch.turn != turn)
        {
            return;
        }
        let turn = self.next_turn();
        let watch = &mut self.watches[slot];
        watch.turn = turn;
        watch.phase = Phase::Asked { at: now };
        out.probes.push(Probe {
            id: ProbeId { slot, turn },
            subject: Arc::clone(&watch.subject),
            request: watch.round.as_ref().map(Round::request),
        });
    }

    /// A watch is asked after this time; whatever was asked before comes too late.
    pub(super) fn wait(&mut self, slot: u32, until: Duration) {
        let turn = self.next_turn();
        let watch = &mut self.watches[slot];
        watch.turn = turn;
        watch.phase = Phase::Waiting { until };
        self.timers.add(until, Due::Watch { slot, turn });
    }

    /// A watch is asked no more for now.
    pub(super) fn rest(&mut self, slot: u32) {
        let turn = self.next_turn();
        let watch = &mut self.watches[slot];
        watch.turn = turn;
        watch.phase = Phase::Idle;
    }

    /// What a probe found. One that comes late or twice is ignored.
    pub fn verdict(&mut self, id: ProbeId, verdict: Verdict, now: Duration, out: &mut Output) {
        let Some(watch) = self.watches.get_mut(id.slot) else {
            return;
        };
        let Phase::Asked { at } = watch.phase else {
            return;
        };
        if watch.turn != id.turn {
            return;
        }
        let (result, trouble) = match verdict.outcome {
            Outcome::Passed => (check::Heard::Passed, None),
            Outcome::Failed(reason) => (check::Heard::Failed, Some(reason)),
            Outcome::Open(reason) => (
                check::Heard::Open,
                Some(reason).filter(|reason| !reason.is_empty()),
            ),
        };
        if result == check::Heard::Passed {
            watch.passed = Some(at);
        }
        let never_asked = !watch.state.known && !watch.state.up;
        let next = match watch.kind {
            Kind::Figure => check::Next {
                changed: false,
                wait: watch.pace.interval,
            },
            Kind::Check { .. } | Kind::Session(_) => match &mut watch.round {
                Some(round) => round.hear(&mut watch.state, &watch.pace, result),
                None => watch.state.hear(&watch.pace, result),
            },
        };
        if result == check::Heard::Failed
            && !next.changed
            && watch.state.up
            && matches!(
                watch.kind,
                Kind::Check {
                    log_all_failures: true
                }
            )
        {
            out.events.push(Event {
                service: watch.subject.service,
                server: Some(watch.subject.server.address),
                kind: EventKind::Failure,
                reason: trouble.clone().unwrap_or_default(),
            });
        }
        watch.last = Some(LastView {
            at: now,
            took: verdict.took,
            trouble,
        });
        let server = watch.server;
        let wishes = watch.take_wish(verdict.reading.wish);
        // Every word counts once in the smoothing, also one that was said before.
        let spoke = verdict.reading.weight.is_some();
        if spoke {
            watch.word = verdict.reading.weight;
        }
        self.wait(id.slot, now + next.wait);
        if spoke {
            self.weigh(server);
        }
        let back = self.returns(server);
        if next.changed || wishes || spoke || back {
            self.settle_server(server, now, out);
        }
        if never_asked && result == check::Heard::Failed {
            self.tell_it_never_came_up(server, now, out);
        }
    }

    /// A real server that has to pass a check first has failed it: that is told once, as keepalived does.
    fn tell_it_never_came_up(&mut self, slot: u32, now: Duration, out: &mut Output) {
        let down = self.why_down(slot);
        let server = &mut self.servers[slot];
        if server.up || server.since.is_some() {
            return;
        }
        server.since = Some(now);
        server.reason = down.unwrap_or_default();
        let notice = Notice {
            // keepalived writes no mail of that.
            mail: false,
            ..self.server_notice(slot, false)
        };
        out.notices.push(notice);
    }

    /// A BFD session came up or went down.
    pub fn session(&mut self, name: &str, up: bool, now: Duration, out: &mut Output) {
        if self.sessions.insert(name.to_owned(), up) == Some(up) {
            return;
        }
        let slots: Vec<(u32, u32)> = self
            .watches
            .iter()
            .filter(|(_, watch)| matches!(&watch.kind, Kind::Session(own) if own == name))
            .map(|(slot, watch)| (slot, watch.server))
            .collect();
        for (slot, server) in slots {
            let watch = &mut self.watches[slot];
            watch.state = check::State::recalled(up);
            watch.last = Some(LastView {
                at: now,
                took: Duration::ZERO,
                trouble: (!up).then(|| format!("BFD session {name} is down")),
            });
            if up {
                watch.passed = Some(now);
            }
            self.returns(server);
            self.settle_server(server, now, out);
        }
    }

    /// What the packet path has counted of a real server.
    pub fn observe(
        &mut self,
        key: &ServiceKey,
        address: SocketAddr,
        totals: Totals,
        now: Duration,
        out: &mut Output,
    ) {
        let Some(slot) = self.server_slot(key, address) else {
            return;
        };
        let server = &mut self.servers[slot];
        let Some(policy) = server.settings.weight.as_ref() else {
            return;
        };
        let time = server.seen.accept_time(totals);
        let many = server
            .seen
            .look(policy.passive.as_ref(), totals, now)
            .zip(policy.passive);
        let mut changed = false;
        if let Some(time) = time {
            server.accept_time = Some(time);
            self.weigh(slot);
            changed = true;
        }
        let server = &mut self.servers[slot];
        match many {
            None => server.spared = false,
            Some((many, policy)) if server.up => {
                let reason = format!("{} of {} connections failed", many.failed, many.of);
                let own = server.target_weight();
                if self.can_spare(slot, own) {
                    let server = &mut self.servers[slot];
                    server.seen.forget();
                    server.spared = false;
                    server.outage = Some(Outage {
                        since: now,
                        until: now + policy.pause,
                        reason,
                    });
                    changed = true;
                } else if !mem::replace(&mut self.servers[slot].spared, true) {
                    out.events.push(Event {
                        service: *key,
                        server: Some(address),
                        kind: EventKind::Spared,
                        reason: format!("{reason}, but without it the quorum were lost"),
                    });
                }
            }
            Some(_) => {}
        }
        if changed {
            self.settle_server(slot, now, out);
        }
    }

    /// Whether a service has its quorum without so much weight.
    fn can_spare(&self, server: u32, weight: u32) -> bool {
        let service = &self.services[self.servers[server].service];
        let rest = self.sum(service).saturating_sub(u64::from(weight));
        match quorum::turn(service.settings.quorum, service.quorum_up, rest) {
            Turn::Lost => false,
            Turn::Gained => true,
            Turn::Stays => service.quorum_up && rest > 0,
        }
    }

    /// Ends a passive outage when all checks have passed that were begun after it.
    fn returns(&mut self, slot: u32) -> bool {
        let server = &self.servers[slot];
        let Some(outage) = &server.outage else {
            return false;
        };
        let watches = server.watches.iter().map(|slot| &self.watches[*slot]);
        let mut checks = watches
            .filter(|watch| watch.kind != Kind::Figure)
            .peekable();
        let anew = checks.peek().is_some()
            && checks.all(|watch| watch.passed.is_some_and(|at| at >= outage.since));
        if anew {
            self.servers[slot].outage = None;
        }
        anew
    }

    /// The weight that follows from all that is said of a real server now.
    pub(super) fn weigh(&mut self, slot: u32) {
        let words = self.servers[slot].watches.iter();
        let words = words.filter_map(|slot| self.watches[*slot].word).collect();
        let server = &mut self.servers[slot];
        let said = weight::Said {
            words,
            accept_time: server.accept_time,
        };
        let configured = server.wanted.server.weight.get();
        server
            .weight
            .hear(server.settings.weight.as_ref(), configured, &said);
    }

    /// Whether the service's address is on this director; matters to those that are watched only
    /// then.
    pub fn set_active(&mut self, key: &ServiceKey, active: bool, now: Duration) {
        let Some(slot) = self.by_key.get(key).copied() else {
            return;
        };
        let service = &mut self.services[slot];
        if mem::replace(&mut service.active, active) == active {
            return;
        }
        if service.settings.only_while_active {
            self.begin_or_rest(slot, now);
        }
    }

    /// Lets the watches of a service begin that rest and need not, and the other way round.
    pub(super) fn begin_or_rest(&mut self, service: u32, now: Duration) {
        let rests = self.services[service].rests();
        let servers = self.services[service].servers.iter();
        let watches: Vec<u32> = servers
            .flat_map(|slot| self.servers[*slot].watches.iter().copied())
            .collect();
        for slot in watches {
            let watch = &self.watches[slot];
            if matches!(watch.kind, Kind::Session(_)) {
                continue;
            }
            match (rests, watch.phase) {
                (true, Phase::Waiting { .. } | Phase::Asked { .. }) => self.rest(slot),
                (false, Phase::Idle) => {
                    let warm_up = self.random.up_to(watch.pace.warm_up);
                    self.wait(slot, now + warm_up);
                }
                (true, Phase::Idle) | (false, Phase::Waiting { .. } | Phase::Asked { .. }) => {}
            }
        }
    }

    pub(super) fn server_slot(&self, key: &ServiceKey, address: SocketAddr) -> Option<u32> {
        let service = &self.services[*self.by_key.get(key)?];
        let mut servers = service.servers.iter().copied();
        servers.find(|slot| self.servers[*slot].wanted.server.address == address)
    }
}

impl Watch {
    /// Whether something else is wished by it than before.
    fn take_wish(&mut self, wish: Option<Wish>) -> bool {
        let Some(wish) = wish else {
            return false;
        };
        let new = match wish {
            Wish::Ready => None,
            Wish::Drain | Wish::Maintenance => Some(wish),
        };
        mem::replace(&mut self.wish, new) != new
    }
}
