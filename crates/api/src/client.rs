//! The client: one connection to a director's socket, calls that block.
//!
//! It opens the socket at the first call and keeps it, so that thousands of calls (an
//! `ipvsadm -R`) do not pay for thousands of connections.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::model::{ServiceKey, SyncRole};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use socket2::SockRef;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use weir_config as config;

use crate::error::{Error as Refusal, ErrorBody};
use crate::key::Key;
use crate::management::Document;
use crate::status::Status;
use crate::types;

/// How long an answer may take: far longer than any does, so that a stuck daemon is noticed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answers on the socket.
    #[error("{}", unreachable_message(.socket, .source))]
    Unreachable {
        /// Where it was looked for.
        socket: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The director refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// What answers does not speak this API, or stopped in the middle.
    #[error("the daemon's answer on {} cannot be understood: {reason}", .socket.display())]
    Confused {
        /// Which socket.
        socket: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A connection to a director.
pub struct Client {
    socket: PathBuf,
    agent: &'static str,
    runtime: Runtime,
    connection: RefCell<Option<Connection>>,
}

/// A connection on which the last answer has come to its end.
struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// The socket itself, to look at.
    socket: OwnedFd,
}

impl Connection {
    /// Whether the daemon at its other end still listens. The sender does not notice its end while
    /// this process does something else; but an idle connection on which something can be read, if
    /// only its end, is over.
    fn is_alive(&self) -> bool {
        let nothing = SockRef::from(&self.socket).peek(&mut [std::mem::MaybeUninit::uninit()]);
        let waits = nothing.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        waits && !self.sender.is_closed()
    }
}

impl Client {
    /// A client of the director on that socket. Nothing is opened yet.
    pub fn new(socket: &Path) -> io::Result<Self> {
        Ok(Self {
            socket: socket.to_owned(),
            agent: "weir",
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
            connection: RefCell::new(None),
        })
    }

    /// The same, which calls itself so.
    #[must_use]
    pub const fn named(mut self, agent: &'static str) -> Self {
        self.agent = agent;
        self
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What the director says of itself.
    pub fn status(&self) -> Result<Status, Error> {
        self.get("/v1/status")
    }

    /// Counted over all services, and what became of every packet.
    pub fn totals(&self) -> Result<types::Totals, Error> {
        self.get("/v1/counters")
    }

    /// All services.
    pub fn services(&self) -> Result<types::Services, Error> {
        self.get("/v1/services")
    }

    /// One service.
    pub fn service(&self, key: ServiceKey) -> Result<types::Service, Error> {
        self.get(&service_path(key))
    }

    /// Adds a service.
    pub fn add_service(&self, service: &types::NewService) -> Result<(), Error> {
        self.change(Method::POST, "/v1/services", Some(service))
    }

    /// Changes a service.
    pub fn edit_service(&self, key: ServiceKey, edit: &types::ServiceEdit) -> Result<(), Error> {
        self.change(Method::PATCH, &service_path(key), Some(edit))
    }

    /// Deletes a service.
    pub fn delete_service(&self, key: ServiceKey) -> Result<(), Error> {
        self.change(Method::DELETE, &service_path(key), NOTHING)
    }

    /// Deletes all services.
    pub fn flush(&self) -> Result<(), Error> {
        self.change(Method::DELETE, "/v1/services", NOTHING)
    }

    /// Adds a real server.
    pub fn add_server(&self, key: ServiceKey, server: &types::NewServer) -> Result<(), Error> {
        let path = format!("{}/servers", service_path(key));
        self.change(Method::POST, &path, Some(server))
    }

    /// Changes a real server.
    pub fn edit_server(
        &self,
        key: ServiceKey,
        address: SocketAddr,
        edit: &types::ServerEdit,
    ) -> Result<(), Error> {
        self.change(Method::PATCH, &server_path(key, address), Some(edit))
    }

    /// Deletes a real server.
    pub fn delete_server(&self, key: ServiceKey, address: SocketAddr) -> Result<(), Error> {
        self.change(Method::DELETE, &server_path(key, address), NOTHING)
    }

    /// Zeroes the counters of one service, or all.
    pub fn zero(&self, key: Option<ServiceKey>) -> Result<(), Error> {
        let path = match key {
            Some(key) => format!("{}/zero", service_path(key)),
            None => "/v1/zero".to_owned(),
        };
        self.change(Method::POST, &path, NOTHING)
    }

    /// The timeouts that can be set.
    pub fn timeouts(&self) -> Result<types::Timeouts, Error> {
        self.get("/v1/timeouts")
    }

    /// Sets timeouts; 0 keeps what is there.
    pub fn set_timeouts(&self, timeouts: &types::Timeouts) -> Result<(), Error> {
        self.change(Method::PUT, "/v1/timeouts", Some(timeouts))
    }

    /// The sync daemons that run.
    pub fn sync_daemons(&self) -> Result<types::SyncDaemons, Error> {
        self.get("/v1/sync-daemons")
    }

    /// Starts a sync daemon.
    pub fn start_sync_daemon(&self, daemon: &types::SyncDaemon) -> Result<(), Error> {
        self.change(Method::POST, "/v1/sync-daemons", Some(daemon))
    }

    /// Stops a sync daemon.
    pub fn stop_sync_daemon(&self, role: SyncRole) -> Result<(), Error> {
        let path = format!("/v1/sync-daemons/{}", role.name());
        self.change(Method::DELETE, &path, NOTHING)
    }

    /// All sysctls of IPVS.
    pub fn sysctls(&self) -> Result<types::Sysctls, Error> {
        self.get("/v1/sysctls")
    }

    /// Sets a sysctl.
    pub fn set_sysctl(&self, name: &str, value: &types::NewValue) -> Result<(), Error> {
        let name = path_segment(name);
        self.change(Method::PUT, &format!("/v1/sysctls/{name}"), Some(value))
    }

    /// The rules that give packets firewall marks.
    pub fn marks(&self) -> Result<types::Marks, Error> {
        self.get("/v1/marks")
    }

    /// Sets all of them.
    pub fn set_marks(&self, marks: &types::Marks) -> Result<(), Error> {
        self.change(Method::PUT, "/v1/marks", Some(marks))
    }

    /// Lets a real server drain.
    pub fn drain(
        &self,
        key: ServiceKey,
        address: SocketAddr,
        drain: &types::NewDrain,
    ) -> Result<(), Error> {
        let path = format!("{}/drain", server_path(key, address));
        self.change(Method::POST, &path, Some(drain))
    }

    /// One page of connections.
    pub fn connections(
        &self,
        query: &types::ConnectionQuery,
    ) -> Result<types::ConnectionPage, Error> {
        let query = query_string(query);
        self.get(&format!("/v1/connections?{query}"))
    }

    /// What a configuration document would change.
    pub fn plan(&self, document: &Document) -> Result<types::Plan, Error> {
        self.document("/v1/plan", document)
    }

    /// Makes what a configuration document says so.
    pub fn apply(&self, document: &Document) -> Result<types::Plan, Error> {
        self.document("/v1/apply", document)
    }

    /// Whether real servers are up: those of one service, or all that are watched.
    pub fn health(&self, service: Option<ServiceKey>) -> Result<types::Health, Error> {
        match service {
            None => self.get("/v1/health"),
            Some(key) => self.get(&format!("/v1/health/{key}")),
        }
    }

    /// What was changed, the newest first.
    pub fn history(&self) -> Result<types::History, Error> {
        self.get("/v1/history")
    }

    /// One revision, whole.
    pub fn revision(&self, number: u64) -> Result<types::Revision, Error> {
        self.get(&format!("/v1/history/{number}"))
    }

    /// Goes back to what was before a revision, or says what that would change.
    pub fn rollback(&self, wish: types::Rollback) -> Result<types::Plan, Error> {
        self.ask("/v1/rollback", &wish)
    }

    /// How what runs differs from what the files said.
    pub fn drift(&self) -> Result<types::Drift, Error> {
        self.get("/v1/drift")
    }

    /// The last lines of the audit log.
    pub fn audit(&self, limit: usize) -> Result<types::Audit, Error> {
        self.get(&format!("/v1/audit?limit={limit}"))
    }

    /// What VRRP's instances and groups are, and why.
    pub fn vrrp(&self) -> Result<types::Vrrp, Error> {
        self.get("/v1/vrrp")
    }

    /// Which neighbours BFD reaches, and why not the others.
    pub fn bfd(&self) -> Result<types::Bfd, Error> {
        self.get("/v1/bfd")
    }

    /// The real servers in maintenance.
    pub fn maintenance(&self) -> Result<types::Maintenance, Error> {
        self.get("/v1/maintenance")
    }

    /// Puts real servers into maintenance, or takes them back.
    pub fn set_maintenance(
        &self,
        wish: &types::NewMaintenance,
    ) -> Result<types::Maintenance, Error> {
        self.ask("/v1/maintenance", wish)
    }

    /// Calls `hear` for what happens from now on, with each event as it comes, until that says no or
    /// the daemon ends; first with nothing, when it listens.
    pub fn listen(
        &self,
        mut hear: impl FnMut(Option<types::Event>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.runtime.block_on(async {
            let mut connection = self.connect().await?;
            let confused = |error: hyper::Error| self.confused(error.to_string());
            let request = self.request(Method::GET, "/v1/events", Bytes::new())?;
            let answer = connection.sender.send_request(request).await;
            let answer = answer.map_err(confused)?;
            let status = answer.status();
            let mut body = answer.into_body();
            if !status.is_success() {
                let body = body.collect().await.map_err(confused)?.to_bytes();
                return Err(self.refusal(status, &body));
            }
            let mut lines = Vec::new();
            while let Some(frame) = body.frame().await {
                let Ok(data) = frame.map_err(confused)?.into_data() else {
                    continue;
                };
                lines.extend_from_slice(&data);
                while let Some(end) = lines.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = lines.drain(..=end).collect();
                    let event = match &line[..] {
                        b"\n" => None,
                        line => Some(self.understand(line)?),
                    };
                    if hear(event).is_break() {
                        return Ok(());
                    }
                }
            }
            Ok(())
        })
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        let answer = self.send(Method::GET, path, Bytes::new())?;
        self.understand(&answer)
    }

    fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Error> {
        let body = serde_json::to_vec(body).map_err(|error| self.confused(error.to_string()))?;
        let answer = self.send(Method::POST, path, body.into())?;
        self.understand(&answer)
    }

    fn document(&self, path: &str, document: &Document) -> Result<types::Plan, Error> {
        let mut query = vec![("name", document.name.as_str())];
        query.extend(document.path.as_deref().map(|path| ("path", path)));
        query.extend(document.keep.then_some(("keep", "true")));
        let query = query_string(&query);
        let body = Bytes::copy_from_slice(document.text.as_bytes());
        let answer = self.send(Method::POST, &format!("{path}?{query}"), body)?;
        self.understand(&answer)
    }

    fn change(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(), Error> {
        let body = match body {
            Some(body) => serde_json::to_vec(body)
                .map_err(|error| self.confused(error.to_string()))?
                .into(),
            None => Bytes::new(),
        };
        self.send(method, path, body).map(|_| ())
    }

    fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Error> {
        self.runtime.block_on(async {
            tokio::time::timeout(PATIENCE, self.exchange(method, path, body))
                .await
                .unwrap_or_else(|_| {
                    self.connection.take();
                    Err(self.confused(format!("none came within {} s", PATIENCE.as_secs())))
                })
        })
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) if connection.is_alive() => connection,
            _ => self.connect().await?,
        };
        let request = self.request(method, path, body)?;
        connection
            .sender
            .ready()
            .await
            .map_err(|error| self.confused(error.to_string()))?;
        let answer = connection
            .sender
            .send_request(request)
            .await
            .map_err(|error| self.confused(error.to_string()))?;
        let status = answer.status();
        let body = answer
            .into_body()
            .collect()
            .await
            .map_err(|error| self.confused(error.to_string()))?
            .to_bytes();
        self.connection.replace(Some(connection));
        if status.is_success() {
            return Ok(body);
        }
        Err(self.refusal(status, &body))
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Request<Full<Bytes>>, Error> {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "weir")
            .header("user-agent", self.agent)
            .body(Full::new(body))
            .map_err(|error| self.confused(error.to_string()))
    }

    fn refusal(&self, status: StatusCode, body: &[u8]) -> Error {
        match serde_json::from_slice::<ErrorBody>(body) {
            Ok(refusal) => refusal.error.into(),
            Err(_) => self.confused(format!("HTTP status {status}")),
        }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let unreachable = |source| Error::Unreachable {
            socket: self.socket.clone(),
            source,
        };
        let stream = UnixStream::connect(&self.socket)
            .await
            .map_err(unreachable)?;
        let socket = stream.as_fd().try_clone_to_owned().map_err(unreachable)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.confused(error.to_string()))?;
        tokio::spawn(connection);
        Ok(Connection { sender, socket })
    }

    fn understand<T: DeserializeOwned>(&self, answer: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(answer).map_err(|error| self.confused(error.to_string()))
    }

    fn confused(&self, reason: String) -> Error {
        Error::Confused {
            socket: self.socket.clone(),
            reason,
        }
    }
}

