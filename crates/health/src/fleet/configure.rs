//! Following what is wanted. What stays the same keeps its state.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use weir_config::model::health::{Check, Pace, Says, ServerHealth, ServiceHealth, WeightSource};
use weir_config::model::{RealServer, ServiceKey};

use super::{
    Fleet, Kind, Output, Phase, Recall, Server, Service, WantedServer, WantedService, Watch,
};
use crate::passive::Seen;
use crate::probe::{Question, Subject};
use crate::round::Round;
use crate::{check, weight};

/// What keepalived says of those that are wanted no more.
const REMOVING: &str = "Removing";

impl Fleet {
    /// Makes this all that is watched. `recall` tells of what is new here, and was there before the
    /// daemon began anew.
    pub fn configure(
        &mut self,
        wanted: &[WantedService<'_>],
        recall: &Recall<'_>,
        now: Duration,
        out: &mut Output,
    ) {
        let keys: HashSet<ServiceKey> = wanted.iter().map(|one| one.health.key).collect();
        let gone = self.by_key.keys().filter(|key| !keys.contains(key));
        for key in gone.copied().collect::<Vec<_>>() {
            self.remove_service(&key, out);
        }
        for one in wanted {
            match self.by_key.get(&one.health.key).copied() {
                Some(slot) => self.update_service(slot, one, now, out),
                None => self.add_service(one, recall, now, out),
            }
        }
    }

    /// Watches no more whom `goes_on` names among those that are not in `wanted`, and says nothing: they forward on.
    pub fn let_go(&mut self, wanted: &[WantedService<'_>], goes_on: &dyn Fn(&ServiceKey) -> bool) {
        let wanted: HashSet<ServiceKey> = wanted.iter().map(|one| one.health.key).collect();
        let gone = self.by_key.keys().filter(|key| !wanted.contains(key));
        for key in gone.filter(|key| goes_on(key)).copied().collect::<Vec<_>>() {
            self.forget_service(&key);
        }
    }

    fn remove_service(&mut self, key: &ServiceKey, out: &mut Output) {
        if let Some(slot) = self.by_key.get(key) {
            self.say_farewell(&self.services[*slot], REMOVING, out);
        }
        self.forget_service(key);
    }

    fn forget_service(&mut self, key: &ServiceKey) {
        let Some(slot) = self.by_key.remove(key) else {
            return;
        };
        for server in self
            .services
            .remove(slot)
            .into_iter()
            .flat_map(|s| s.servers)
        {
            self.remove_server(server);
        }
    }

    fn remove_server(&mut self, slot: u32) {
        for watch in self
            .servers
            .remove(slot)
            .into_iter()
            .flat_map(|s| s.watches)
        {
            self.watches.remove(watch);
        }
    }

    fn add_service(
        &mut self,
        wanted: &WantedService<'_>,
        recall: &Recall<'_>,
        now: Duration,
        out: &mut Output,
    ) {
        let key = wanted.health.key;
        let quorum_up = (recall.quorum)(&key);
        let slot = self.services.add(Service {
            settings: without_servers(wanted.health),
            servers: Vec::new(),
            quorum_up: quorum_up.unwrap_or(false),
            active: false,
            sorry_used: false,
            in_force: Vec::new(),
        });
        self.by_key.insert(key, slot);
        let settings = settings_of(wanted);
        for (server, settings) in wanted.servers.iter().zip(settings) {
            let recalled = (recall.server)(&key, server.server.address);
            self.add_server(slot, *server, &settings, recalled, now, out);
        }
        let told = out.notices.len();
        self.settle_service(slot, now, out);
        // keepalived knows that it is the start.
        for notice in &mut out.notices[told..] {
            "Starting with quorum up".clone_into(&mut notice.cause);
        }
        let service = &self.services[slot];
        // Without a quorum from the start: keepalived puts the sorry server in and says so.
        if quorum_up.is_none() && service.sorry_serves() {
            let sum = self.sum(service);
            let service = &mut self.services[slot];
            service.turn_quorum(false, sum, out);
        } else if quorum_up.is_none() && service.keeps_sorry() {
            // keepalived puts it in before it looks, and leaves it there.
            self.services[slot].sorry_used = true;
            self.enforce(slot, now, out);
        }
    }

    fn update_service(
        &mut self,
        slot: u32,
        wanted: &WantedService<'_>,
        now: Duration,
        out: &mut Output,
    ) {
        let settings = without_servers(wanted.health);
        let service = &mut self.services[slot];
        let rested = service.rests();
        let mut changed = service.settings != settings;
        service.settings = settings;
        let mut old: HashMap<SocketAddr, u32> = service
            .servers
            .iter()
            .map(|slot| (self.servers[*slot].wanted.server.address, *slot))
            .collect();
        let before = std::mem::take(&mut service.servers);
        let mut to_settle = Vec::new();
        for (server, settings) in wanted.servers.iter().zip(settings_of(wanted)) {
            match old.remove(&server.server.address) {
                Some(old) => {
                    self.services[slot].servers.push(old);
                    if self.update_server(old, *server, &settings, now) {
                        to_settle.push(old);
                    }
                }
                None => {
                    changed = true;
                    self.add_server(slot, *server, &settings, None, now, out);
                }
            }
        }
        for gone in old.into_values() {
            changed = true;
            let key = self.services[slot].settings.key;
            out.notices
                .extend(self.servers[gone].farewell(key, REMOVING));
            self.remove_server(gone);
        }
        let service = &self.services[slot];
        changed |= service.servers != before;
        if service.rests() != rested {
            self.begin_or_rest(slot, now);
        }
        for server in to_settle {
            self.settle_server(server, now, out);
        }
        if changed {
            self.settle_service(slot, now, out);
        }
    }

    fn add_server(
        &mut self,
        service: u32,
        wanted: WantedServer,
        settings: &ServerHealth,
        recalled: Option<bool>,
        now: Duration,
        out: &mut Output,
    ) {
        let slot = self.servers.add(Server {
            service,
            wanted,
            settings: without_checks(settings),
            watches: Vec::new(),
            up: true,
            since: None,
            reason: String::new(),
            weight: weight::State::default(),
            shown: wanted.server.weight.get(),
            accept_time: None,
            seen: Seen::default(),
            outage: None,
            spared: false,
            stamp: 0,
        });
        self.services[service].servers.push(slot);
        for want in watches_of(settings) {
            let state = match recalled {
                Some(up) => check::State::recalled(up),
                None => check::State::new(!want.pace.alpha),
            };
            let watch = self.add_watch(slot, want, state, now);
            self.servers[slot].watches.push(watch);
        }
        let up = self.servers[slot]
            .watches
            .iter()
            .all(|watch| self.watches[*watch].state.up);
        let server = &mut self.servers[slot];
        server.up = up;
        if !up {
            server.reason = match recalled {
                Some(_) => "it was down before this daemon began".to_owned(),
                None => "not checked yet".to_owned(),
            };
        }
        if recalled.is_none() && !server.watches.is_empty() {
            out.notices.push(self.server_notice(slot, true));
        }
        self.show_weight(slot, now, None);
    }

    /// Whether there is something to look at again.
    fn update_server(
        &mut self,
        slot: u32,
        wanted: WantedServer,
        settings: &ServerHealth,
        now: Duration,
    ) -> bool {
        let server = &mut self.servers[slot];
        let bare = without_checks(settings);
        let other_weight = server.wanted.server.weight != wanted.server.weight
            || server.settings.weight != bare.weight;
        let mut changed = server.wanted != wanted || server.settings != bare;
        server.wanted = wanted;
        server.settings = bare;
        let up = server.up;
        let mut old = std::mem::take(&mut server.watches);
        let mut kept = Vec::new();
        for want in watches_of(settings) {
            let same = old
                .iter()
                .position(|slot| self.watches[*slot].subject.question.is_like(&want.question));
            let watch = match same {
                Some(place) => {
                    let watch = old.remove(place);
                    self.update_watch(watch, want, wanted.server, now);
                    watch
                }
                None => {
                    changed = true;
                    // Who is down is not brought back by another check that was never made.
                    let state = match up {
                        true => check::State::new(true),
                        false => check::State::recalled(false),
                    };
                    self.add_watch(slot, want, state, now)
                }
            };
            kept.push(watch);
        }
        changed |= !old.is_empty();
        for gone in old {
            self.watches.remove(gone);
        }
        self.servers[slot].watches = kept;
        if other_weight {
            self.servers[slot].weight.forget();
            self.weigh(slot);
        }
        if changed {
            // Said by who changed it, not here.
            self.show_weight(slot, now, None);
        }
        changed
    }

    fn add_watch(&mut self, server: u32, want: Want, state: check::State, now: Duration) -> u32 {
        let service = self.servers[server].service;
        let rests = self.services[service].rests();
        let round = Round::of(&want.question);
        let mut watch = Watch {
            server,
            subject: Arc::new(Subject {
                question: want.question,
                service: self.services[service].settings.key,
                server: self.servers[server].wanted.server,
            }),
            pace: want.pace,
            kind: want.kind,
            state,
            round,
            phase: Phase::Idle,
            turn: 0,
            passed: None,
            last: None,
            word: None,
            wish: None,
        };
        let mut idle = rests;
        if let Kind::Session(name) = &watch.kind {
            idle = true;
            if let Some(up) = self.sessions.get(name) {
                watch.state = check::State::recalled(*up);
            }
        }
        let warm_up = watch.pace.warm_up;
        let slot = self.watches.add(watch);
        if idle {
            self.rest(slot);
        } else {
            let warm_up = self.random.up_to(warm_up);
            self.wait(slot, now + warm_up);
        }
        slot
    }

    fn update_watch(&mut self, slot: u32, want: Want, server: RealServer, now: Duration) {
        let watch = &mut self.watches[slot];
        let sooner = now + want.pace.interval;
        let hurry = match watch.phase {
            Phase::Waiting { until } => until > sooner,
            Phase::Idle | Phase::Asked { .. } => false,
        };
        watch.pace = want.pace;
        watch.kind = want.kind;
        if watch.subject.question != want.question || watch.subject.server != server {
            watch.subject = Arc::new(Subject {
                question: want.question,
                service: watch.subject.service,
                server,
            });
        }
        if hurry {
            self.wait(slot, sooner);
        }
    }
}

/// A watch that is wanted.
struct Want {
    question: Question,
    pace: Pace,
    kind: Kind,
}

fn watches_of(settings: &ServerHealth) -> impl Iterator<Item = Want> {
    let checks = settings.checks.iter().map(|check| Want {
        pace: check.pace,
        kind: match check.kind.says() {
            Says::Session(name) => Kind::Session(name.to_owned()),
            Says::State | Says::Weight => Kind::Check {
                log_all_failures: check.log_all_failures,
            },
        },
        question: Question::Check(Box::new(check.clone())),
    });
    let source = settings
        .weight
        .as_ref()
        .and_then(|policy| policy.source.as_ref());
    let figure = match source {
        Some(WeightSource::Figure(figure)) => Some(Want {
            pace: Pace {
                alpha: false,
                ..figure.pace
            },
            kind: Kind::Figure,
            question: Question::Figure(figure.clone()),
        }),
        Some(WeightSource::Checks | WeightSource::ConnectTime { .. }) | None => None,
    };
    checks.chain(figure)
}

impl Question {
    /// Whether the same is asked, however often.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Check(one), Self::Check(other)) => is_like(one, other),
            (Self::Figure(one), Self::Figure(other)) => {
                let same_pace = weir_config::model::health::Figure {
                    pace: other.pace,
                    ..(**one).clone()
                };
                same_pace == **other
            }
            (Self::Check(_), Self::Figure(_)) | (Self::Figure(_), Self::Check(_)) => false,
        }
    }
}

