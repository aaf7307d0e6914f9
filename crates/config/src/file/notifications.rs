//! `[notifications]`: who is told of changes, and as whom scripts run.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::reader::{Keys, Problems, Section, text};
use crate::model::{Fifo, Mail, Notifications};

const NOTIFICATIONS: Keys = Keys {
    known: &[
        "router_id",
        "user",
        "group",
        "script_security",
        "fifo",
        "vrrp_fifo",
        "lvs_fifo",
        "mail",
        "initial_server_states",
        "priority_changes",
    ],
    later: &[],
};
const FIFO: Keys = Keys {
    known: &["path", "script"],
    later: &[],
};
const MAIL: Keys = Keys {
    known: &["to", "from", "server", "greeting", "timeout"],
    later: &[],
};
const LIST_OF_MAILBOXES: &str = r#"expected a list like ["admin@example.org"]"#;
const LONGEST: Duration = Duration::from_secs(3600);
/// keepalived's.
pub(crate) const MAIL_TIMEOUT: Duration = Duration::from_secs(30);
pub(crate) const MAIL_PORT: u16 = 25;

pub(super) fn notifications(file: &Section<'_>, problems: &mut Problems) -> Notifications {
    let default = Notifications::default();
    let value = file.get("notifications");
    let section = value
        .and_then(|value| Section::of_value(value, "[notifications]", &NOTIFICATIONS, problems));
    let Some(section) = section else {
        return default;
    };
    let fifo = |key, problems: &mut Problems| fifo(section.get(key)?, key, problems);
    let router_id = section.text("router_id", problems);
    Notifications {
        router_id: router_id.map(|name| name.value.to_owned()),
        script_user: section.user(problems),
        script_security: section
            .truth("script_security", problems)
            .unwrap_or(default.script_security),
        fifo: fifo("fifo", problems),
        vrrp_fifo: fifo("vrrp_fifo", problems),
        lvs_fifo: fifo("lvs_fifo", problems),
        mail: section.get("mail").and_then(|value| mail(value, problems)),
        initial_server_states: section
            .truth("initial_server_states", problems)
            .unwrap_or(default.initial_server_states),
        priority_changes: section
            .truth("priority_changes", problems)
            .unwrap_or(default.priority_changes),
    }
}

/// A path, or with the script that reads it.
fn fifo(value: &Spanned<DeValue<'_>>, key: &str, problems: &mut Problems) -> Option<Fifo> {
    if let DeValue::String(path) = value.get_ref() {
        return Some(Fifo {
            path: PathBuf::from(path.as_ref()),
            script: None,
        });
    }
    let section = Section::of_value(value, &format!("`{key}`"), &FIFO, problems)?;
    let script = section.script("script", problems);
    if section.lacks("path") {
        problems.add(
            section.span.clone(),
            format!("`{key}` has no path"),
            r#"expected `path = "/run/weir/notify"`"#,
        );
    }
    Some(Fifo {
        path: PathBuf::from(section.text("path", problems)?.value),
        script,
    })
}

fn mail(value: &Spanned<DeValue<'_>>, problems: &mut Problems) -> Option<Mail> {
    let section = Section::of_value(value, "`mail`", &MAIL, problems)?;
    for (key, expected) in [
        ("to", LIST_OF_MAILBOXES),
        ("from", r#"expected `from = "weir@example.org"`"#),
        ("server", r#"expected `server = "192.0.2.25"`"#),
    ] {
        if section.lacks(key) {
            let message = format!("`mail` has no `{key}`");
            problems.add(section.span.clone(), message, expected);
        }
    }
    let timeout = section.duration("timeout", Duration::from_millis(1)..=LONGEST, problems);
    let greeting = section.text("greeting", problems);
    let list = section.list("to", LIST_OF_MAILBOXES, problems);
    let to: Vec<String> = list
        .into_iter()
        .flat_map(|list| list.iter())
        .filter_map(|value| text(value, "an entry of `to`", LIST_OF_MAILBOXES, problems))
        .map(|text| text.value.to_owned())
        .collect();
    let from = section.text("from", problems);
    let server = section.text("server", problems)?;
    let address = server.value.parse::<SocketAddr>();
    let address = address.or_else(|_| {
        let address = server.value.parse();
        address.map(|address| SocketAddr::new(address, MAIL_PORT))
    });
    let Ok(address) = address else {
        problems.add(
            server.span,
            format!("`{}` is no mail server's address", server.value),
            "expected an address with or without a port, like `192.0.2.25` or `[2001:db8::25]:587`",
        );
        return None;
    };
    Some(Mail {
        to,
        from: from?.value.to_owned(),
        server: address,
        greeting: greeting.map(|name| name.value.to_owned()),
        timeout: timeout.unwrap_or(MAIL_TIMEOUT),
    })
}
