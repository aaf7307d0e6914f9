//! `weir run`: the daemon, in the foreground.

mod settings;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use config::file::Mode;
use host::{bpffs, interface, kernel, limits, mode, namespace, privilege};
use weir_api::server;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use crate::amount::Amount;
use crate::daemon::serving::{self, Ending, OwnFile};
use crate::daemon::vrrp::Begun;
use crate::daemon::{AttachError, Daemon, Facts};
use crate::exit::{self, Code, Failure, Outcome};
use crate::languages::Language;
use crate::plane::Plane;
use settings::Settings;

/// Where the configuration is looked for.
pub const DEFAULT_CONFIG: &str = "/etc/weir/weir.toml";
/// Where tables and programs are pinned.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf/weir";

/// Where is kept what outlives the daemon.
const DEFAULT_STATE: &str = "/var/lib/weir";
/// The audit log.
const DEFAULT_AUDIT: &str = "/var/log/weir/audit.jsonl";

/// Run the director's daemon, in the foreground
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir run --interface eth0 --interface eth1
  weir run --config /etc/weir/weir.toml
  weir run --config /etc/keepalived/keepalived.conf
  ip netns exec blue weir run --interface eth0 --socket /run/weir/blue.sock --bpffs /run/weir/blue

The file may be a weir.toml, a keepalived.conf, or what ipvsadm-save wrote. The latter two name no
interfaces: unless --interface does, packets are taken where the instances are, and on the ways to
virtual addresses and real servers.

What is said here goes before what the file says. SIGHUP reads the file again: what it says anew is
done, and what was changed by hand (with ipvsadm) stays, unless `by_hand = \"fold-back\"` stands under
[director]. A file with a mistake changes nothing.

When the daemon ends, stopped or killed, the programs stay attached and forwarding goes on; the next
one goes on with the same services, connections and counters. VRRP roles are handed over at SIGTERM;
SIGUSR2 starts the program anew (also another version of it) and keeps them. `weir detach` takes everything out.")]
pub struct Arguments {
    /// The configuration file; may be absent unless named [default: /etc/weir/weir.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to answer [default: /run/weir/weir.sock]
    #[arg(long, value_name = "PATH", env = weir_api::SOCKET_VARIABLE)]
    socket: Option<PathBuf>,
    /// Where to pin tables and programs [default: /sys/fs/bpf/weir]
    #[arg(long, value_name = "DIR")]
    bpffs: Option<PathBuf>,
    /// An interface on which to take packets; may be said more than once
    #[arg(long = "interface", value_name = "IF")]
    interfaces: Vec<String>,
    /// How to take them [default: auto] [possible values: auto, xdp, xdp-generic, tc]
    #[arg(long, value_parser = parse_mode)]
    mode: Option<Mode>,
    /// Where to keep history, maintenance and what was changed by hand [default: /var/lib/weir; with
    /// another --bpffs beside the socket]
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// The language of the configuration file: weir, keepalived or ipvsadm [default: by name and
    /// content]
    #[arg(long, value_name = "LANGUAGE", value_parser = Language::from_name)]
    language: Option<Language>,
    /// For which director lines with @ in a keepalived.conf are [default: the host's name]
    #[arg(long, short = 'i', value_name = "ID")]
    config_id: Option<String>,
    /// Read the configuration file again whenever it, or a file that it includes, changes
    #[arg(long)]
    watch: bool,
    /// Serve clients on this machine too (IPVS does): costs what it sends itself a look
    #[arg(long)]
    local_clients: bool,
}

/// Runs until a signal ends it.
pub fn run(arguments: &Arguments) -> Outcome {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let settings = Settings::gather(arguments)?;
    check_machine(&settings)?;
    limits::raise_open_files();
    server::check(&settings.socket).map_err(socket_failure)?;
    let held = bpffs::hold(&settings.bpffs).map_err(bpffs_failure)?;
    let facts = Facts {
        socket: settings.socket.clone(),
        bpffs: settings.bpffs.clone(),
        config: settings.file.clone(),
        languages: settings.languages.clone(),
        state: Some(settings.state.clone()),
        audit: Some(settings.audit.clone()),
        kernel: kernel::release(),
        fleeting: held.fleeting,
    };
    check_layout(&settings)?;
    // Before the tables: an Active router that is replaced is missed soon.
    let in_place = crate::kernel::takes_packets_of(&settings.bpffs, &settings.interfaces);
    let vrrp = Begun::begin(&settings.config, &settings.socket, in_place)
        .map_err(|error| Failure::new(Code::Failed, error))?;
    let plane = crate::kernel::open(&settings.bpffs, settings.config.tables)
        .map_err(|error| Failure::new(Code::Failed, with_causes(&error)))?;
    own(&plane, &settings)?;
    let daemon = Daemon::adopt(plane, facts).map_err(|error| Failure::new(Code::Failed, error))?;
    serve(Arc::new(daemon), vrrp, &settings)
}

/// Whether a director can work here at all; nothing is changed.
fn check_machine(settings: &Settings) -> Outcome {
    let machine = |error: &dyn std::error::Error| Failure::new(Code::Machine, error);
    kernel::check().map_err(|error| machine(&error))?;
    privilege::check().map_err(|error| machine(&error))?;
    let all = interface::all().map_err(|error| machine(&interface::Error::from(error)))?;
    if settings.interfaces.is_empty() {
        let present: Vec<_> = all.iter().map(|one| one.name.as_str()).collect();
        return Err(Failure::new(
            Code::Usage,
            format!(
                "no interface to take packets on: name them with --interface, or with `interfaces` \
                 under [director] in {}; there are: {}",
                DEFAULT_CONFIG,
                present.join(", ")
            ),
        ));
    }
    let chosen = interface::select(&settings.interfaces, &all).map_err(|error| machine(&error))?;
    for interface in &chosen {
        mode::choose(settings.mode, interface, &chosen).map_err(|error| machine(&error))?;
    }
    Ok(())
}

