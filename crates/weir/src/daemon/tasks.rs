//! What happens without being asked: rates, housekeeping, interfaces that change.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use host::clock::monotonic;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, sleep};
use weir_host as host;

use super::Daemon;
use crate::plane::Plane;

/// IPVS's estimator looks every two seconds; its weights are for that.
const ESTIMATE_EVERY: Duration = Duration::from_secs(2);
/// Removed real servers are looked at about as often as IPVS's trash timer does at its soonest.
const HOUSEKEEPING_EVERY: Duration = Duration::from_secs(1);
/// One event is seldom alone: a device that comes up sends several.
const SETTLE: Duration = Duration::from_millis(50);

/// Starts them all; they end with the runtime.
pub fn start<P: Plane>(daemon: &Arc<Daemon<P>>) -> io::Result<()> {
    repeat(daemon, ESTIMATE_EVERY, |daemon| {
        let plane_error = {
            let mut director = daemon.director();
            director.estimate(&*daemon.plane()).err()
        };
        if let Some(error) = plane_error {
            tracing::warn!("rates stand still: {error}");
        }
    });
    repeat(daemon, HOUSEKEEPING_EVERY, |daemon| {
        let plane_error = {
            let mut director = daemon.director();
            director.housekeeping(&*daemon.plane(), monotonic()).err()
        };
        if let Some(error) = plane_error {
            tracing::warn!("removed real servers are not tidied away: {error}");
        }
    });
    watch_interfaces(daemon)
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

fn watch_interfaces<P: Plane>(daemon: &Arc<Daemon<P>>) -> io::Result<()> {
    let daemon = Arc::clone(daemon);
    let changed = Arc::new(Notify::new());
    let bell = Arc::clone(&changed);
    host::watch::interfaces(move || bell.notify_one())?;
    tokio::spawn(async move {
        loop {
            changed.notified().await;
            sleep(SETTLE).await;
            in_background(&daemon, |daemon| {
                if let Err(error) = daemon.look_again() {
                    tracing::warn!("cannot look at the interfaces again: {error}");
                }
            })
            .await;
        }
    });
    Ok(())
}

/// Works where it may block. A panic is logged by the runtime's hook and ends this round only.
async fn in_background<P: Plane>(daemon: &Arc<Daemon<P>>, work: fn(&Daemon<P>)) {
    let daemon = Arc::clone(daemon);
    let _ = tokio::task::spawn_blocking(move || work(&daemon)).await;
}