fn is_like(one: &Check, other: &Check) -> bool {
    one.kind == other.kind
        && one.target == other.target
        && one.source == other.source
        && one.way == other.way
}

/// How each wanted real server is watched. Of who was added by hand nothing is said.
fn settings_of(wanted: &WantedService<'_>) -> Vec<ServerHealth> {
    let servers = wanted.health.servers.iter();
    let by_address: HashMap<SocketAddr, &ServerHealth> =
        servers.map(|server| (server.address, server)).collect();
    let settings = wanted.servers.iter().map(|wanted| {
        let address = wanted.server.address;
        let settings = by_address.get(&address).copied().cloned();
        settings.unwrap_or_else(|| ServerHealth::new(address))
    });
    settings.collect()
}

fn without_servers(health: &ServiceHealth) -> ServiceHealth {
    ServiceHealth {
        servers: Vec::new(),
        quorum_up: health.quorum_up.clone(),
        quorum_down: health.quorum_down.clone(),
        ..*health
    }
}

fn without_checks(settings: &ServerHealth) -> ServerHealth {
    ServerHealth {
        address: settings.address,
        checks: Vec::new(),
        inhibit: settings.inhibit,
        weight: settings.weight.clone(),
        up: settings.up.clone(),
        down: settings.down.clone(),
        mail: settings.mail,
    }
}
