//! Small files of every kind, on which Weir and keepalived -t agree.

#[path = "support/cases.rs"]
mod cases;
mod support;

use support::{Files, read_with};
use weir_config::diagnostic::Severity;
use weir_keepalived::{Limits, Reading};

/// Where they do not, and why.
const DIFFERENCES: &[(&str, &str)] = &[
    ("environment", "2.2.7 does not know ${_ENV}, 2.4 does"),
    (
        "script-timeout-tenths",
        "2.2.7 takes whole seconds, 2.4 tenths too",
    ),
    (
        "check-udp-payload-with-blanks",
        "2.2.7 reads no byte ff, 2.4 does",
    ),
    (
        "vi-strict-peers",
        "2.2.7 asks before it knows of the peers, 2.4 refuses them",
    ),
    (
        "script-defined-later",
        "keepalived wants a script before who tracks it; Weir reads the whole file first",
    ),
    (
        "vs-group-unknown",
        "keepalived -t leaves the service out in silence; Weir says that it is not there",
    ),
    (
        "static-track-group-unknown-instance",
        "keepalived leaves the name out in silence; Weir says that it is not there",
    ),
    (
        "check-misc-without-program",
        "keepalived -t says nothing and leaves the check out when it runs; Weir says that it does",
    ),
    (
        "vi-notify-without-program",
        "keepalived -t says nothing and leaves the script out when it runs; Weir says that it does",
    ),
];

fn read(case: &cases::Case) -> Reading {
    let mut files = Files {
        files: case.files.clone(),
        ..Files::default()
    };
    files
        .environment
        .insert("PATH".to_owned(), "/bin".to_owned());
    read_with(&case.text, &mut files, Limits::default())
}

fn said(reading: &Reading) -> String {
    let shown: Vec<String> = reading
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    shown.join("\n\n")
}

#[test]
fn weir_and_keepalived_agree() {
    let mut wrong = Vec::new();
    for case in cases::cases() {
        let reading = read(&case);
        let notes = |one: &weir_config::diagnostic::Diagnostic| one.severity == Severity::Note;
        let takes = reading.diagnostics.iter().all(notes);
        let differs = DIFFERENCES.iter().any(|(name, _)| *name == case.name);
        if (takes == case.keepalived_takes_it()) == differs {
            wrong.push(format!(
                "{}: keepalived {}, Weir says:\n{}\nof:\n{}",
                case.name,
                case.verdict,
                said(&reading),
                case.text
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}
