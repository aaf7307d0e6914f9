//! What `weir run` is to do: the command line, before the file, before the defaults.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use config::file::{Config, Mode};
use weir_config as config;

use super::{Arguments, DEFAULT_AUDIT, DEFAULT_BPFFS, DEFAULT_CONFIG, DEFAULT_STATE};
use crate::daemon::configuration;
use crate::exit::{Code, Failure};

/// What `weir run` is to do.
#[derive(Debug)]
pub struct Settings {
    /// The file that was read, if there is one.
    pub file: Option<PathBuf>,
    pub config: Config,
    pub socket: PathBuf,
    pub bpffs: PathBuf,
    pub interfaces: Vec<String>,
    pub mode: Mode,
    pub state: PathBuf,
    pub audit: PathBuf,
    pub watch: bool,
}

impl Settings {
    pub fn gather(arguments: &Arguments) -> Result<Self, Failure> {
        let (file, config) = read(arguments)?;
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
            interfaces: if arguments.interfaces.is_empty() {
                director.interfaces
            } else {
                without_repetitions(&arguments.interfaces)
            },
            mode: arguments.mode.unwrap_or(director.mode),
            file,
            config,
        })
    }
}

/// The file may be absent only where nobody named it.
fn read(arguments: &Arguments) -> Result<(Option<PathBuf>, Config), Failure> {
    let path = arguments
        .config
        .clone()
        .unwrap_or_else(|| PathBuf::from(DEFAULT_CONFIG));
    let name = path.display().to_string();
    match fs::read_to_string(&path) {
        Ok(text) => match config::file::parse(&text, &name) {
            Ok(config) => Ok((Some(path), config)),
            Err(diagnostics) => Err(Failure::new(
                Code::Usage,
                configuration::shown(&diagnostics),
            )),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && arguments.config.is_none() => {
            Ok((None, Config::default()))
        }
        Err(error) => Err(Failure::new(
            Code::Usage,
            format!("cannot read {name}: {error}"),
        )),
    }
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
