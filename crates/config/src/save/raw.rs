//! Tables on one line, their keys in the order in which people read them.

use std::path::Path;

use toml::Value;

/// Keys and their values as they are written.
pub(super) type Entries = Vec<(&'static str, String)>;

pub(super) fn table(entries: &Entries) -> String {
    let entries = entries
        .iter()
        .map(|(key, value)| format!("{key} = {value}"));
    let entries: Vec<String> = entries.collect();
    match entries.is_empty() {
        true => "{}".to_owned(),
        false => format!("{{ {} }}", entries.join(", ")),
    }
}

pub(super) fn list(values: &[String]) -> String {
    format!("[{}]", values.join(", "))
}

pub(super) fn value(value: impl Into<Value>) -> String {
    value.into().to_string()
}

pub(super) fn path(path: &Path) -> String {
    value(path.to_string_lossy().into_owned())
}
