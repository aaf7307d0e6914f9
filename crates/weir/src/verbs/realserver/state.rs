//! The file that remembers what was changed on this host.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};
use weir_host::namespace;
use weir_realserver::record::Record;

use crate::exit::{Code, Failure, Outcome};

/// What the file says.
#[derive(Serialize, Deserialize)]
struct State {
    /// The cookie of the network namespace that was changed.
    network_namespace: u64,
    record: Record,
}

/// What was changed so far in this network namespace.
pub fn load(path: &Path) -> Result<Record, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Record::default()),
        Err(error) => return Err(unusable(path, &error)),
    };
    let state: State = serde_json::from_str(&text).map_err(|error| unusable(path, &error))?;
    if state.network_namespace != cookie()? {
        return Err(Failure::new(
            Code::Taken,
            format!(
                "{} remembers what was changed in another network namespace: give this one its own \
                 file with --state, and its own --bpffs",
                path.display()
            ),
        ));
    }
    Ok(state.record)
}

/// Remembers. The file is as before or as it is to be, never something between.
pub fn save(path: &Path, record: Record) -> Outcome {
    let state = State {
        network_namespace: cookie()?,
        record,
    };
    let text =
        serde_json::to_string_pretty(&state).map_err(|error| Failure::new(Code::Failed, error))?;
    let next = path.with_extension("next");
    let write = || {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&next, text + "\n")?;
        fs::rename(&next, path)
    };
    write().map_err(|error: std::io::Error| unusable(path, &error))
}

/// Forgets.
pub fn remove(path: &Path) -> Outcome {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unusable(path, &error)),
    }
}

fn cookie() -> Result<u64, Failure> {
    namespace::network_cookie().map_err(|error| {
        Failure::new(
            Code::Machine,
            format!("cannot ask for the network namespace's cookie: {error}"),
        )
    })
}

fn unusable(path: &Path, error: &dyn std::error::Error) -> Failure {
    Failure::new(
        Code::Failed,
        format!(
            "cannot use {}, which remembers what was changed on this host: {error}",
            path.display()
        ),
    )
}
