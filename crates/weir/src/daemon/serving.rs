//! The daemon at work: the API, the tasks and the signals.

use std::env;
use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use weir_api::server;
use weir_config as config;

use super::{Daemon, configuration, tasks};
use crate::exit;
use crate::plane::Plane;

/// How long requests that have begun may take when the daemon is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Answers until SIGTERM or SIGINT; SIGHUP reads `file` again. Says `ready` once it answers.
pub async fn serve<P: Plane>(
    daemon: Arc<Daemon<P>>,
    listener: UnixListener,
    file: Option<PathBuf>,
    ready: &str,
) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let hangup = signal(SignalKind::hangup())?;
    tasks::start(&daemon)?;
    tokio::spawn(reload_on(hangup, Arc::clone(&daemon), file));
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(server::serve(listener, daemon, async {
        let _ = stopped.await;
    }));
    exit::say(&format!("weir: {ready}"));
    notify(ready);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    drop(stop);
    match tokio::time::timeout(GRACE, server).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(panic)) => Err(io::Error::other(panic)),
        Err(_) => Ok(()),
    }
}

/// Reads the configuration again at each signal. A file with a mistake changes nothing.
async fn reload_on<P: Plane>(mut hangup: Signal, daemon: Arc<Daemon<P>>, file: Option<PathBuf>) {
    while hangup.recv().await.is_some() {
        let Some(file) = file.clone() else {
            tracing::warn!("SIGHUP: there is no configuration file to read again");
            continue;
        };
        let daemon = Arc::clone(&daemon);
        let _ = tokio::task::spawn_blocking(move || reload(&daemon, file)).await;
    }
}

fn reload<P: Plane>(daemon: &Daemon<P>, file: PathBuf) {
    let name = file.display().to_string();
    let text = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return tracing::error!("{name} cannot be read again: {error}"),
    };
    match config::file::parse(&text, &name) {
        Err(diagnostics) => tracing::error!("{}", configuration::shown(&diagnostics)),
        Ok(config) => match daemon.add_configured(&config) {
            Err(error) => tracing::error!("{name}: {error}"),
            Ok(plan) => {
                tracing::info!("{name} was read again: {} changes", plan.changes.len());
                for change in plan.changes {
                    tracing::info!("configuration: {change}");
                }
            }
        },
    }
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
