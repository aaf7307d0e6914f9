//! What follows for a real server from its watches, for a service from its real servers, and what
//! is in force then.

use std::mem;
use std::time::Duration;

use weir_config::model::{RealServer, ServiceKey, Weight};

use super::{Fleet, Kind, Output, Server, Service};
use crate::event::{Event, EventKind};
use crate::notice::{self, Notice, NoticeKind};
use crate::probe::Question;
use crate::quorum::{self, Turn};
use crate::timers::Due;
use crate::verdict::Wish;
use crate::weight;

impl Fleet {
    /// Looks at a real server again, and at its service.
    pub(super) fn settle_server(&mut self, slot: u32, now: Duration, out: &mut Output) {
        let down = self.why_down(slot);
        let service = self.servers[slot].service;
        let key = self.services[service].settings.key;
        let server = &mut self.servers[slot];
        let up = down.is_none();
        if up != server.up {
            server.turn(up, down.unwrap_or_default(), now);
            let inhibited = server.settings.inhibit;
            out.events.push(Event {
                service: key,
                server: Some(server.wanted.server.address),
                kind: match up {
                    true => EventKind::Up { inhibited },
                    false => EventKind::Down { inhibited },
                },
                reason: server.reason.clone(),
            });
            let notice = self.server_notice(slot, false);
            out.notices.push(notice);
        } else if let Some(reason) = down {
            server.reason = reason;
        }
        self.show_weight(slot, now, Some(out));
        self.settle_service(service, now, out);
    }

    /// That a real server is as it is, with the check that made it so.
    pub(super) fn server_notice(&self, slot: u32, first: bool) -> Notice {
        let server = &self.servers[slot];
        let watches = server.watches.iter().map(|slot| &self.watches[*slot]);
        let mut checks = watches.filter(|watch| watch.kind != Kind::Figure);
        let decisive = match server.up {
            // The one that spoke last.
            true => checks.max_by_key(|watch| watch.last.as_ref().map(|last| last.at)),
            false => checks.find(|watch| !watch.state.up),
        };
        let kind = decisive.and_then(|watch| match &watch.subject.question {
            Question::Check(check) => Some(check),
            Question::Figure(_) => None,
        });
        let own = server.wanted.server.address;
        let target = kind.and_then(|check| check.target).unwrap_or(own);
        let kind = kind.map(|check| &check.kind);
        let cause = notice::cause(kind, target, server.up, &server.reason);
        let key = self.services[server.service].settings.key;
        Notice {
            first,
            ..server.notice(key, server.up, cause)
        }
    }

    /// Why a real server is down, if it is.
    pub(super) fn why_down(&self, slot: u32) -> Option<String> {
        let server = &self.servers[slot];
        for watch in server.watches.iter().map(|slot| &self.watches[*slot]) {
            if watch.kind != Kind::Figure && !watch.state.up {
                let kind = watch.name();
                let last = watch.last.as_ref();
                let trouble = last.and_then(|last| last.trouble.as_deref());
                return Some(match (watch.state.known, trouble) {
                    (_, Some(trouble)) => format!("{kind}: {trouble}"),
                    (false, None) => format!("{kind}: not checked yet"),
                    (true, None) if last.is_none() => {
                        format!("{kind}: down before, not checked again yet")
                    }
                    (true, None) => format!("{kind}: passed too few times yet"),
                });
            }
            if watch.wish == Some(Wish::Maintenance) {
                return Some("its agent says maintenance".to_owned());
            }
        }
        server.outage.as_ref().map(|outage| outage.reason.clone())
    }

    /// The weight of a real server now, and why; and by when it has another by itself.
    pub(super) fn weight_now(&self, slot: u32, now: Duration) -> (u32, String, Option<Duration>) {
        let server = &self.servers[slot];
        if server.wanted.held {
            return (0, "taken out by hand".to_owned(), None);
        }
        if self.wishes_drain(server) {
            return (0, "its agent says drain".to_owned(), None);
        }
        let (target, reason) = server.weight.target(server.configured());
        let slow = server.settings.weight.as_ref();
        let slow = slow.and_then(|policy| policy.slow_start.as_ref());
        match server.weight.share(slow, now) {
            None => (target, reason.to_owned(), None),
            Some((share, next)) => (
                weight::part(target, share),
                format!("{reason}, {share} % of it in slow start"),
                Some(next),
            ),
        }
    }