/// Refuses to begin with empty tables where another version's programs forward with theirs.
fn check_layout(settings: &Settings) -> Outcome {
    let others = weir_dataplane::other_layouts(&settings.bpffs)
        .map_err(|error| Failure::new(Code::Failed, with_causes(&error)))?;
    let Some(other) = others.first() else {
        return Ok(());
    };
    let (bpffs, ours) = (settings.bpffs.display(), weir_abi::LAYOUT_VERSION);
    Err(Failure::new(
        Code::Taken,
        format!(
            "the tables in {bpffs} are of layout {other}, made by another version of Weir; this one has \
             layout {ours} and cannot go on with their services and connections. That version's \
             programs still forward: start it again, or save its services (`weir ipvsadm -Sn`), take \
             everything out with `weir detach --bpffs {bpffs}`, and start this one"
        ),
    ))
}

/// Makes sure that the tables are of this network namespace, and says so in them.
fn own<P: Plane>(plane: &P, settings: &Settings) -> Outcome {
    let cookie = namespace::network_cookie().map_err(|error| {
        Failure::new(
            Code::Machine,
            format!("cannot ask for the network namespace's cookie: {error}"),
        )
    })?;
    let cells = plane.settings();
    let owner = cells.network_namespace.load();
    if plane.adopted() && owner != 0 && owner != cookie {
        return Err(Failure::new(
            Code::Taken,
            format!(
                "the tables in {0} belong to a director of another network namespace: give this one \
                 its own directory with --bpffs, or take that one out with `weir detach --bpffs {0}`",
                settings.bpffs.display()
            ),
        ));
    }
    if !plane.adopted() {
        control::settings::set_defaults(cells);
    }
    cells.network_namespace.store(cookie);
    Ok(())
}

fn serve<P: Plane>(daemon: Arc<Daemon<P>>, vrrp: Begun, settings: &Settings) -> Outcome {
    let failed = |error: &dyn std::error::Error| Failure::new(Code::Failed, with_causes(error));
    daemon
        .take_vrrp(vrrp, &settings.config)
        .map_err(|error| failed(&error))?;
    if let Some(file) = &settings.file {
        let read = daemon.start_with(file, &settings.config);
        for change in read.map_err(|error| failed(&error))?.changes {
            tracing::info!("configuration: {change}");
        }
    }
    let taken = daemon
        .take(&settings.interfaces, settings.mode)
        .map_err(attach_failure)?;
    daemon
        .serve_local_clients(settings.local_clients)
        .map_err(|error| failed(&error))?;
    daemon.follow_path();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| failed(&error))?;
    let ending = runtime.block_on(async {
        let listener = server::bind(&settings.socket).map_err(socket_failure)?;
        let hooks: Vec<_> = taken
            .iter()
            .map(|one| format!("{} ({})", one.interface.name, one.choice.hook))
            .collect();
        let ready = format!(
            "ready, taking packets on {}, {}, socket {}",
            hooks.join(", "),
            Amount::of(daemon.service_count(), "service"),
            settings.socket.display()
        );
        let file = settings.file.clone().map(|path| OwnFile {
            path,
            watch: settings.watch,
        });
        serving::serve(daemon, listener, file, &ready)
            .await
            .map_err(|error| failed(&error))
    })?;
    // The lock on the tables is still held, so this is no other daemon's socket.
    let _ = fs::remove_file(&settings.socket);
    if ending == Ending::Replaced {
        return Err(replace());
    }
    exit::say(
        "weir: stopped; the programs stay attached and forwarding goes on (`weir detach` takes \
         everything out)",
    );
    Ok(())
}

/// Becomes the program that is there now under the name by which this one was started, with the same
/// arguments. Returns only when that fails.
fn replace() -> Failure {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    let error = std::process::Command::new(&program).args(arguments).exec();
    Failure::new(
        Code::Failed,
        format!("cannot start {} anew: {error}", program.display()),
    )
}

fn parse_mode(text: &str) -> Result<Mode, String> {
    Mode::from_name(text).ok_or_else(|| "expected auto, xdp, xdp-generic or tc".to_owned())
}

fn socket_failure(error: server::BindError) -> Failure {
    let code = match &error {
        server::BindError::InUse(_) => Code::Taken,
        server::BindError::NotASocket(_) | server::BindError::Refused { .. } => Code::Failed,
    };
    Failure::new(code, error)
}

fn bpffs_failure(error: bpffs::Error) -> Failure {
    let code = match &error {
        bpffs::Error::InUse(_) => Code::Taken,
        bpffs::Error::NotMounted { .. }
        | bpffs::Error::NotBpf(_)
        | bpffs::Error::Refused { .. } => Code::Machine,
    };
    Failure::new(code, error)
}

fn attach_failure(error: AttachError) -> Failure {
    let code = match &error {
        AttachError::Interface(_) | AttachError::Mode(_) => Code::Machine,
        AttachError::Refused { .. } => Code::Failed,
    };
    Failure::new(code, error)
}

/// An error with what caused it, on one line.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Many errors say their cause themselves.
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}
