//! Files that are there without a file system.

use std::collections::BTreeMap;

use weir_keepalived::{Limits, Reading, Source, Surroundings, read_within};

/// Files by their paths, and an environment.
#[derive(Debug, Default)]
pub struct Files {
    pub files: BTreeMap<String, String>,
    pub environment: BTreeMap<String, String>,
}

impl Surroundings for Files {
    fn read(&mut self, path: &str) -> Result<String, String> {
        let found = self.files.get(path);
        found
            .cloned()
            .ok_or_else(|| "there is no such file".to_owned())
    }

    /// `*` is anything but a slash; that is enough here.
    fn matches(&mut self, pattern: &str) -> Vec<String> {
        let (begin, end) = pattern.split_once('*').unwrap_or((pattern, ""));
        let paths = self.files.keys();
        let fits = |path: &&String| {
            path.len() >= begin.len() + end.len()
                && path.starts_with(begin)
                && path.ends_with(end)
                && !path[begin.len()..path.len() - end.len()].contains('/')
        };
        paths.filter(fits).cloned().collect()
    }

    fn program(&mut self, name: &str) -> Option<String> {
        (name == "killall").then(|| "/usr/bin/killall".to_owned())
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        self.environment.get(name).cloned()
    }

    fn random(&mut self, least: u64, _: u64) -> u64 {
        least
    }
}

pub fn read_with(text: &str, files: &mut Files, limits: Limits) -> Reading {
    let source = Source {
        name: "keepalived.conf",
        path: "/etc/keepalived/keepalived.conf",
        text,
        config_id: "main",
    };
    read_within(&source, files, limits)
}
