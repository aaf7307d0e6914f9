//! Around the fleet: wait, feed, flush. It has a thread of its own, so that nothing else delays checks.

use std::collections::HashSet;
use std::io;
use std::mem;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use config::model::ServiceKey;
use config::model::health::{CheckKind, Way};
use control::history::Through;
use control::wanted::Upkeep;
use health::probe::{Probe, ProbeId};
use health::verdict::Verdict;
use health::{Event, EventKind, Notice, Output};
use host::clock::monotonic;
use router::herald::{Notice as Telling, Topic};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use weir_config as config;
use weir_control as control;
use weir_health as health;
use weir_host as host;
use weir_probe::Prober;
use weir_router as router;

use super::memory;
use super::observe::Seen;
use super::traffic::Carrier;
use crate::daemon::{Cause, Daemon};
use crate::plane::Plane;

/// So many checks are under way at one time. Each real server's is one, so only a director of many
/// thousands whose real servers all hang comes near.
const MOST_AT_ONCE: usize = 8_192;
/// How often the packet path is asked what it sees, and whether a service's address is here, where that
/// matters.
const LOOK: Duration = Duration::from_secs(1);

type Said = (ProbeId, Verdict);

/// Begins to check, until [`Daemon::end_health`].
pub fn start<P: Plane>(daemon: &Arc<Daemon<P>>) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let daemon = Arc::clone(daemon);
    let work = move || runtime.block_on(watch_over(daemon));
    thread::Builder::new().name("health".to_owned()).spawn(work)
}

