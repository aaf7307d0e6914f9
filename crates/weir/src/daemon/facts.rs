//! What the daemon knows of itself from its start.

use std::path::PathBuf;

use crate::languages;

/// What the daemon knows of itself from its start.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Its socket.
    pub socket: PathBuf,
    /// Where its tables are pinned.
    pub bpffs: PathBuf,
    /// Its configuration file, if it read one.
    pub config: Option<PathBuf>,
    /// How that file is read.
    pub languages: languages::Options,
    /// Where it keeps what shall outlive it beside the tables; nothing is nowhere.
    pub state: Option<PathBuf>,
    /// The audit log's file; nothing is none.
    pub audit: Option<PathBuf>,
    /// The kernel's release.
    pub kernel: String,
    /// Whether what is pinned vanishes with the daemon's mount namespace.
    pub fleeting: bool,
}
