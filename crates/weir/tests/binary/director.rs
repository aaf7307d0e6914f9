//! A daemon on a socket of its own, and processes that talk to it.

use std::fs;
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
use weir::daemon::{Daemon, Facts, health};
use weir_abi::connection::{Connection4, Connection6};
use weir_abi::reason::Reason;
use weir_abi::service::{AVAILABLE, Destination};
use weir_api::{Management, server};
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
    daemon: Option<Arc<Daemon<MemoryPlane>>>,
    directory: Option<TempDir>,
    file: Option<PathBuf>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    health: Option<JoinHandle<()>>,
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
        let tables = Arc::new(MemoryTables::new(services, destinations));
        settings::set_defaults(tables.settings());
        Self::start(directory, tables, None, prepare)
    }

    /// A director that keeps what shall outlive it, and reads this file of its directory when it starts.
    pub fn reading(text: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("weir.toml");
        fs::write(&file, text).expect("a file");
        let tables = Arc::new(MemoryTables::new(1_024, 4_096));
        settings::set_defaults(tables.settings());
        Self::start(directory, tables, Some(file), |_| {})
    }

    /// Ends the daemon, and starts another on the same tables.
    pub fn restarted(self) -> Self {
        self.restarted_after(|| {})
    }

    /// The same, and does something in between.
    pub fn restarted_after(mut self, meanwhile: impl FnOnce()) -> Self {
        self.end();
        meanwhile();
        let directory = self.directory.take().expect("it has one");
        let (tables, file) = (Arc::clone(&self.tables), self.file.take());
        Self::start(directory, tables, file, |plane| plane.adopted = true)
    }

    /// The same after the machine has started again: on new tables.
    pub fn rebooted(mut self) -> Self {
        self.end();
        let directory = self.directory.take().expect("it has one");
        let tables = Arc::new(MemoryTables::new(1_024, 4_096));
        settings::set_defaults(tables.settings());
        Self::start(directory, tables, self.file.take(), |_| {})
    }

    fn start(
        directory: TempDir,
        tables: Arc<MemoryTables>,
        file: Option<PathBuf>,
        prepare: impl FnOnce(&mut MemoryPlane),
    ) -> Self {
        let socket = directory.path().join("weir.sock");
        let mut plane = MemoryPlane {
            tables: Arc::clone(&tables),
            connections4: vec![Connection4::default(); CONNECTIONS],
            connections6: vec![Connection6::default(); CONNECTIONS],
            reasons: Reason::ALL.iter().map(|&reason| (reason, 0)).collect(),
            adopted: false,
        };
        prepare(&mut plane);
        let state = file.as_ref().map(|_| directory.path().join("state"));
        let facts = Facts {
            socket: socket.clone(),
            bpffs: PathBuf::from("/sys/fs/bpf/weir"),
            kernel: "6.18.0-test".to_owned(),
            audit: state.as_ref().map(|state| state.join("audit.jsonl")),
            state,
            ..Facts::default()
        };
        let daemon = Daemon::adopt(plane, facts).expect("empty tables are adopted");
        let daemon = Arc::new(daemon);
        if let Some(path) = &file {
            let text = fs::read_to_string(path).expect("its file");
            let config = weir_config::file::parse(&text, "weir.toml").expect("a good one");
            let started = daemon.start_with(path, &config);
            started.expect("it can be had");
        }
        let health = health::start(&daemon).expect("a thread");
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, is_ready) = mpsc::channel();
        let served = Arc::clone(&daemon);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = server::bind(&socket).expect("a socket");
                ready.send(()).expect("the test waits");
                let management: Arc<dyn Management> = served.clone();
                let ending = Arc::clone(&served);
                let stopped = async move {
                    let _ = stopped.await;
                    ending.events().close();
                };
                let outcome = server::serve(listener, management, stopped).await;
                outcome.expect("the server ends well");
                served.save_state();
            });
        });
        is_ready.recv().expect("the daemon answers");
        Self {
            tables,
            daemon: Some(daemon),
            directory: Some(directory),
            file,
            stop: Some(stop),
            thread: Some(thread),
            health: Some(health),
        }
    }

    /// The file that it has read says something else, and is read again.
    pub fn reload(&self, text: &str) {
        let file = self.file.as_ref().expect("it reads one");
        fs::write(file, text).expect("a file");
        let daemon = self.daemon.as_ref().expect("it lives");
        daemon.reload(file);
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(daemon) = self.daemon.take() {
            daemon.end_health();
        }
        if let Some(thread) = self.health.take() {
            let _ = thread.join();
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.directory().join("weir.sock")
    }

    /// Where a test may put its files.
    pub fn directory(&self) -> &Path {
        self.directory.as_ref().expect("it has one").path()
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
        self.end();
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
