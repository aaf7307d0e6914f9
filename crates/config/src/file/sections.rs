//! The sections that are there once.

use std::path::PathBuf;

use toml::de::DeValue;

use super::reader::{Keys, Placed, Problems, Section, entries, kind, suggestion, text};
use super::{ByHand, DirectorConfig, Mode, TableSizes};
use crate::diagnostic::Problem;
use crate::model::{InterfaceName, Timeouts};
use crate::sysctl::{self, BadSysctl, Sysctl, Sysctls};

const DIRECTOR: Keys = Keys {
    known: &[
        "interfaces",
        "mode",
        "socket",
        "bpffs",
        "state",
        "audit",
        "by_hand",
        "watch",
        "local_clients",
    ],
    later: &[],
};
const TABLES: Keys = Keys {
    known: &["services", "real_servers", "connections", "connections6"],
    later: &["half_open", "half_open6"],
};
const TIMEOUTS: Keys = Keys {
    known: &["tcp", "tcp_fin", "udp"],
    later: &[],
};
const LONGEST_NAME: usize = InterfaceName::LONGEST;
/// Slots of tables are numbered with 31 bits, of which two numbers mean something else.
const MOST_ENTRIES: u32 = 1 << 30;
/// What ipvsadm takes: 31 days.
const LONGEST_TIMEOUT: u32 = 31 * 24 * 60 * 60;

/// `[director]`.
pub(super) fn director(file: &Section<'_>, problems: &mut Problems) -> DirectorConfig {
    let mut config = DirectorConfig::default();
    let Some(section) = section(file, "director", &DIRECTOR, problems) else {
        return config;
    };
    config.interfaces = interfaces(&section, problems);
    if let Some(mode) = mode(&section, problems) {
        config.mode = mode;
    }
    if let Some(socket) = path(&section, "socket", problems) {
        config.socket = socket;
    }
    if let Some(bpffs) = path(&section, "bpffs", problems) {
        config.bpffs = bpffs;
    }
    config.state = path(&section, "state", problems);
    config.audit = path(&section, "audit", problems);
    config.by_hand = by_hand(&section, problems);
    config.watch = section.truth("watch", problems).unwrap_or(false);
    config.local_clients = section.truth("local_clients", problems).unwrap_or(false);
    config
}

/// `[tables]`.
pub(super) fn tables(file: &Section<'_>, problems: &mut Problems) -> TableSizes {
    let mut sizes = TableSizes::default();
    let Some(section) = section(file, "tables", &TABLES, problems) else {
        return sizes;
    };
    for (key, size) in [
        ("services", &mut sizes.services),
        ("real_servers", &mut sizes.real_servers),
        ("connections", &mut sizes.connections4),
        ("connections6", &mut sizes.connections6),
    ] {
        if let Some(number) = section.number(key, 1..=MOST_ENTRIES, problems) {
            *size = number;
        }
    }
    sizes
}

/// `[timeouts]`, 0 where it says nothing.
pub(super) fn timeouts(file: &Section<'_>, problems: &mut Problems) -> Timeouts {
    let mut timeouts = Timeouts::UNCHANGED;
    let Some(section) = section(file, "timeouts", &TIMEOUTS, problems) else {
        return timeouts;
    };
    for (key, seconds) in [
        ("tcp", &mut timeouts.tcp),
        ("tcp_fin", &mut timeouts.tcp_fin),
        ("udp", &mut timeouts.udp),
    ] {
        if let Some(number) = section.number(key, 1..=LONGEST_TIMEOUT, problems) {
            *seconds = number;
        }
    }
    timeouts
}

/// `[sysctl]`.
pub(super) fn sysctls(file: &Section<'_>, problems: &mut Problems) -> Sysctls {
    let mut sysctls = Sysctls::default();
    let Some(value) = file.get("sysctl") else {
        return sysctls;
    };
    let known: Vec<&'static str> = sysctl::named().map(Sysctl::name).collect();
    let Some(entries) = entries(value, "[sysctl]", &known, problems) else {
        return sysctls;
    };
    for (name, value) in entries {
        let text = match value.get_ref() {
            DeValue::String(text) => text.to_string(),
            DeValue::Integer(number) if number.radix() == 10 => number.as_str().to_owned(),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or_else(|_| number.as_str().to_owned(), |number| number.to_string()),
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => kind(value.get_ref()).to_owned(),
        };
        if let Err(BadSysctl::Value { takes, .. }) = sysctls.set(name, &text) {
            problems.add(
                value.span(),
                format!("`{name}` cannot be {text}"),
                format!("expected {takes}"),
            );
        }
    }
    sysctls
}

fn section<'a>(
    file: &Section<'a>,
    key: &str,
    keys: &Keys,
    problems: &mut Problems,
) -> Option<Section<'a>> {
    Section::of_value(file.get(key)?, &format!("[{key}]"), keys, problems)
}

fn interfaces(section: &Section<'_>, problems: &mut Problems) -> Vec<String> {
    let expected = r#"expected a list of names like ["eth0", "eth1"]"#;
    let list = section.list("interfaces", expected, problems);
    let mut interfaces: Vec<Placed<&str>> = Vec::new();
    for value in list.into_iter().flat_map(|list| list.iter()) {
        let Some(name) = text(value, "an interface", expected, problems) else {
            continue;
        };
        if InterfaceName::new(name.value).is_none() {
            problems.add(
                name.span,
                format!("`{}` cannot be the name of an interface", name.value),
                format!("expected 1 to {LONGEST_NAME} characters, no space and no `/`"),
            );
        } else if let Some(first) = interfaces.iter().find(|i| i.value == name.value) {
            problems.add_problem(Problem {
                span: name.span,
                message: format!("interface `{}` is there twice", name.value),
                expected: "here again".to_owned(),
                other: Some((first.span.clone(), "first here")),
            });
        } else {
            interfaces.push(name);
        }
    }
    let names = interfaces.into_iter().map(|name| name.value.to_owned());
    names.collect()
}

fn mode(section: &Section<'_>, problems: &mut Problems) -> Option<Mode> {
    let name = section.text("mode", problems)?;
    let mode = Mode::from_name(name.value);
    if mode.is_none() {
        problems.add(
            name.span,
            format!("there is no mode `{}`", name.value),
            suggestion(name.value, &Mode::ALL.map(Mode::name)),
        );
    }
    mode
}

fn by_hand(section: &Section<'_>, problems: &mut Problems) -> ByHand {
    let names = ByHand::ALL.map(ByHand::name);
    let named = section.name("by_hand", "`by_hand`", ByHand::from_name, &names, problems);
    named.unwrap_or_default()
}

fn path(section: &Section<'_>, key: &str, problems: &mut Problems) -> Option<PathBuf> {
    let path = section.text(key, problems)?;
    if path.value.starts_with('/') && !path.value.contains('\0') {
        return Some(PathBuf::from(path.value));
    }
    problems.add(
        path.span,
        format!("`{key}` is no absolute path"),
        "expected a path that begins with `/`",
    );
    None
}