async fn watch_over<P: Plane>(daemon: Arc<Daemon<P>>) {
    let wake = {
        let mut health = daemon.watched();
        // Who was there when the daemon began is known by now.
        health.memory.forget();
        for one in health.fleet.remember() {
            if let Some(router) = daemon.vrrp() {
                router.quorum(one.key, one.quorum_up);
            }
        }
        Arc::clone(&health.wake)
    };
    let mut upkeep = daemon.upkeep();
    let wanted = upkeep.borrow_and_update().clone();
    let mut prober = daemon.prober(&wanted);
    let places = Arc::new(Semaphore::new(MOST_AT_ONCE));
    let (say, mut said) = mpsc::unbounded_channel::<Said>();
    let (news, heard) = mpsc::unbounded_channel();
    tokio::spawn(follow(Arc::clone(&daemon), heard));
    tokio::spawn(observe(Arc::clone(&daemon)));
    let mut addresses = interval(LOOK);
    addresses.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let Some((mut output, deadline)) = daemon.watched().look() else {
            return;
        };
        for probe in mem::take(&mut output.probes) {
            let (prober, places) = (Arc::clone(&prober), Arc::clone(&places));
            let answer = Answer::new(probe.id, say.clone());
            tokio::spawn(ask(prober, places, probe, answer));
        }
        if !output.is_empty() && news.send(output).is_err() {
            return;
        }
        let deadline = deadline.map(|at| Instant::now() + at.saturating_sub(monotonic()));
        tokio::select! {
            () = until(deadline) => {}
            () = wake.notified() => {}
            Some(first) = said.recv() => {
                let health = &mut *daemon.watched();
                let mut next = Some(first);
                while let Some((id, verdict)) = next {
                    health.fleet.verdict(id, verdict, monotonic(), &mut health.pending);
                    next = said.try_recv().ok();
                }
            }
            _ = addresses.tick() => daemon.look_for_addresses(&upkeep.borrow()),
            changed = upkeep.changed() => {
                if changed.is_err() {
                    return;
                }
                let wanted = upkeep.borrow_and_update().clone();
                prober = daemon.prober(&wanted);
                // VRRP tells its own.
                if let Some(herald) = daemon.herald.get() {
                    herald.configure(wanted.notifications().clone());
                }
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

async fn ask(prober: Arc<Prober>, places: Arc<Semaphore>, probe: Probe, answer: Answer) {
    // It is never closed.
    let _place = places.acquire().await;
    let verdict = prober.carry_out(&probe).await;
    answer.say(verdict);
}

/// Says something in any case: a check that was never answered would never be made again.
struct Answer {
    id: ProbeId,
    say: Option<mpsc::UnboundedSender<Said>>,
}

impl Answer {
    fn new(id: ProbeId, say: mpsc::UnboundedSender<Said>) -> Self {
        Self { id, say: Some(say) }
    }

    fn say(mut self, verdict: Verdict) {
        if let Some(say) = self.say.take() {
            let _ = say.send((self.id, verdict));
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(say) = self.say.take() {
            let verdict = Verdict::open("the check ended by a mistake of ours", Duration::ZERO);
            let _ = say.send((self.id, verdict));
        }
    }
}

/// Lets the tables follow, and tells. What comes meanwhile is done together.
async fn follow<P: Plane>(daemon: Arc<Daemon<P>>, mut heard: mpsc::UnboundedReceiver<Output>) {
    while let Some(first) = heard.recv().await {
        let mut news = vec![first];
        while let Ok(more) = heard.try_recv() {
            news.push(more);
        }
        let daemon = Arc::clone(&daemon);
        // A panic is logged by the runtime's hook, and what comes next is done all the same.
        let _ = tokio::task::spawn_blocking(move || daemon.follow_health(news)).await;
    }
}

/// Looks once a second at what the packet path sees.
async fn observe<P: Plane>(daemon: Arc<Daemon<P>>) {
    let upkeep = daemon.upkeep();
    let mut seen = Some(Seen::default());
    let mut ticks = interval(LOOK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let (daemon, wanted) = (Arc::clone(&daemon), upkeep.borrow().clone());
        let mut mine = seen.take().unwrap_or_default();
        let look = move || {
            daemon.observe(&mut mine, &wanted);
            mine
        };
        // After a panic it begins anew.
        seen = tokio::task::spawn_blocking(look).await.ok();
    }
}

impl<P: Plane> Daemon<P> {
    fn follow_health(&self, news: Vec<Output>) {
        let mut changed: Vec<ServiceKey> = Vec::new();
        let mut seen = HashSet::new();
        for key in news.iter().flat_map(|one| &one.changed) {
            if seen.insert(*key) {
                changed.push(*key);
            }
        }
        let events: Vec<&Event> = news.iter().flat_map(|one| &one.events).collect();
        for key in changed {
            let reasons = events.iter().filter(|event| event.service == key);
            let reasons: Vec<String> = reasons.map(|event| event.to_string()).collect();
            let cause = Cause::itself(Through::Health, reasons.join("; "));
            if let Err(error) = self.settle(&[key], &cause) {
                tracing::error!("the tables do not follow the health of {key}: {error}");
            }
        }
        let mut to_be_known = false;
        for event in &events {
            tracing::info!("{event}");
            self.tell_event(event);
            self.tell_router(event);
            to_be_known |= match event.kind {
                EventKind::Up { .. }
                | EventKind::Down { .. }
                | EventKind::QuorumGained { .. }
                | EventKind::QuorumLost { .. } => true,
                EventKind::Failure
                | EventKind::Weight { .. }
                | EventKind::Spared
                | EventKind::SorryIn
                | EventKind::SorryOut => false,
            };
        }
        for notice in news.iter().flat_map(|one| &one.notices) {
            self.tell_notice(notice);
        }
        if to_be_known {
            self.save_health();
        }
    }

    /// VRRP may follow our quorums.
    fn tell_router(&self, event: &Event) {
        let up = match event.kind {
            EventKind::QuorumGained { .. } => true,
            EventKind::QuorumLost { .. } => false,
            EventKind::Up { .. }
            | EventKind::Down { .. }
            | EventKind::Failure
            | EventKind::Weight { .. }
            | EventKind::Spared
            | EventKind::SorryIn
            | EventKind::SorryOut => return,
        };
        if let Some(router) = self.vrrp() {
            router.quorum(event.service, up);
        }
    }

    fn tell_event(&self, event: &Event) {
        let subject = match event.server {
            Some(server) => format!("server {server} of {}", event.service),
            None => format!("service {}", event.service),
        };
        let mut detail = json!({
            "kind": event.kind.name(),
            "service": event.service.to_string(),
            "server": event.server,
            "reason": event.reason,
        });
        if let EventKind::Weight { from, to } = event.kind {
            detail["from"] = from.into();
            detail["to"] = to.into();
        }
        let message = event.to_string();
        self.events().happened("health", &subject, &message, detail);
    }

    /// Tells by script, pipe and mail, as keepalived does.
    fn tell_notice(&self, notice: &Notice) {
        if notice.first && !self.upkeep.borrow().notifications().initial_server_states {
            return;
        }
        let Some(herald) = self.herald() else {
            return;
        };
        if let Some(script) = &notice.script {
            herald.tell(Telling::Run {
                script: script.clone(),
                arguments: Vec::new(),
            });
        }
        herald.tell(Telling::Line {
            of: Topic::Lvs,
            text: notice.line(),
        });
        if notice.mail {
            let (subject, body) = notice.mail();
            herald.tell(Telling::Mail { subject, body });
        }
    }

    /// A BFD session came up or went down.
    pub fn health_session(&self, name: &str, up: bool) {
        let health = &mut *self.watched();
        health
            .fleet
            .session(name, up, monotonic(), &mut health.pending);
        health.wake.notify_one();
    }

    /// Writes what the next daemon is to know.
    pub fn save_health(&self) {
        let Some(file) = self.state_file(memory::NAME) else {
            return;
        };
        let remembered = self.watched().fleet.remember();
        if let Err(error) = file.write(&memory::written(remembered)) {
            tracing::warn!("which real servers are up cannot be written: {error}");
        }
    }

    /// The daemon ends: what is to be known is written, and those who want to know are told.
    pub fn end_health(&self) {
        self.save_health();
        let mut output = Output::default();
        self.watched().end(&mut output);
        for notice in &output.notices {
            self.tell_notice(notice);
        }
    }

    /// Who carries out checks, as it is wanted now.
    fn prober(&self, upkeep: &Upkeep) -> Arc<Prober> {
        let prober = Prober::new(upkeep.notifications());
        let checks = upkeep.health().iter().flat_map(|service| &service.servers);
        let mut checks = checks.flat_map(|server| &server.checks);
        let by_traffic = checks
            .any(|check| check.way == Way::Traffic && !matches!(check.kind, CheckKind::Bfd(_)));
        if let Err(error) = self.plane_to_attach().carry_checks(by_traffic) {
            tracing::error!("checks cannot go the way of the traffic: {error}");
        }
        Arc::new(match self.plane().check_ways() {
            Some(ways) if by_traffic => prober.with_traffic(Arc::new(Carrier(ways))),
            Some(_) | None => prober,
        })
    }

    /// Tells the fleet which services' addresses are here, where it matters.
    fn look_for_addresses(&self, upkeep: &Upkeep) {
        let services = upkeep.health().iter();
        let keys: Vec<ServiceKey> = services
            .filter(|service| service.only_while_active)
            .map(|service| service.key)
            .collect();
        if keys.is_empty() {
            return;
        }
        let here = here(&keys);
        let mut health = self.watched();
        for (key, here) in here {
            health.fleet.set_active(&key, here, monotonic());
        }
    }
}

/// Whether each service's address is one of this host's, as its routes have it: with `ip_nonlocal_bind` a socket can be bound to
/// any. A firewall mark has none and is always here.
fn here(keys: &[ServiceKey]) -> Vec<(ServiceKey, bool)> {
    let address = |key: &ServiceKey| match key {
        ServiceKey::Address { address, .. } => Some(address.ip()),
        ServiceKey::FirewallMark { .. } => None,
    };
    let ways = host::route::to(keys.iter().filter_map(address)).unwrap_or_else(|error| {
        tracing::warn!("whether services' addresses are here is not known, so they are: {error}");
        Vec::new()
    });
    let is_here = |key: &ServiceKey| {
        let way = ways.iter().find(|(to, _)| Some(*to) == address(key));
        way.is_none_or(|(_, way)| way.is_some_and(|way| way.local))
    };
    keys.iter().map(|key| (*key, is_here(key))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_host_are_here() {
        let key = |text: &str| ServiceKey::Address {
            protocol: config::model::Protocol::Tcp,
            address: text.parse().unwrap(),
        };
        let mark = ServiceKey::FirewallMark {
            family: config::model::Family::V4,
            mark: 7,
        };
        let keys = [key("127.0.0.1:80"), key("192.0.2.1:80"), mark];
        let expected = [(keys[0], true), (keys[1], false), (keys[2], true)];
        assert_eq!(here(&keys), expected);
    }
}
