//! What the director says of itself.

use abi::pool::PORTS;
use abi::service::PRESENT;
use abi::settings::USE_CHECKS;
use api::Error;
use api::status::{AttachMode, Daemon as DaemonStatus, Interface, Status, Table, Versions};
use api::types::Mark;
use config::model::{Family, Forwarding, RealServer, Service};
use control::ServiceListing;
use host::mode::{self, Hook};
use host::sysctl;
use weir_abi as abi;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::interfaces::{Interfaces, Taken};
use super::{Daemon, listing, maintenance};
use crate::plane::Plane;

/// A table this full (in tenths) is worth a warning.
const NEARLY_FULL: u64 = 9;

impl<P: Plane> Daemon<P> {
    /// What the director says of itself.
    pub(super) fn describe(&self) -> Result<Status, Error> {
        let ledger = self.ledger();
        let director = self.director();
        let plane = self.plane();
        let configuration = director.configuration(&*plane);
        let interfaces = self.interfaces();
        let tables = tables(&*plane);
        let mut warnings = missing(&interfaces);
        warnings.extend(not_forwarding(&interfaces, &configuration));
        warnings.extend(tables.iter().filter_map(nearly_full));
        let snapshot = director.snapshot(&*plane).map_err(listing::refusal)?;
        warnings.extend(snapshot.services.iter().flat_map(nearly_out_of_ports));
        if let Some(error) = self.why_blind() {
            warnings.push(format!(
                "the kernel does not tell of changes of routes and interfaces: {error}. Packets \
                 follow a changed route up to a second late."
            ));
        }
        if let Some(why) = self.audit.failing() {
            warnings.push(format!("changes are made and not audited: {why}"));
        }
        warnings.extend(self.store.failing());
        if self.facts.fleeting {
            warnings.push(format!(
                "{} is mounted in the daemon's own mount namespace: when the daemon ends, its \
                 tables and programs go too. Mount a bpf file system outside first.",
                self.facts.bpffs.display()
            ));
        }
        Ok(Status {
            warnings,
            versions: Versions {
                weir: env!("CARGO_PKG_VERSION").to_owned(),
                layout: abi::LAYOUT_VERSION,
                kernel: self.facts.kernel.clone(),
            },
            daemon: DaemonStatus {
                process: std::process::id(),
                uptime: self.started.elapsed().as_secs(),
                adopted: plane.adopted(),
                socket: self.facts.socket.display().to_string(),
                bpffs: self.facts.bpffs.display().to_string(),
                config: self
                    .facts
                    .config
                    .as_ref()
                    .map(|path| path.display().to_string()),
            },
            interfaces: attached(&*plane, &interfaces)?,
            tables,
            timeouts: control::settings::timeouts(plane.settings()).into(),
            sysctls: self
                .list_sysctls()
                .into_iter()
                .filter(|one| one.value != one.default)
                .collect(),
            marks: self.list_marks().iter().map(Mark::from).collect(),
            health: self.watched().summary(),
            maintenance: maintenance::maintained(&ledger.wanted),
            draining: self.draining(&ledger.wanted, &director, &*plane),
            reasons: listing::reasons(&*plane)?,
        })
    }
}

/// Everything that is attached, whoever attached it.
fn attached<P: Plane>(plane: &P, interfaces: &Interfaces) -> Result<Vec<Interface>, api::Error> {
    let carries = plane.settings().uses(USE_CHECKS);
    let ours = interfaces.taken.iter().map(|one| taken(one, carries));
    let left = plane
        .attached()
        .map_err(|error| listing::refusal(control::Error::Tables(error)))?
        .into_iter()
        .filter(|(index, _, _)| {
            let is_ours = |taken: &Taken| taken.interface.index == *index;
            !interfaces.taken.iter().any(is_ours)
        })
        .map(|(index, name, hook)| Interface {
            name,
            index,
            mode: attach_mode(hook),
            reason: "left by an earlier daemon, not named now".to_owned(),
            mac: None,
            kind: "unknown".to_owned(),
            driver: None,
            xdp_transmit: false,
        });
    Ok(ours.chain(left).collect())
}

