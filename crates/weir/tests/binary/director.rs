//! A daemon on a socket of its own, and processes that talk to it.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::oneshot;
use weir::daemon::{Daemon, Facts};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, Destination};
use weir_api::server;
use weir_control::testing::MemoryTables;
use weir_control::{Tables, settings};

use crate::plane::MemoryPlane;

/// How large the tables are: small, so that a test can fill them.
const SERVICES: usize = 4;
const DESTINATIONS: usize = 16;
const CONNECTIONS: usize = 8;

/// A daemon that answers until this is dropped.
pub struct Director {
    pub tables: Arc<MemoryTables>,
    directory: TempDir,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Director {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A director whose tables do not fill up.
    pub fn large() -> Self {
        Self::of(1_024, 4_096, |_| {})
    }

    /// A director whose packet path `prepare` has seen first.
    pub fn with(prepare: impl FnOnce(&mut MemoryPlane)) -> Self {
        Self::of(SERVICES, DESTINATIONS, prepare)
    }

    fn of(services: usize, destinations: usize, prepare: impl FnOnce(&mut MemoryPlane)) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let socket = directory.path().join("weir.sock");
        let tables = Arc::new(MemoryTables::new(services, destinations));
        settings::set_defaults(tables.settings());
        let mut plane = MemoryPlane {
            tables: Arc::clone(&tables),
            connections4: vec![Connection4::default(); CONNECTIONS],
            connections6: vec![Connection6::default(); CONNECTIONS],
            reasons: Reason::ALL.iter().map(|&reason| (reason, 0)).collect(),
        };
        prepare(&mut plane);
        let facts = Facts {
            socket: socket.clone(),
            bpffs: PathBuf::from("/sys/fs/bpf/weir"),
            kernel: "6.18.0-test".to_owned(),
            ..Facts::default()
        };
        let daemon = Daemon::adopt(plane, facts).expect("empty tables are adopted");
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = server::bind(&socket).expect("a socket");
                ready.send(()).expect("the test waits");
                let stopped = async {
                    let _ = stopped.await;
                };
                let served = server::serve(listener, Arc::new(daemon), stopped).await;
                served.expect("the server ends well");
            });
        });
        is_ready.recv().expect("the daemon answers");
        Self {
            tables,
            directory,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("weir.sock")
    }

    /// Where a test may put its files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The slot and record of a real server that is in a service's list.
    pub fn server(&self, address: &str) -> (u32, &Destination) {
        let wanted: SocketAddr = address.parse().expect("an address");
        let destinations = self.tables.destinations().iter().enumerate();
        let mut listed = destinations.filter(|(_, one)| one.flags.load() & AVAILABLE != 0);
        let (slot, record) = listed
            .find(|(_, one)| u16::from_be(one.address.load().port) == wanted.port())
            .expect("the real server is there");
        (slot as u32, record)
    }

    /// Runs `weir` with those arguments.
    pub fn weir(&self, arguments: &[&str]) -> Output {
        run(Path::new(BINARY), &self.socket(), arguments, "")
    }

    /// Runs `weir ipvsadm` with those arguments and that standard input.
    pub fn ipvsadm(&self, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
        let arguments = [&["ipvsadm"], arguments].concat();
        run(Path::new(BINARY), &self.socket(), &arguments, input)
    }

    /// What the daemon sends before it closes the connection: the request is to make it do that.
    pub fn raw(&self, request: &[u8]) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("the daemon lives");
        let patience = Some(Duration::from_secs(10));
        stream.set_read_timeout(patience).expect("a timeout");
        // The daemon may answer and close before it has read everything.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        if let Err(error) = stream.read_to_end(&mut answer) {
            let kind = error.kind();
            assert_ne!(kind, ErrorKind::WouldBlock, "the daemon waits for more");
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Sends the beginning of a request and goes away.
    pub fn hang_up_after(&self, beginning: &[u8]) {
        let mut stream = UnixStream::connect(self.socket()).expect("the daemon lives");
        stream.write_all(beginning).expect("the daemon reads");
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The binary under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_weir");

/// Runs a program against a socket.
pub fn run(program: &Path, socket: &Path, arguments: &[&str], input: impl AsRef<[u8]>) -> Output {
    let mut child = Command::new(program)
        .args(arguments)
        .env("WEIR_SOCKET", socket)
        .env_remove("NOTIFY_SOCKET")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A program that does not read its input closes it: no matter.
    let _ = stdin.write_all(input.as_ref());
    drop(stdin);
    child.wait_with_output().expect("the binary ends")
}

/// Exit code, standard output, standard error.
pub fn parts(output: &Output) -> (i32, String, String) {
    (
        output.status.code().expect("not killed"),
        String::from_utf8(output.stdout.clone()).expect("UTF-8"),
        String::from_utf8(output.stderr.clone()).expect("UTF-8"),
    )
}
