//! What a keepalived.conf says, weir.toml says too: it is written, and reads back the same.

#[path = "support/cases.rs"]
mod cases;
mod support;

use support::{Files, read_with};
use weir_config::file::{Config, parse};
use weir_config::save::save;
use weir_keepalived::Limits;

/// What differs after it was written and read again.
fn differs(config: &Config) -> Option<String> {
    let text = save(config);
    match parse(&text, "weir.toml") {
        Ok(read) if read == *config => None,
        Ok(read) => Some(format!("{text}\nread: {read:#?}\nsaid: {config:#?}")),
        Err(found) => {
            let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
            Some(format!("{text}\n{}", shown.join("\n\n")))
        }
    }
}

#[test]
fn small_files_are_said_by_weir_toml() {
    let mut wrong = Vec::new();
    for case in cases::cases() {
        let mut files = Files {
            files: case.files.clone(),
            ..Files::default()
        };
        let reading = read_with(&case.text, &mut files, Limits::default());
        let Some(config) = reading.config else {
            continue;
        };
        if let Some(difference) = differs(&config) {
            wrong.push(format!("{}:\n{difference}", case.name));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

#[test]
fn samples_are_said_by_weir_toml() {
    let Ok(entries) = std::fs::read_dir("/usr/share/doc/keepalived/samples") else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if !name.contains("keepalived.conf.") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let reading = read_with(&text, &mut Files::default(), Limits::default());
        if let Some(config) = reading.config {
            let difference = differs(&config);
            assert!(
                difference.is_none(),
                "{name}:\n{}",
                difference.unwrap_or_default()
            );
        }
    }
}
