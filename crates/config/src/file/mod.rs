//! `weir.toml`.
//!
//! A file is taken as a whole or not at all; everything that is wrong with it is said at once.

mod address;
pub(crate) mod duration;
mod health;
mod mark;
pub(crate) mod notifications;
mod reader;
mod script;
mod sections;
mod service;
pub(crate) mod vrrp;

use std::path::PathBuf;

use toml::de::DeTable;

use crate::diagnostic::{Diagnostic, Problem, Source};
use crate::model::health::ServiceHealth;
use crate::model::vrrp::Vrrp;
use crate::model::{MarkRule, Notifications, RealServer, Service, Timeouts};
use crate::sysctl::Sysctls;
use reader::{Keys, Problems, Section};

/// What a `weir.toml` says, with the defaults for what it does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `[director]`.
    pub director: DirectorConfig,
    /// `[tables]`.
    pub tables: TableSizes,
    /// `[timeouts]`: 0 where nothing is said, which keeps what is.
    pub timeouts: Timeouts,
    /// `[sysctl]`.
    pub sysctls: Sysctls,
    /// `[[mark]]`: which packets get a firewall mark.
    pub marks: Vec<MarkRule>,
    /// `[[service]]`: one virtual service for each `listen` entry, its real servers in the order in
    /// which they are to be added.
    pub services: Vec<(Service, Vec<RealServer>)>,
    /// How their real servers are watched: those services of which something is said.
    pub health: Vec<ServiceHealth>,
    /// `[vrrp]` and what belongs to it.
    pub vrrp: Vrrp,
    /// Who is told.
    pub notifications: Notifications,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            director: DirectorConfig::default(),
            tables: TableSizes::default(),
            timeouts: Timeouts::UNCHANGED,
            sysctls: Sysctls::default(),
            marks: Vec::new(),
            services: Vec::new(),
            health: Vec::new(),
            vrrp: Vrrp::default(),
            notifications: Notifications::default(),
        }
    }
}

/// How and where the daemon works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectorConfig {
    /// The interfaces where packets are taken.
    pub interfaces: Vec<String>,
    /// How the packet programs are attached to them.
    pub mode: Mode,
    /// The socket of the management API.
    pub socket: PathBuf,
    /// Where the tables are pinned.
    pub bpffs: PathBuf,
    /// Where is kept what outlives the daemon beside the tables: history, maintenance, what was changed
    /// by hand. Nothing is the daemon's own choice.
    pub state: Option<PathBuf>,
    /// The audit log; nothing is a file in `state`.
    pub audit: Option<PathBuf>,
    /// What becomes of changes made by hand when the file is read again.
    pub by_hand: ByHand,
    /// Whether the file is read again when it changes.
    pub watch: bool,
    /// Whether clients on the director itself are served.
    pub local_clients: bool,
}

/// What becomes of changes made by hand when the file is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum ByHand {
    /// They stay: what the file says anew since it was last read is done, and nothing else.
    #[default]
    Keep,
    /// They go: the file is all that is wanted.
    FoldBack,
}

impl ByHand {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Keep, Self::FoldBack];

    /// The name in `weir.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Keep => "keep",
            Self::FoldBack => "fold-back",
        }
    }

    /// The one of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Default for DirectorConfig {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            mode: Mode::Auto,
            socket: PathBuf::from("/run/weir/weir.sock"),
            bpffs: PathBuf::from("/sys/fs/bpf/weir"),
            state: None,
            audit: None,
            by_hand: ByHand::Keep,
            watch: false,
            local_clients: false,
        }
    }
}

/// How the packet programs are attached to an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// What suits each interface best.
    #[default]
    Auto,
    /// XDP in the driver.
    Xdp,
    /// XDP in the kernel's generic hook.
    XdpGeneric,
    /// Traffic control.
    Tc,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Auto, Self::Xdp, Self::XdpGeneric, Self::Tc];

    /// The name in `weir.toml` and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// How many entries the tables have when they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableSizes {
    /// Virtual services.
    pub services: u32,
    /// Real servers, each counted once for every service that has it.
    pub real_servers: u32,
    /// Connections of IPv4 (`connections`).
    pub connections4: u32,
    /// Connections of IPv6 (`connections6`).
    pub connections6: u32,
}

impl Default for TableSizes {
    fn default() -> Self {
        Self {
            services: 16_384,
            real_servers: 65_536,
            connections4: 1_048_576,
            connections6: 262_144,
        }
    }
}

const SECTIONS: Keys = Keys {
    known: &[
        "director",
        "tables",
        "timeouts",
        "sysctl",
        "mark",
        "service",
        "notifications",
        "vrrp",
        "track",
        "bfd",
    ],
    later: &["sync", "metrics", "api", "log"],
};

/// Reads a `weir.toml`; `name` is what it is called in messages.
pub fn parse(text: &str, name: &str) -> Result<Config, Vec<Diagnostic>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut problems = Problems::default();
    let mut config = Config::default();
    if errors.is_empty() {
        let file = Section::of_table(
            document.get_ref(),
            document.span(),
            "weir.toml",
            &SECTIONS,
            &mut problems,
        );
        let written = service::services(&file, &mut problems);
        let mut services = Vec::new();
        let mut health = Vec::new();
        for one in written {
            services.push((one.service, one.servers));
            health.extend(one.health);
        }
        let keys = services
            .iter()
            .map(|(service, _): &(Service, _)| service.key);
        let vrrp = vrrp::vrrp(&file, keys.collect(), &mut problems);
        config = Config {
            director: sections::director(&file, &mut problems),
            tables: sections::tables(&file, &mut problems),
            timeouts: sections::timeouts(&file, &mut problems),
            sysctls: sections::sysctls(&file, &mut problems),
            marks: mark::marks(&file, &mut problems),
            services,
            health,
            vrrp,
            notifications: notifications::notifications(&file, &mut problems),
        };
    }
    for error in errors {
        problems.add_problem(Problem {
            span: error.span().unwrap_or(0..0),
            message: "this is not TOML".to_owned(),
            expected: error.message().to_owned(),
            other: None,
        });
    }
    let found = problems.in_order();
    if found.is_empty() {
        return Ok(config);
    }
    let source = Source::new(name, text);
    let describe = |problem: Problem| problem.describe(&source);
    Err(found.into_iter().map(describe).collect())
}
