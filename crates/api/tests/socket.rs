//! The server and the client over a real socket, in front of a director that only remembers.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tokio::sync::broadcast::{self, Receiver};
use weir_api::client::{Client, Error as ClientError};
use weir_api::management::{ConnectionFilter, Document, Target};
use weir_api::server::{BindError, bind, serve};
use weir_api::status::Status;
use weir_api::{Change, Code, Error, Key, Management, Peer, types};
use weir_config::model::{MarkRule, ServiceKey, SyncDaemon, SyncRole, Timeouts};

/// Remembers changes; knows one service; panics when asked for its status.
#[derive(Default)]
struct Fake {
    changes: Mutex<Vec<(Peer, Change)>>,
    filters: Mutex<Vec<ConnectionFilter>>,
    events: Events,
}

/// Whom events are told.
struct Events(broadcast::Sender<Arc<types::Event>>);

impl Default for Events {
    fn default() -> Self {
        Self(broadcast::channel(16).0)
    }
}

impl Management for Fake {
    fn sysctls(&self) -> Result<Vec<types::Sysctl>, Error> {
        Ok(Vec::new())
    }

    fn marks(&self) -> Result<Vec<MarkRule>, Error> {
        Ok(Vec::new())
    }

    fn sync_daemons(&self) -> Result<Vec<SyncDaemon>, Error> {
        Ok(Vec::new())
    }

    fn start_sync_daemon(&self, _: Peer, daemon: SyncDaemon) -> Result<(), Error> {
        Err(Error::new(Code::NoSuchDevice, daemon.interface))
    }

    fn stop_sync_daemon(&self, _: Peer, role: SyncRole) -> Result<(), Error> {
        Err(Error::new(Code::DaemonNotFound, role.name()))
    }

    fn status(&self) -> Result<Status, Error> {
        panic!("on purpose");
    }

    fn totals(&self) -> Result<types::Totals, Error> {
        Ok(types::Totals {
            counters: types::Counters::default(),
            rates: types::Rates::default(),
            processors: Vec::new(),
            reasons: Vec::new(),
        })
    }

    fn services(&self) -> Result<Vec<types::Service>, Error> {
        Ok(vec![service()])
    }

    fn service(&self, key: ServiceKey) -> Result<types::Service, Error> {
        if Key(key) == service().key {
            return Ok(service());
        }
        Err(Error::new(Code::ServiceNotFound, "no such service"))
    }

    fn connections(&self, filter: &ConnectionFilter) -> Result<types::ConnectionPage, Error> {
        self.filters.lock().unwrap().push(filter.clone());
        Ok(types::ConnectionPage {
            connections: Vec::new(),
            next: Some("v4.7".to_owned()),
        })
    }

    fn timeouts(&self) -> Result<Timeouts, Error> {
        Ok(Timeouts::default())
    }

    fn change(&self, peer: Peer, change: Change) -> Result<(), Error> {
        self.changes.lock().unwrap().push((peer, change));
        Ok(())
    }

    fn plan(&self, document: &Document) -> Result<types::Plan, Error> {
        Ok(types::Plan {
            changes: vec![format!("{} {}", document.name, document.text.len())],
            notes: Vec::new(),
        })
    }

    fn apply(&self, _: Peer, document: &Document) -> Result<types::Plan, Error> {
        self.plan(document)
    }

    fn history(&self) -> Result<types::History, Error> {
        let revisions = Vec::new();
        Ok(types::History { revisions })
    }

    fn revision(&self, number: u64) -> Result<types::Revision, Error> {
        Err(Error::new(Code::NotFound, number.to_string()))
    }

    fn rollback(&self, _: Peer, before: Option<u64>, dry: bool) -> Result<types::Plan, Error> {
        Ok(types::Plan {
            changes: vec![format!("{before:?} {dry}")],
            notes: Vec::new(),
        })
    }

    fn health(&self, _: Option<ServiceKey>) -> Result<types::Health, Error> {
        Ok(types::Health::default())
    }

    fn drift(&self) -> Result<types::Drift, Error> {
        Ok(types::Drift {
            file: None,
            by_hand: Vec::new(),
            in_effect: Vec::new(),
        })
    }

    fn audit(&self, limit: usize) -> Result<types::Audit, Error> {
        Ok(types::Audit {
            file: Some(limit.to_string()),
            failing: None,
            entries: Vec::new(),
        })
    }