    /// Takes note of a real server's weight; `out` hears of it when it changed by itself.
    pub(super) fn show_weight(&mut self, slot: u32, now: Duration, out: Option<&mut Output>) {
        let (weight, reason, next) = self.weight_now(slot, now);
        let stamp = self.next_turn();
        let server = &mut self.servers[slot];
        let outage = server.outage.as_ref().map(|outage| outage.until);
        server.stamp = stamp;
        let due = [next, outage].into_iter().flatten().min();
        if let Some(at) = due {
            self.timers.add(at, Due::Server { slot, stamp });
        }
        let server = &mut self.servers[slot];
        if next.is_none() && server.up {
            server.weight.end_slow_start();
        }
        let from = mem::replace(&mut server.shown, weight);
        if let Some(out) = out
            && from != weight
        {
            out.events.push(Event {
                service: self.services[server.service].settings.key,
                server: Some(server.wanted.server.address),
                kind: EventKind::Weight { from, to: weight },
                reason,
            });
        }
    }

    /// The weights of the real servers that are up: without slow start, which is no lack.
    pub(super) fn sum(&self, service: &Service) -> u64 {
        let servers = service.servers.iter().map(|slot| &self.servers[*slot]);
        servers
            .filter(|server| server.up && !self.wishes_drain(server))
            .map(|server| u64::from(server.target_weight()))
            .sum()
    }

    fn wishes_drain(&self, server: &Server) -> bool {
        let mut watches = server.watches.iter().map(|slot| &self.watches[*slot]);
        watches.any(|watch| watch.wish == Some(Wish::Drain))
    }

    /// Looks at the quorum again, and at what is in force.
    pub(super) fn settle_service(&mut self, slot: u32, now: Duration, out: &mut Output) {
        let service = &self.services[slot];
        let sum = self.sum(service);
        let turn = quorum::turn(service.settings.quorum, service.quorum_up, sum);
        let service = &mut self.services[slot];
        match turn {
            Turn::Stays => {}
            Turn::Gained => service.turn_quorum(true, sum, out),
            Turn::Lost => service.turn_quorum(false, sum, out),
        }
        self.enforce(slot, now, out);
    }

    /// What is in force of a service, when it changed.
    pub(super) fn enforce(&mut self, slot: u32, _now: Duration, out: &mut Output) {
        let service = &self.services[slot];
        let sorry_serves = service.sorry_serves();
        let servers = service.servers.iter().map(|slot| &self.servers[*slot]);
        let in_force: Vec<RealServer> = servers
            .filter_map(|server| server.in_force(sorry_serves))
            .collect();
        let in_force = service.with_sorry(in_force);
        let service = &mut self.services[slot];
        service.sorry_used |= sorry_serves;
        if service.in_force != in_force {
            service.in_force = in_force;
            out.note_change(service.settings.key);
        }
    }
}

impl Service {
    /// Whether the sorry server serves instead of the others.
    pub(super) fn sorry_serves(&self) -> bool {
        self.settings.sorry.is_some() && !self.quorum_up
    }

    /// Whether the sorry server stays with weight 0 while the others serve.
    pub(super) fn keeps_sorry(&self) -> bool {
        self.settings.sorry.is_some_and(|sorry| sorry.inhibit)
    }

    /// The real servers in force, with the sorry server where it is one of them.
    pub(super) fn with_sorry(&self, mut in_force: Vec<RealServer>) -> Vec<RealServer> {
        let Some(sorry) = self.settings.sorry else {
            return in_force;
        };
        let mut server = sorry.server;
        let same = |other: &RealServer| other.address == server.address;
        if self.sorry_serves() {
            in_force.retain(|other| !same(other));
            in_force.push(server);
        } else if sorry.inhibit && self.sorry_used && !in_force.iter().any(same) {
            server.weight = Weight::QUIESCED;
            in_force.push(server);
        }
        in_force
    }