fn taken(taken: &Taken, carries_checks: bool) -> Interface {
    let interface = &taken.interface;
    let mut reason = taken.choice.reason.clone();
    if carries_checks {
        reason.push_str("; health checks leave as the traffic does");
    }
    Interface {
        name: interface.name.clone(),
        index: interface.index,
        mode: attach_mode(taken.choice.hook),
        reason,
        mac: interface.mac.map(|mac| {
            let bytes: Vec<_> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            bytes.join(":")
        }),
        kind: interface.kind.name().to_owned(),
        driver: interface.driver.clone(),
        xdp_transmit: mode::transmits_now(interface),
    }
}

const fn attach_mode(hook: Hook) -> AttachMode {
    match hook {
        Hook::Xdp => AttachMode::Xdp,
        Hook::XdpGeneric => AttachMode::XdpGeneric,
        Hook::Tc => AttachMode::Tc,
    }
}

fn tables<P: Plane>(plane: &P) -> Vec<Table> {
    let settings = plane.settings();
    let table = |name: &str, used: usize, size: usize| Table {
        name: name.to_owned(),
        used: used as u64,
        size: size as u64,
    };
    let services = plane.services();
    let services_used = services
        .iter()
        .filter(|one| one.flags.load() & PRESENT != 0)
        .count();
    let servers = plane.destinations();
    let servers_used = servers
        .iter()
        .filter(|one| one.flags.load() & PRESENT != 0)
        .count();
    vec![
        table("services", services_used, services.len()),
        table("real servers", servers_used, servers.len()),
        table(
            "connections, IPv4",
            settings.live4.load() as usize,
            plane.connections4().len(),
        ),
        table(
            "connections, IPv6",
            settings.live6.load() as usize,
            plane.connections6().len(),
        ),
    ]
}

fn nearly_full(table: &Table) -> Option<String> {
    if table.used * 10 < table.size * NEARLY_FULL {
        return None;
    }
    Some(format!(
        "the table of {} is nearly full: {} of {} (sizes are set under [tables] in weir.toml)",
        table.name, table.used, table.size
    ))
}

/// FULLNAT: ports of a service's own addresses that are, or were, all claimed towards a real server.
fn nearly_out_of_ports(listing: &ServiceListing) -> Vec<String> {
    let key = &listing.service.key;
    let all = listing.service.local_addresses.iter().count() as u64 * u64::from(PORTS);
    let of_fullnat = listing
        .servers
        .iter()
        .filter(|one| one.server.forwarding == Forwarding::FullNat);
    let mut warnings: Vec<String> = of_fullnat
        .filter_map(|one| {
            let used = u64::from(one.active) + u64::from(one.inactive);
            (used * 10 >= all * NEARLY_FULL).then(|| {
                format!(
                    "virtual service {key} has nearly no local ports left towards {}: {used} of {all} are \
                     claimed (more local_addresses give more)",
                    one.server.address
                )
            })
        })
        .collect();
    if listing.ports_exhausted > 0 {
        warnings.push(format!(
            "{} connections of virtual service {key} found no local port and were dropped since it was \
             added (more local_addresses give more)",
            listing.ports_exhausted
        ));
    }
    warnings
}

fn missing(interfaces: &Interfaces) -> Vec<String> {
    let is_there = |name: &&String| {
        let mut taken = interfaces.taken.iter();
        taken.any(|taken| taken.interface.name == **name)
    };
    let gone = interfaces.wanted.iter().filter(|name| !is_there(name));
    gone.map(|name| format!("interface {name} is gone: no packets are taken there"))
        .collect()
}

/// Interfaces by which packets of services come in and on which the kernel does not forward. It
/// matters for the families of the services only.
fn not_forwarding(
    interfaces: &Interfaces,
    configuration: &[(Service, Vec<RealServer>)],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for (family, name) in [(Family::V4, "IPv4"), (Family::V6, "IPv6")] {
        if !configuration
            .iter()
            .any(|(service, _)| service.key.family() == family)
        {
            continue;
        }
        let off: Vec<&str> = interfaces
            .taken
            .iter()
            .map(|taken| taken.interface.name.as_str())
            .filter(|interface| !sysctl::forwards(family, interface).unwrap_or(true))
            .collect();
        if !off.is_empty() {
            warnings.push(format!(
                "the kernel does not forward {name} on {}: packets of {name} services are dropped \
                 there. Remedy: {}",
                off.join(", "),
                sysctl::remedy(family)
            ));
        }
    }
    warnings
}
