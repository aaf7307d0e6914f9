//! Configuration files, in whichever language they are: `weir.toml`, `keepalived.conf`, what
//! `ipvsadm-save` wrote. All verbs and the daemon read files by this.

mod machine;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use config::diagnostic::Diagnostic;
use config::file::Config;
use weir_config as config;
use weir_ipvsadm::saved;
use weir_keepalived as keepalived;

use crate::names::SystemNames;
use machine::Machine;

/// The language of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// `weir.toml`
    Weir,
    /// `keepalived.conf`
    Keepalived,
    /// What `ipvsadm-save` writes.
    Ipvsadm,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Weir, Self::Keepalived, Self::Ipvsadm];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weir => "weir",
            Self::Keepalived => "keepalived",
            Self::Ipvsadm => "ipvsadm",
        }
    }

    /// The language of that name.
    pub fn from_name(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| "expected weir, keepalived or ipvsadm".to_owned())
    }

    /// The language of a file: by its name where that says it, or else by what is in it.
    pub fn of(path: &Path, text: &str) -> Self {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase());
        let name = name.unwrap_or_default();
        if name.ends_with(".toml") {
            Self::Weir
        } else if saved::looks_like(text) {
            Self::Ipvsadm
        } else if name.contains("keepalived") || keepalived::looks_like(text) {
            Self::Keepalived
        } else {
            Self::Weir
        }
    }
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Their language, where somebody says it.
    pub language: Option<Language>,
    /// For which director `@` lines of a keepalived.conf are; the host's name where nobody says it.
    pub config_id: Option<String>,
}

/// What a file says.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its language.
    pub language: Language,
    /// What it says.
    pub config: Config,
    /// What is to be said of it all the same: warnings and notes.
    pub notes: Vec<Diagnostic>,
}

/// Why a file says nothing.
#[derive(Debug)]
pub enum Unread {
    /// It cannot be read.
    Io(PathBuf, io::Error),
    /// It is wrong; all that is to be said of it.
    Wrong(Vec<Diagnostic>),
}

impl std::fmt::Display for Unread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Wrong(found) => {
                let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
                f.write_str(&shown.join("\n\n"))
            }
        }
    }
}

/// Reads a file; `-` is standard input.
pub fn read(path: &Path, options: &Options) -> Result<Said, Unread> {
    let mut bytes = Vec::new();
    let done = match path == Path::new("-") {
        true => io::stdin().read_to_end(&mut bytes).map(drop),
        false => fs::read(path).map(|read| bytes = read),
    };
    let text = done.and_then(|()| String::from_utf8(bytes).map_err(io::Error::other));
    let text = text.map_err(|error| Unread::Io(path.to_owned(), error))?;
    parse(path, &text, options)
}

/// What a text says that is, or could be, in that file.
pub fn parse(path: &Path, text: &str, options: &Options) -> Result<Said, Unread> {
    let language = options.language.unwrap_or_else(|| Language::of(path, text));
    let name = path.display().to_string();
    let said = |config, notes| Said {
        language,
        config,
        notes,
    };
    match language {
        Language::Weir => config::file::parse(text, &name)
            .map(|config| said(config, Vec::new()))
            .map_err(Unread::Wrong),
        Language::Ipvsadm => saved::read(text, &name, &SystemNames)
            .map(|config| said(config, Vec::new()))
            .map_err(Unread::Wrong),
        Language::Keepalived => {
            let reading = read_keepalived(path, text, options, &mut Machine::new());
            match reading.config {
                Some(config) => Ok(said(config, reading.diagnostics)),
                None => Err(Unread::Wrong(reading.diagnostics)),
            }
        }
    }
}

fn read_keepalived(
    path: &Path,
    text: &str,
    options: &Options,
    machine: &mut Machine,
) -> keepalived::Reading {
    let host = machine.host_name();
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let source = keepalived::Source {
        name: &path.display().to_string(),
        path: &absolute.to_string_lossy(),
        text,
        config_id: options.config_id.as_deref().unwrap_or(&host),
    };
    keepalived::read(&source, machine)
}

/// Where a file has parts of it.
#[derive(Clone, Debug, Default)]
pub struct Included {
    /// Files that are named, whether or not they are there.
    pub files: BTreeSet<PathBuf>,
    /// Directories from which a pattern takes files.
    pub directories: BTreeSet<PathBuf>,
}

/// What a file includes, also where it is wrong.
pub fn included(path: &Path, options: &Options) -> Included {
    let text = fs::read_to_string(path).unwrap_or_default();
    let language = options
        .language
        .unwrap_or_else(|| Language::of(path, &text));
    match language {
        Language::Weir | Language::Ipvsadm => Included::default(),
        Language::Keepalived => {
            let mut machine = Machine::new();
            read_keepalived(path, &text, options, &mut machine);
            Included {
                files: machine.files,
                directories: machine.directories,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_includes_is_known_though_it_is_wrong() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keepalived.conf");
        let parts = directory.path().join("conf.d");
        fs::create_dir(&parts).unwrap();
        fs::write(parts.join("one.conf"), "nonsense\n").unwrap();
        fs::write(&file, "include conf.d/*.conf\ninclude other.conf\n").unwrap();
        let included = included(&file, &Options::default());
        let named = |name: &str| included.files.iter().any(|file| file.ends_with(name));
        assert!(
            named("conf.d/one.conf") && named("other.conf"),
            "{included:?}"
        );
        let mut from = included.directories.iter();
        assert!(from.any(|from| from.ends_with("conf.d")), "{included:?}");
    }

    #[test]
    fn a_language_is_told_by_name_or_content() {
        let keepalived = "! a comment\nglobal_defs {\n}\n";
        let saved = "-A -t 192.0.2.10:80 -s rr\n";
        for (path, text, language) in [
            ("weir.toml", keepalived, Language::Weir),
            ("/etc/keepalived/keepalived.conf", "", Language::Keepalived),
            ("lb.conf", keepalived, Language::Keepalived),
            (
                "lb.conf",
                "virtual_server 192.0.2.10 80 {\n",
                Language::Keepalived,
            ),
            ("lb.conf", saved, Language::Ipvsadm),
            ("keepalived.rules", saved, Language::Ipvsadm),
            ("-", "[director]\ninterfaces = [\"eth0\"]\n", Language::Weir),
            ("-", "", Language::Weir),
        ] {
            assert_eq!(
                Language::of(Path::new(path), text),
                language,
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn a_keepalived_conf_includes_what_is_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keepalived.conf");
        fs::create_dir(directory.path().join("conf.d")).unwrap();
        fs::write(&path, "includea conf.d/*.conf\n").unwrap();
        let service = "virtual_server 192.0.2.10 80 {\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
                       real_server 10.0.0.1 80 {\n }\n}\n";
        fs::write(directory.path().join("conf.d/web.conf"), service).unwrap();
        let said = read(&path, &Options::default()).unwrap();
        assert_eq!(said.language, Language::Keepalived);
        assert_eq!(said.config.services.len(), 1);
        assert!(said.notes.is_empty(), "{:?}", said.notes);
        fs::write(directory.path().join("conf.d/b.conf"), "nonsense\n").unwrap();
        let Err(Unread::Wrong(found)) = read(&path, &Options::default()) else {
            panic!("nonsense was taken");
        };
        assert!(found[0].file.ends_with("conf.d/b.conf"), "{}", found[0]);
    }
}
