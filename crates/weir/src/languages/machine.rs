//! What keepalived.conf asks of the machine: files, the environment, random numbers.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use keepalived::Surroundings;
use weir_keepalived as keepalived;

/// No file of a configuration is larger.
const LARGEST: u64 = 64 << 20;

/// This machine.
pub(super) struct Machine {
    state: u64,
    /// The files that were read.
    pub(super) files: BTreeSet<PathBuf>,
    /// Where others may come from, by a pattern.
    pub(super) directories: BTreeSet<PathBuf>,
}

impl Machine {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut seed));
        Self {
            state: read.map_or(1, |()| u64::from_ne_bytes(seed)) | 1,
            files: BTreeSet::new(),
            directories: BTreeSet::new(),
        }
    }

    /// What the machine is called, without its domain.
    pub(super) fn host_name(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let name = name.trim().split('.').next().unwrap_or_default();
        name.to_owned()
    }
}

impl Surroundings for Machine {
    fn read(&mut self, path: &str) -> Result<String, String> {
        // One that is not there may come.
        self.files.insert(PathBuf::from(path));
        let facts = fs::metadata(path).map_err(|error| error.to_string())?;
        if !facts.is_file() {
            return Err("it is no regular file".to_owned());
        }
        if facts.permissions().mode() & 0o111 != 0 {
            return Err("it is a program".to_owned());
        }
        if facts.len() > LARGEST {
            return Err("it is too large".to_owned());
        }
        fs::read_to_string(path).map_err(|error| error.to_string())
    }

    fn matches(&mut self, pattern: &str) -> Vec<String> {
        let options = glob::MatchOptions {
            case_sensitive: true,
            require_literal_separator: true,
            require_literal_leading_dot: true,
        };
        let directory = Path::new(pattern).parent().map(Path::to_path_buf);
        self.directories
            .extend(directory.filter(|directory| directory.is_dir()));
        let found = glob::glob_with(pattern, options).into_iter().flatten();
        let paths = found.filter_map(Result::ok).filter(|path| !path.is_dir());
        paths
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    }

    fn program(&mut self, name: &str) -> Option<String> {
        let path = std::env::var_os("PATH")?;
        let mut places = std::env::split_paths(&path).map(|place| place.join(name));
        let runs = |file: &std::path::PathBuf| {
            fs::metadata(file)
                .is_ok_and(|facts| facts.is_file() && facts.permissions().mode() & 0o111 != 0)
        };
        let program = places.find(runs)?;
        program
            .is_absolute()
            .then(|| program.to_string_lossy().into_owned())
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn random(&mut self, least: u64, most: u64) -> u64 {
        // xorshift64: numbers that differ are all that is asked for.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        least + self.state % (most - least).saturating_add(1)
    }
}
