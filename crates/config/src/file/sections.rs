//! The sections that are there once.

use std::path::PathBuf;

use super::reader::{Keys, Placed, Problems, Section, suggestion, text};
use super::{DirectorConfig, Mode, Sysctls, TableSizes};
use crate::diagnostic::Problem;
use crate::model::Timeouts;

const DIRECTOR: Keys = Keys {
    known: &["interfaces", "mode", "socket", "bpffs"],
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
const SYSCTL: Keys = Keys {
    known: &["conn_reuse_mode", "expire_nodest_conn"],
    later: &[
        "amemthresh",
        "am_droprate",
        "backup_only",
        "cache_bypass",
        "conn_max",
        "conntrack",
        "drop_entry",
        "drop_packet",
        "expire_quiescent_template",
        "ignore_tunneled",
        "lblc_expiration",
        "lblcr_expiration",
        "nat_icmp_send",
        "pmtu_disc",
        "run_estimation",
        "schedule_icmp",
        "secure_tcp",
        "sloppy_sctp",
        "sloppy_tcp",
        "snat_reroute",
        "sync_persist_mode",
        "sync_ports",
        "sync_qlen_max",
        "sync_refresh_period",
        "sync_retries",
        "sync_sock_size",
        "sync_threshold",
        "sync_version",
    ],
};

/// The longest name of an interface (`IFNAMSIZ` less the zero).
const LONGEST_INTERFACE: usize = 15;
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
    let Some(section) = section(file, "sysctl", &SYSCTL, problems) else {
        return Sysctls::default();
    };
    Sysctls {
        connection_reuse_mode: section.number("conn_reuse_mode", 0..=3, problems),
        expire_without_destination: section
            .number("expire_nodest_conn", 0..=1, problems)
            .map(|number| number == 1),
    }
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
        let is_name = !name.value.is_empty()
            && name.value.len() <= LONGEST_INTERFACE
            && !name.value.contains(|c: char| c == '/' || c.is_whitespace());
        if !is_name {
            problems.add(
                name.span,
                format!("`{}` cannot be the name of an interface", name.value),
                format!("expected 1 to {LONGEST_INTERFACE} characters, no space and no `/`"),
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
