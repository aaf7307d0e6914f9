//! What `weir run` is to do: the command line, before the file, before the defaults.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use config::file::{Config, Mode};
use config::model::ServiceKey;
use weir_config as config;
use weir_host::{interface, route};

use super::{Arguments, DEFAULT_AUDIT, DEFAULT_BPFFS, DEFAULT_CONFIG, DEFAULT_STATE};
use crate::daemon::configuration;
use crate::exit::{Code, Failure};
use crate::languages::{self, Language, Said, Unread};

/// What `weir run` is to do.
#[derive(Debug)]
pub struct Settings {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    pub config: Config,
    /// How the file is read.
    pub languages: languages::Options,
    pub socket: PathBuf,
    pub bpffs: PathBuf,
    pub interfaces: Vec<String>,
    pub mode: Mode,
    pub state: PathBuf,
    pub audit: PathBuf,
    pub watch: bool,
    pub local_clients: bool,
}

impl Settings {
    pub fn gather(arguments: &Arguments) -> Result<Self, Failure> {
        let languages = languages::Options {
            language: arguments.language,
            config_id: arguments.config_id.clone(),
        };
        let (file, said) = read(arguments, &languages)?;
        for note in &said.notes {
            tracing::warn!("{note}");
        }
        let Said {
            language, config, ..
        } = said;
        let director = config.director.clone();
        let given = |path: &Option<PathBuf>, file: PathBuf| path.clone().unwrap_or(file);
        let socket = given(&arguments.socket, director.socket);
        let bpffs = given(&arguments.bpffs, director.bpffs);
        let named = arguments.state.clone().or(director.state);
        // One of several directors has its own, as it has its own socket.
        let state = named.unwrap_or_else(|| match bpffs == Path::new(DEFAULT_BPFFS) {
            true => PathBuf::from(DEFAULT_STATE),
            false => socket.with_extension("state"),
        });
        let audit = director
            .audit
            .unwrap_or_else(|| match state == Path::new(DEFAULT_STATE) {
                true => PathBuf::from(DEFAULT_AUDIT),
                false => state.join("audit.jsonl"),
            });
        Ok(Self {
            socket,
            bpffs,
            state,
            audit,
            watch: arguments.watch || director.watch,
            local_clients: arguments.local_clients || director.local_clients,
            interfaces: match language {
                _ if !arguments.interfaces.is_empty() => without_repetitions(&arguments.interfaces),
                Language::Weir => director.interfaces,
                Language::Keepalived | Language::Ipvsadm => on_the_way(&config),
            },
            languages,
            mode: arguments.mode.unwrap_or(director.mode),
            file,
            config,
        })
    }
}

/// The file may be absent only where nobody named it.
fn read(
    arguments: &Arguments,
    options: &languages::Options,
) -> Result<(Option<PathBuf>, Said), Failure> {
    let path = arguments
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    match languages::read(&path, options) {
        Ok(said) => Ok((Some(path), said)),
        Err(Unread::Wrong(diagnostics)) => Err(Failure::new(
            Code::Usage,
            configuration::shown(&diagnostics),
        )),
        Err(Unread::Io(_, error))
            if error.kind() == io::ErrorKind::NotFound && arguments.config.is_none() =>
        {
            let nothing = Said {
                language: Language::Weir,
                config: Config::default(),
                notes: Vec::new(),
            };
            Ok((None, nothing))
        }
        Err(unread) => Err(Failure::new(Code::Usage, unread)),
    }
}

/// Where packets of services come in and go out, for a file whose language has no word for it: on the
/// interfaces of its instances, and those that lead to virtual addresses and real servers.
fn on_the_way(config: &Config) -> Vec<String> {
    let mut names = config.director.interfaces.clone();
    let address = |key: ServiceKey| match key {
        ServiceKey::Address { address, .. } => Some(address.ip()),
        ServiceKey::FirewallMark { .. } => None,
    };
    let services = config.services.iter();
    let addresses = services.flat_map(|(service, servers)| {
        let servers = servers.iter().map(|server| server.address.ip());
        address(service.key).into_iter().chain(servers)
    });
    let mut addresses: Vec<IpAddr> = addresses.collect();
    addresses.sort();
    addresses.dedup();
    let all = interface::all().unwrap_or_default();
    for (_, route) in route::to(addresses).unwrap_or_default() {
        let index = route
            .filter(|route| !route.local)
            .and_then(|route| route.interface);
        let interface = all.iter().find(|interface| Some(interface.index) == index);
        let Some(interface) = interface.filter(|one| one.kind != interface::Kind::Loopback) else {
            continue;
        };
        if !names.contains(&interface.name) {
            names.push(interface.name.clone());
        }
    }
    names
}

fn without_repetitions(names: &[String]) -> Vec<String> {
    let mut once: Vec<String> = Vec::new();
    for name in names {
        if !once.contains(name) {
            once.push(name.clone());
        }
    }
    once
}
