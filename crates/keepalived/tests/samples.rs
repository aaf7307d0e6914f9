//! The samples that keepalived documents, where Debian's package has put them.

mod support;

use support::{Files, read_with};
use weir_keepalived::Limits;

const SAMPLES: &str = "/usr/share/doc/keepalived/samples";

/// What is wrong in the samples themselves: keepalived -t complains of it too.
const MISTAKES: &[(&str, &[&str])] = &[
    // Its script is of other machines than this one.
    ("conditional_conf", &["check_VI_0"]),
    // A group's names without `group { }`.
    ("vrrp.lvs_syncd", &["VG1", "VI_2", "VI_3"]),
    // A network that lacks a byte.
    ("vrrp.rules", &["`192.168.100./24`", "`192.168.200./24`"]),
];

#[test]
fn samples_are_read() {
    let directory = std::env::var("KEEPALIVED_SAMPLES").unwrap_or_else(|_| SAMPLES.to_owned());
    let Ok(entries) = std::fs::read_dir(&directory) else {
        eprintln!("skipped: keepalived's samples are not at {directory}");
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let Some(kind) = name.strip_prefix("keepalived.conf.") else {
            continue;
        };
        let text = std::fs::read_to_string(&path).unwrap();
        let reading = read_with(&text, &mut Files::default(), Limits::default());
        let errors = reading.diagnostics.iter().filter(|found| found.is_error());
        let errors: Vec<String> = errors.map(ToString::to_string).collect();
        let known = MISTAKES.iter().find(|(mistaken, _)| *mistaken == kind);
        let known = known.map_or(&[][..], |(_, messages)| messages);
        let unknown = errors
            .iter()
            .filter(|error| !known.iter().any(|m| error.contains(m)));
        let unknown: Vec<&str> = unknown.map(String::as_str).collect();
        assert!(unknown.is_empty(), "{name}:\n{}", unknown.join("\n\n"));
        assert_eq!(reading.config.is_some(), errors.is_empty(), "{name}");
    }
}