const NOTHING: Option<&()> = None;

fn service_path(key: ServiceKey) -> String {
    format!("/v1/services/{}", Key(key))
}

fn server_path(key: ServiceKey, address: SocketAddr) -> String {
    format!("{}/servers/{address}", service_path(key))
}

/// What is no letter, digit or `_` would be something else in a path.
fn path_segment(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02x}");
        }
    }
    text
}

fn query_string(query: &impl Serialize) -> String {
    // Only flat structures of strings and numbers come here, and those always serialise.
    serde_urlencoded::to_string(query).unwrap_or_default()
}

// The kinds of std's errors are open-ended: the last arm is for those to come.
#[allow(clippy::wildcard_enum_match_arm)]
fn unreachable_message(socket: &Path, source: &io::Error) -> String {
    let socket = socket.display();
    match source.kind() {
        io::ErrorKind::NotFound => format!(
            "no director answers on {socket}: there is no such socket. Is `weir run` running? \
             Another socket is named with --socket or WEIR_SOCKET."
        ),
        io::ErrorKind::ConnectionRefused => format!(
            "no director answers on {socket}: the daemon that made it is gone (packets are still \
             forwarded). Start `weir run` again."
        ),
        io::ErrorKind::PermissionDenied => format!(
            "the director's socket {socket} may only be opened by its owner: try it as root."
        ),
        _ => format!("cannot reach the director on {socket}: {source}"),
    }
}