    fn vrrp(&self) -> Result<types::Vrrp, Error> {
        Ok(types::Vrrp {
            instances: Vec::new(),
            groups: Vec::new(),
            strangers: 0,
        })
    }

    fn bfd(&self) -> Result<types::Bfd, Error> {
        Ok(types::Bfd {
            sessions: Vec::new(),
            strangers: [("length".to_owned(), 1)].into(),
        })
    }

    fn maintenance(&self) -> Result<types::Maintenance, Error> {
        let maintenance = Vec::new();
        Ok(types::Maintenance { maintenance })
    }

    fn set_maintenance(
        &self,
        _: Peer,
        target: Target,
        on: bool,
    ) -> Result<types::Maintenance, Error> {
        Ok(types::Maintenance {
            maintenance: vec![types::Maintained {
                server: format!("{:?} {on}", target.server),
                service: target.service.map(Key),
                servers: Vec::new(),
            }],
        })
    }

    fn events(&self) -> Result<Receiver<Arc<types::Event>>, Error> {
        Ok(self.events.0.subscribe())
    }
}

fn document(name: &str, text: &str) -> Document {
    Document {
        name: name.to_owned(),
        text: text.to_owned(),
        path: None,
        keep: false,
    }
}

fn service() -> types::Service {
    types::Service {
        key: "tcp:192.0.2.10:80".parse().unwrap(),
        scheduler: "wlc".to_owned(),
        scheduler_flags: Vec::new(),
        persistence: None,
        engine: None,
        one_packet: false,
        farewell: false,
        timeouts: types::ServiceTimeouts::default(),
        refusal: "unreachable".to_owned(),
        local_addresses: Vec::new(),
        ports_exhausted: 0,
        counters: types::Counters::default(),
        rates: types::Rates::default(),
        servers: Vec::new(),
    }
}

/// A served fake; it stops when dropped.
struct World {
    fake: Arc<Fake>,
    directory: tempfile::TempDir,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl World {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap())
    }

    /// Ends it, and starts another on the same socket.
    fn restarted(mut self) -> Self {
        self.end();
        let directory = std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap());
        Self::at(directory)
    }

    fn at(directory: tempfile::TempDir) -> Self {
        let socket = directory.path().join("run/weir.sock");
        let fake = Arc::new(Fake::default());
        let director: Arc<dyn Management> = fake.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = bind(&socket).unwrap();
                ready.send(()).unwrap();
                let stopped = async {
                    let _ = stopped.await;
                };
                serve(listener, director, stopped).await.unwrap();
            });
        });
        is_ready.recv().unwrap();
        Self {
            fake,
            directory,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("run/weir.sock")
    }

    fn client(&self) -> Client {
        Client::new(&self.socket()).unwrap()
    }

    /// What the server sends before it closes. Each request asks it to close, or cannot be read.
    fn raw(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl World {
    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.end();
    }
}

#[test]
fn a_client_is_understood() {
    let world = World::new();
    let client = world.client();
    let key: Key = "udp:[2001:db8::1]:53".parse().unwrap();
    let address = "[2001:db8::a]:53".parse().unwrap();

    assert_eq!(client.services().unwrap().services, [service()]);
    client
        .add_server(
            key.0,
            &types::NewServer {
                address: "[2001:db8::a]:53".to_owned(),
                weight: Some(0),
                ..types::NewServer::default()
            },
        )
        .unwrap();
    client.delete_server(key.0, address).unwrap();
    client.zero(Some(key.0)).unwrap();
    client.flush().unwrap();

    let changes = world.fake.changes.lock().unwrap();
    assert_eq!(changes.len(), 4);
    assert_eq!(
        changes[1].1,
        Change::DeleteServer {
            key: key.0,
            address
        }
    );
    assert_eq!(changes[2].1, Change::Zero(Some(key.0)));
    assert_eq!(changes[0].0.process, Some(std::process::id() as i32));

    let plan = client.plan(&document("a b.toml", "[director]\n")).unwrap();
    assert_eq!(plan.changes, ["a b.toml 11"]);
}

