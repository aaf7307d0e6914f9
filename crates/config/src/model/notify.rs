//! Who is told when something changes, and what is run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A program with its arguments, run without a shell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Script {
    /// The program and its arguments; never empty.
    pub command: Vec<String>,
    /// As whom; nothing is [`Notifications::script_user`].
    pub user: Option<ScriptUser>,
}

/// As whom a script runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScriptUser {
    /// The user's name.
    pub user: String,
    /// The group's name; nothing is the user's own.
    pub group: Option<String>,
}

/// A named pipe to which a line is written for every change.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Fifo {
    /// Where it is.
    pub path: PathBuf,
    /// What reads it, started with the path as its argument.
    pub script: Option<Script>,
}

/// Mail about changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// To whom.
    pub to: Vec<String>,
    /// From whom.
    pub from: String,
    /// The mail server.
    pub server: SocketAddr,
    /// The name that it is greeted with; nothing is the host's.
    pub greeting: Option<String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// What all notifications have in common (keepalived: `global_defs`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notifications {
    /// The name of this director in mail; nothing is the host's.
    pub router_id: Option<String>,
    /// As whom scripts run; nothing is `keepalived_script` where there is such a user, or else root.
    pub script_user: Option<ScriptUser>,
    /// Whether scripts that others than root can change are refused.
    pub script_security: bool,
    /// Every change.
    pub fifo: Option<Fifo>,
    /// Changes of VRRP.
    pub vrrp_fifo: Option<Fifo>,
    /// Changes of services and real servers.
    pub lvs_fifo: Option<Fifo>,
    /// Mail, if any is sent.
    pub mail: Option<Mail>,
    /// Whether real servers' first states are told too (`rs_init_notifies`).
    pub initial_server_states: bool,
    /// Whether a change of priority is told (`vrrp_notify_priority_changes`).
    pub priority_changes: bool,
}

impl Default for Notifications {
    fn default() -> Self {
        Self {
            router_id: None,
            script_user: None,
            script_security: true,
            fifo: None,
            vrrp_fifo: None,
            lvs_fifo: None,
            mail: None,
            initial_server_states: false,
            priority_changes: false,
        }
    }
}

impl Notifications {
    /// Whether anybody is told anything.
    pub const fn is_silent(&self) -> bool {
        self.fifo.is_none()
            && self.vrrp_fifo.is_none()
            && self.lvs_fifo.is_none()
            && self.mail.is_none()
    }
}
