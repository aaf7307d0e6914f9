//! What happens without being asked: rates, housekeeping, interfaces and routes that change.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use host::clock::monotonic;
use host::neighbour;
use host::watch::{self, Changes};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use weir_host as host;

use super::Daemon;
use super::store::BURST;
use crate::plane::Plane;

/// IPVS's estimator looks every two seconds; its weights are for that.
const ESTIMATE_EVERY: Duration = Duration::from_secs(2);
/// Removed real servers are looked at about as often as IPVS's trash timer does at its soonest.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(1);
/// Fragments out of order may be met by a new service this much later than packets.
const ADDRESSES_EVERY: Duration = Duration::from_secs(1);
/// An end hears this much later that its connection is over.
const FAREWELL_EVERY: Duration = Duration::from_millis(500);
/// How often stale neighbours are looked for. The kernel doubts one after about half a minute, and
/// forgets it a minute later.
const CONFIRM_EVERY: Duration = Duration::from_secs(10);
/// As many neighbours are confirmed in a second at most, each with a packet on its link.
const CONFIRM_AT_ONCE: usize = 50;
/// So many times as long as writing takes, nothing is written.
const REST: u32 = 10;
/// One event is seldom alone: a device that comes up sends several.
const SETTLE: Duration = Duration::from_millis(50);

/// Starts them all; they end with the runtime.
pub fn start<P: Plane>(daemon: &Arc<Daemon<P>>) -> io::Result<()> {
    repeat(daemon, ESTIMATE_EVERY, |daemon| {
        if let Err(error) = daemon.estimate() {
            tracing::warn!("rates stand still: {error}");
        }
    });
    repeat(daemon, ADDRESSES_EVERY, |daemon| {
        let plane = daemon.plane();
        if let Err(error) = plane.set_addresses(weir_control::addresses(&*plane)) {
            tracing::warn!("fragments of new services may not wait for each other: {error}");
        }
    });
    repeat(daemon, HOUSEKEEPING_EVERY, |daemon| {
        let plane_error = {
            let mut director = daemon.director();
            director.housekeeping(&*daemon.plane(), monotonic()).err()
        };
        daemon.drain();
        daemon.follow_machine();
        daemon.follow_path();
        daemon.follow_sync();
        if let Some(error) = plane_error {
            tracing::warn!("removed real servers are not tidied away: {error}");
        }
    });
    repeat(daemon, FAREWELL_EVERY, Daemon::say_farewell);
    confirm_neighbours(daemon);
    save_changes(daemon);
    follow_upkeep(daemon);
    watch_network(daemon)
}

/// What is wanted is written when it has changed, a burst of changes once.
fn save_changes<P: Plane>(daemon: &Arc<Daemon<P>>) {
    let daemon = Arc::clone(daemon);
    let changed = daemon.store.changed();
    let mut pause = BURST;
    tokio::spawn(async move {
        loop {
            changed.notified().await;
            sleep(pause).await;
            let began = monotonic();
            in_background(&daemon, Daemon::save_state).await;
            // Who has much to write is not to write all the time.
            pause = BURST.max(REST * (monotonic() - began));
        }
    });
}

fn repeat<P: Plane>(daemon: &Arc<Daemon<P>>, every: Duration, work: fn(&Daemon<P>)) {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            in_background(&daemon, work).await;
        }
    });
}

/// Lets the VRRP router do what is configured, whenever that changes.
fn follow_upkeep<P: Plane>(daemon: &Arc<Daemon<P>>) {
    let mut upkeep = daemon.upkeep();
    // The file may have been read since the router was started.
    upkeep.mark_changed();
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        while upkeep.changed().await.is_ok() {
            let config = upkeep.borrow_and_update().clone();
            in_background(&daemon, move |daemon| daemon.reload_vrrp(&config)).await;
        }
    });
}

/// The kernel does not see what XDP sends to real servers, and would forget their link addresses.
fn confirm_neighbours<P: Plane>(daemon: &Arc<Daemon<P>>) {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        let mut ticks = interval(CONFIRM_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let found = in_background(&daemon, Daemon::stale_neighbours).await;
            let stale = logged(found.unwrap_or_else(|| Ok(Vec::new())), "be listed");
            for some in stale.chunks(CONFIRM_AT_ONCE) {
                let some = some.to_vec();
                let asked = in_background(&daemon, move |_| neighbour::confirm(&some)).await;
                logged(asked.unwrap_or(Ok(())), "be confirmed");
                sleep(Duration::from_secs(1)).await;
            }
        }
    });
}

fn logged<T: Default>(outcome: io::Result<T>, what: &str) -> T {
    outcome.unwrap_or_else(|error| {
        tracing::warn!("the neighbours that are real servers cannot {what}: {error}");
        T::default()
    })
}

/// Tells the packet programs what the watch sees.
struct Observer<P> {
    daemon: Arc<Daemon<P>>,
    interfaces: Arc<Notify>,
    routes: Arc<Notify>,
}

impl<P: Plane> watch::Observer for Observer<P> {
    fn changed(&self, changes: Changes) {
        if changes.routes {
            self.daemon.forget_routes();
            self.routes.notify_one();
        }
        if changes.interfaces {
            self.interfaces.notify_one();
        }
    }

    fn watching(&self) {
        self.daemon.watches_routes();
    }

    fn interrupted(&self, error: &io::Error) {
        self.daemon.lost_sight_of_routes(error);
    }
}

fn watch_network<P: Plane>(daemon: &Arc<Daemon<P>>) -> io::Result<()> {
    let daemon = Arc::clone(daemon);
    let (interfaces, routes) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    watch::network(Observer {
        daemon: Arc::clone(&daemon),
        interfaces: Arc::clone(&interfaces),
        routes: Arc::clone(&routes),
    })?;
    // Those that were there before may have changed in between.
    routes.notify_one();
    after(&daemon, routes, Daemon::learn_ways);
    after(&daemon, interfaces, |daemon| {
        if let Err(error) = daemon.look_again() {
            tracing::warn!("cannot look at the interfaces again: {error}");
        }
        daemon.follow_path();
        daemon.refresh_marks();
    });
    Ok(())
}

/// Does something after each event.
fn after<P: Plane>(daemon: &Arc<Daemon<P>>, event: Arc<Notify>, work: fn(&Daemon<P>)) {
    let daemon = Arc::clone(daemon);
    tokio::spawn(async move {
        loop {
            event.notified().await;
            sleep(SETTLE).await;
            in_background(&daemon, work).await;
        }
    });
}

/// Works where it may block. A panic is logged by the runtime's hook and ends this round only.
async fn in_background<P: Plane, T: Send + 'static>(
    daemon: &Arc<Daemon<P>>,
    work: impl FnOnce(&Daemon<P>) -> T + Send + 'static,
) -> Option<T> {
    let daemon = Arc::clone(daemon);
    let done = tokio::task::spawn_blocking(move || work(&daemon));
    done.await.ok()
}