#[test]
fn what_is_said_of_services_and_servers_arrives() {
    let world = World::new();
    let client = world.client();
    let key: Key = "tcp:192.0.2.77:80".parse().unwrap();
    let wanted = types::NewService {
        scheduler: Some("mh".to_owned()),
        scheduler_flags: vec!["mh-port".to_owned(), "flag-3".to_owned()],
        persistence: Some(types::Persistence {
            timeout: 60,
            netmask: Some("255.255.255.0".to_owned()),
        }),
        engine: Some("sip".to_owned()),
        refusal: Some("reset".to_owned()),
        timeouts: types::ServiceTimeouts {
            tcp: Some(30),
            ..types::ServiceTimeouts::default()
        },
        ..types::NewService::new(key)
    };
    client.add_service(&wanted).unwrap();
    let request = format!(
        "PATCH /v1/services/{key} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 40\r\n\r\n{:<40}",
        r#"{"persistence": null, "scheduler": "rr"}"#
    );
    assert!(world.raw(request.as_bytes()).starts_with("HTTP/1.1 204 "));
    let server = types::NewServer {
        address: "[2001:db8::a]:80".to_owned(),
        forwarding: Some("tun".to_owned()),
        tunnel: Some(types::Tunnel {
            r#type: "gue".to_owned(),
            port: Some(6080),
            checksum: Some("remote".to_owned()),
        }),
        upper_threshold: Some(10),
        ..types::NewServer::default()
    };
    client.add_server(key.0, &server).unwrap();
    let lines: Vec<String> = {
        let changes = world.fake.changes.lock().unwrap();
        changes
            .iter()
            .map(|(_, change)| change.to_string())
            .collect()
    };
    assert_eq!(
        lines,
        [
            "add service tcp:192.0.2.77:80 scheduler mh flags mh-port,flag-3 persistence 60 netmask 255.255.255.0 engine sip timeouts tcp=30 refusal reset",
            "edit service tcp:192.0.2.77:80: scheduler rr persistence none",
            "add server [2001:db8::a]:80 to tcp:192.0.2.77:80: tun tunnel gue:6080:remote weight 1 upper_threshold 10",
        ]
    );
}

#[test]
fn connections_are_filtered_and_paged() {
    let world = World::new();
    let query = types::ConnectionQuery {
        client: Some("198.51.100.7".to_owned()),
        r#virtual: Some("[2001:db8::1]:80".to_owned()),
        limit: Some(5),
        cursor: Some("v6.9".to_owned()),
        ..types::ConnectionQuery::default()
    };
    let page = world.client().connections(&query).unwrap();
    assert_eq!(page.next.as_deref(), Some("v4.7"));
    let filters = world.fake.filters.lock().unwrap();
    assert_eq!(filters[0].limit, 5);
    assert_eq!(filters[0].client.unwrap().port, None);
    assert_eq!(filters[0].virtual_address.unwrap().port, Some(80));
}

