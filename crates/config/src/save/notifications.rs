//! `[notifications]`.

use std::fmt::Write;

use super::raw::{self, Entries};
use crate::file::duration::show;
use crate::file::notifications::MAIL_TIMEOUT;
use crate::model::{Fifo, Mail, Notifications, Script, ScriptUser};

pub(super) fn section(notifications: &Notifications) -> Option<String> {
    let default = Notifications::default();
    let mut entries = Entries::new();
    if let Some(name) = &notifications.router_id {
        entries.push(("router_id", raw::value(name.as_str())));
    }
    entries.extend(user(notifications.script_user.as_ref()));
    for (key, value, default) in [
        (
            "script_security",
            notifications.script_security,
            default.script_security,
        ),
        (
            "initial_server_states",
            notifications.initial_server_states,
            default.initial_server_states,
        ),
        (
            "priority_changes",
            notifications.priority_changes,
            default.priority_changes,
        ),
    ] {
        if value != default {
            entries.push((key, raw::value(value)));
        }
    }
    for (key, fifo) in [
        ("fifo", &notifications.fifo),
        ("vrrp_fifo", &notifications.vrrp_fifo),
        ("lvs_fifo", &notifications.lvs_fifo),
    ] {
        entries.extend(fifo.as_ref().map(|fifo| (key, self::fifo(fifo))));
    }
    entries.extend(
        notifications
            .mail
            .as_ref()
            .map(|mail| ("mail", self::mail(mail))),
    );
    if entries.is_empty() {
        return None;
    }
    let mut text = "[notifications]\n".to_owned();
    for (key, value) in entries {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{key} = {value}");
    }
    Some(text)
}

fn user(user: Option<&ScriptUser>) -> Entries {
    let mut entries = Entries::new();
    if let Some(user) = user {
        entries.push(("user", raw::value(user.user.as_str())));
        let group = user.group.as_deref();
        entries.extend(group.map(|group| ("group", raw::value(group))));
    }
    entries
}

/// A script as a list of its words, or with its user.
pub(super) fn script(script: &Script) -> String {
    let words = script.command.iter().map(|word| raw::value(word.as_str()));
    let command = raw::list(&words.collect::<Vec<_>>());
    let mut entries = vec![("command", command.clone())];
    entries.extend(user(script.user.as_ref()));
    match script.user {
        None => command,
        Some(_) => raw::table(&entries),
    }
}

fn fifo(fifo: &Fifo) -> String {
    let path = raw::path(&fifo.path);
    match &fifo.script {
        None => path,
        Some(script) => raw::table(&vec![("path", path), ("script", self::script(script))]),
    }
}

fn mail(mail: &Mail) -> String {
    let to = mail.to.iter().map(|to| raw::value(to.as_str()));
    let mut entries = vec![
        ("to", raw::list(&to.collect::<Vec<_>>())),
        ("from", raw::value(mail.from.as_str())),
        ("server", raw::value(mail.server.to_string())),
    ];
    let greeting = mail.greeting.as_deref();
    entries.extend(greeting.map(|name| ("greeting", raw::value(name))));
    if mail.timeout != MAIL_TIMEOUT {
        entries.push(("timeout", raw::value(show(mail.timeout))));
    }
    raw::table(&entries)
}
