//! The server: a Unix socket that only its owner may open, and the API on it.

use std::fs;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::UnixListener;

use crate::handlers;
use crate::management::{Management, Peer};

/// Why the socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody answers on it.
    #[error(
        "{} is in use: another director answers on it; stop that one, or give this one its own \
         with --socket", .0.display()
    )]
    InUse(PathBuf),
    /// The path names something else.
    #[error("{} is there and is not a socket: give another path with --socket", .0.display())]
    NotASocket(PathBuf),
    /// The kernel refused.
    #[error("cannot make the socket {}: {source}", .path.display())]
    Refused {
        /// Where it was to be.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Checks that [`bind`] would not be in somebody's way, and changes nothing.
pub fn check(path: &Path) -> Result<(), BindError> {
    find_dead(path).map(|_| ())
}

/// Makes the socket, in place of one that a dead daemon left. Mode 0600.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let refused = |source| BindError::Refused {
        path: path.to_owned(),
        source,
    };
    clear_the_way(path)?;
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(refused)?;
    }
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(refused)?;
    socket
        .bind(&SockAddr::unix(path).map_err(refused)?)
        .map_err(refused)?;
    // Before it listens nobody can connect, so nobody slips in while the mode is still the umask's.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
    socket.listen(128).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    UnixListener::from_std(socket.into()).map_err(refused)
}

/// Answers until `stop` ends, then lets requests that have begun end too.
pub async fn serve(
    listener: UnixListener,
    director: Arc<dyn Management>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let service = handlers::router(director).into_make_service_with_connect_info::<Peer>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop)
        .await
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        match stream.io().peer_cred() {
            Ok(credentials) => Self {
                process: credentials.pid(),
                user: credentials.uid(),
                group: credentials.gid(),
                program: credentials.pid().and_then(program),
                agent: None,
            },
            // The kernel keeps them for every Unix stream; were it ever to fail, this is nobody.
            Err(_) => Self {
                process: None,
                user: u32::MAX,
                group: u32::MAX,
                program: None,
                agent: None,
            },
        }
    }
}

/// What a process runs now.
fn program(process: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{process}/comm")).ok()?;
    Some(String::from_utf8_lossy(&name).trim_end().to_owned())
}

/// Removes the socket of a daemon that is gone.
fn clear_the_way(path: &Path) -> Result<(), BindError> {
    if !find_dead(path)? {
        return Ok(());
    }
    fs::remove_file(path).map_err(|source| BindError::Refused {
        path: path.to_owned(),
        source,
    })
}

/// Whether a socket is there to which nobody listens; anything else in the way is an error.
fn find_dead(path: &Path) -> Result<bool, BindError> {
    let refused = |source| BindError::Refused {
        path: path.to_owned(),
        source,
    };
    let there = match fs::symlink_metadata(path) {
        Ok(there) => there,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(refused(error)),
    };
    if !there.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(BindError::InUse(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(true),
        Err(error) => Err(refused(error)),
    }
}