#[test]
fn a_refusal_carries_its_code() {
    let world = World::new();
    let key: Key = "tcp:192.0.2.11:80".parse().unwrap();
    match world.client().service(key.0) {
        Err(ClientError::Refused(refusal)) => assert_eq!(refusal.code, Code::ServiceNotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nonsense_gets_a_reason_and_the_daemon_lives() {
    let world = World::new();
    let rows: &[(&str, u16, &str)] = &[
        ("\0\x7f\0nonsense\r\n\r\n", 400, ""),
        (
            "GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
            "not-found",
        ),
        (
            "GET /v2/services HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            404,
            "not-found",
        ),
        (
            "POST /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            405,
            "method-not-allowed",
        ),
        (
            "GET /v1/services/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            400,
            "invalid",
        ),
        (
            "GET /v1/services/%ff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            400,
            "",
        ),
        (
            "GET /v1/connections?limit=0 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            422,
            "out-of-range",
        ),
        (
            "GET /v1/connections?limt=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            400,
            "invalid",
        ),
        (
            "GET /v1/connections?cursor=z HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            400,
            "invalid",
        ),
        (
            "POST /v1/services HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1\r\n\r\n{",
            400,
            "invalid",
        ),
        (
            "POST /v1/services HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 27\r\n\r\n{\"key\":\"tcp:1.2.3.4\",\"x\":1}",
            400,
            "invalid",
        ),
        (
            "GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
            500,
            "internal",
        ),
    ];
    for (request, status, code) in rows {
        let answer = world.raw(request.as_bytes());
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {answer}"
        );
        assert!(answer.contains(code), "{request}: {answer}");
    }
    assert_eq!(world.client().services().unwrap().services.len(), 1);
    assert!(world.fake.changes.lock().unwrap().is_empty());
}

#[test]
fn a_body_without_end_is_cut_off() {
    let world = World::new();
    let mut request =
        b"POST /v1/services HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\n".to_vec();
    request.resize(1 << 20, b' ');
    let answer = world.raw(&request);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("too-large"), "{answer}");
}

#[test]
fn values_out_of_range_are_named() {
    let world = World::new();
    let client = world.client();
    let key: Key = "tcp:192.0.2.10:80".parse().unwrap();
    let server = |forwarding: Option<&str>, weight| types::NewServer {
        address: "10.0.0.1:80".to_owned(),
        forwarding: forwarding.map(str::to_owned),
        weight,
        ..types::NewServer::default()
    };
    let service = |key: &str, scheduler: &str| types::NewService {
        scheduler: Some(scheduler.to_owned()),
        ..types::NewService::new(key.parse().unwrap())
    };
    let code = |result| match result {
        Err(ClientError::Refused(refusal)) => refusal.code,
        other => panic!("{other:?}"),
    };
    let added = client.add_server(key.0, &server(None, Some(2_147_483_648)));
    assert_eq!(code(added), Code::OutOfRange);
    let added = client.add_server(key.0, &server(Some("bridge"), None));
    assert_eq!(code(added), Code::Invalid);
    let added = client.add_service(&service("tcp:192.0.2.99:80", "fastest"));
    assert_eq!(code(added), Code::SchedulerNotFound);
    let added = client.add_service(&service("tcp:192.0.2.10:80", "fastest"));
    assert_eq!(code(added), Code::ServiceExists);
    let edited = types::ServiceEdit {
        engine: Some(Some("rtp".to_owned())),
        ..types::ServiceEdit::default()
    };
    assert_eq!(
        code(client.edit_service(key.0, &edited)),
        Code::SchedulerNotFound
    );
    let missing: Key = "tcp:192.0.2.99:80".parse().unwrap();
    assert_eq!(
        code(client.edit_service(missing.0, &edited)),
        Code::ServiceNotFound
    );
    let limited = types::NewServer {
        upper_threshold: Some(1),
        lower_threshold: Some(2),
        ..server(None, None)
    };
    assert_eq!(code(client.add_server(key.0, &limited)), Code::OutOfRange);
    assert_eq!(
        code(client.add_server(missing.0, &limited)),
        Code::ServiceNotFound
    );
    let gue = types::NewServer {
        tunnel: Some(types::Tunnel {
            r#type: "gue".to_owned(),
            port: None,
            checksum: None,
        }),
        ..server(Some("tun"), None)
    };
    assert_eq!(code(client.add_server(key.0, &gue)), Code::Invalid);
}

#[test]
fn only_the_owner_may_open_the_socket() {
    let world = World::new();
    let mode = std::fs::metadata(world.socket())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_living_socket_is_refused_and_a_dead_one_replaced() {
    let world = World::new();
    let in_runtime = |path: &Path| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async { bind(path).map(|_| ()) })
    };
    assert!(matches!(
        in_runtime(&world.socket()),
        Err(BindError::InUse(_))
    ));

    // std does not remove the file when a listener goes: what a killed daemon leaves.
    let dead = world.directory.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    in_runtime(&dead).unwrap();

    let file = world.directory.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(in_runtime(&file), Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[test]
fn nobody_there_is_said_with_what_to_do() {
    let client = Client::new(Path::new("/nonexistent/weir.sock")).unwrap();
    let error = client.services().unwrap_err();
    assert!(error.to_string().contains("weir run"), "{error}");
}

/// In the middle of a long `ipvsadm -R` the daemon may become another.
#[test]
fn a_client_goes_on_with_the_daemon_that_was_started_again() {
    let mut world = World::new();
    let client = world.client();
    for _ in 0..3 {
        client.delete_service(service().key.0).unwrap();
        world = world.restarted();
    }
    client.delete_service(service().key.0).unwrap();
    assert_eq!(world.fake.changes.lock().unwrap().len(), 1);
}
