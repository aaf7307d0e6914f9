//! The daemon at work: the API, the tasks and the signals.

use std::env;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use weir_api::server;

use super::{Daemon, health, tasks, watch};
use crate::exit;
use crate::plane::Plane;

/// How long requests that have begun may take when the daemon is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// The daemon's own configuration file.
#[derive(Clone, Debug)]
pub struct OwnFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is read again when it changes.
    pub watch: bool,
}

/// Why the daemon ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was told to: whatever is VRRP's has been handed over.
    Stopped,
    /// Another one takes its place at once, and goes on with its VRRP roles.
    Replaced,
}

/// Answers until SIGTERM or SIGINT, or SIGUSR2, by which it is replaced; SIGHUP reads `file` again. Says
/// `ready` once it answers.
pub async fn serve<P: Plane>(
    daemon: Arc<Daemon<P>>,
    listener: UnixListener,
    file: Option<OwnFile>,
    ready: &str,
) -> io::Result<Ending> {
    let mut replace = signal(SignalKind::user_defined2())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    tasks::start(&daemon)?;
    let health = health::start(&daemon)?;
    if let Some(file) = file.as_ref().filter(|file| file.watch) {
        watch::reload_when_changed(&daemon, file.path.clone())?;
    }
    let file = file.map(|file| file.path);
    tokio::spawn(watch::reload_on(hangup, Arc::clone(&daemon), file));
    let (stop, stopped) = oneshot::channel::<()>();
    let director: Arc<dyn weir_api::Management> = daemon.clone();
    let server = tokio::spawn(server::serve(listener, director, async {
        let _ = stopped.await;
    }));
    exit::say(&format!("weir: {ready}"));
    notify(ready);
    let ending = tokio::select! {
        _ = terminate.recv() => Ending::Stopped,
        _ = interrupt.recv() => Ending::Stopped,
        _ = replace.recv() => Ending::Replaced,
    };
    if ending == Ending::Stopped {
        // At once: whoever takes over need not wait for requests that have begun.
        stop_vrrp(&daemon, ending).await;
    }
    drop(stop);
    daemon.events().close();
    let outcome = match tokio::time::timeout(GRACE, server).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(io::Error::other(panic)),
        Err(_) => Ok(()),
    };
    daemon.save_state();
    daemon.end_health();
    let _ = tokio::task::spawn_blocking(move || health.join()).await;
    if let Some(herald) = daemon.herald() {
        herald.finish().await;
    }
    if ending == Ending::Replaced {
        // As late as can be: the others wait for the next advertisement.
        stop_vrrp(&daemon, ending).await;
    }
    outcome.map(|()| ending)
}

async fn stop_vrrp<P: Plane>(daemon: &Arc<Daemon<P>>, ending: Ending) {
    let daemon = Arc::clone(daemon);
    let _ = tokio::task::spawn_blocking(move || daemon.stop_vrrp(ending)).await;
}

/// Tells the service manager that the daemon is ready, if one asks (sd_notify(3)).
fn notify(status: &str) {
    let Some(path) = env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(&path),
    };
    let sent = address.and_then(|address| {
        let message = format!("READY=1\nSTATUS={status}\n");
        UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!("cannot tell the service manager that weir is ready: {error}");
    }
}