    /// Whether its checks rest.
    pub(super) fn rests(&self) -> bool {
        self.settings.only_while_active && !self.active
    }

    pub(super) fn turn_quorum(&mut self, up: bool, sum: u64, out: &mut Output) {
        self.quorum_up = up;
        let quorum = self.settings.quorum;
        let (weight, hysteresis) = (quorum.weight, quorum.hysteresis);
        let key = self.settings.key;
        let mut event = |server, kind| {
            out.events.push(Event {
                service: key,
                server,
                kind,
                reason: String::new(),
            });
        };
        event(
            None,
            match up {
                true => EventKind::QuorumGained {
                    sum,
                    quorum: weight,
                    hysteresis,
                },
                false => EventKind::QuorumLost {
                    sum,
                    quorum: weight,
                    hysteresis,
                },
            },
        );
        if let Some(sorry) = self.settings.sorry {
            match up {
                true if self.sorry_used => event(Some(sorry.server.address), EventKind::SorryOut),
                true => {}
                false => event(Some(sorry.server.address), EventKind::SorryIn),
            }
        }
        let word = match up {
            true => "Gained quorum",
            false => "Lost quorum",
        };
        out.notices.push(self.quorum_notice(up, sum, word));
    }

    pub(super) fn quorum_notice(&self, up: bool, sum: u64, cause: &str) -> Notice {
        let script = match up {
            true => &self.settings.quorum_up,
            false => &self.settings.quorum_down,
        };
        Notice {
            service: self.settings.key,
            kind: NoticeKind::Quorum {
                sum,
                quorum: self.settings.quorum.weight,
                hysteresis: self.settings.quorum.hysteresis,
            },
            up,
            first: false,
            script: script.clone(),
            mail: self.settings.mail,
            cause: cause.to_owned(),
            reason: String::new(),
        }
    }
}

impl Server {
    pub(super) fn configured(&self) -> u32 {
        self.wanted.server.weight.get()
    }

    /// What counts for the quorum while it is up.
    pub(super) fn target_weight(&self) -> u32 {
        match self.wanted.held {
            true => 0,
            false => self.weight.target(self.configured()).0,
        }
    }

    fn turn(&mut self, up: bool, reason: String, now: Duration) {
        self.up = up;
        self.since = Some(now);
        self.reason = reason;
        match up {
            true => self.weight.begin_slowly(now),
            false => self.weight.end_slow_start(),
        }
    }

    /// Itself as it is in the tables, if it is.
    pub(super) fn in_force(&self, sorry_serves: bool) -> Option<RealServer> {
        let mut server = self.wanted.server;
        if self.up && !sorry_serves {
            server.weight = Weight::new(self.shown).unwrap_or(server.weight);
            return Some(server);
        }
        // Who is taken out by hand keeps its connections.
        (self.settings.inhibit || self.wanted.held).then(|| {
            server.weight = Weight::QUIESCED;
            server
        })
    }

    /// That it is up or down.
    pub(super) fn notice(&self, service: ServiceKey, up: bool, cause: String) -> Notice {
        let script = match up {
            true => &self.settings.up,
            false => &self.settings.down,
        };
        Notice {
            service,
            kind: NoticeKind::Server(self.wanted.server.address),
            up,
            first: false,
            script: script.clone(),
            mail: self.settings.mail,
            cause,
            reason: self.reason.clone(),
        }
    }

    /// That it is down, if it was up: what is not checked is not told of.
    pub(super) fn farewell(&self, service: ServiceKey, cause: &str) -> Option<Notice> {
        let told = self.up && !self.watches.is_empty();
        told.then(|| {
            let notice = self.notice(service, false, cause.to_owned());
            Notice {
                reason: String::new(),
                ..notice
            }
        })
    }
}
