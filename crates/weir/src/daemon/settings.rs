//! Sysctls, the defences that follow from them and from this machine's memory, and the rules for
//! firewall marks.

use std::io;

use api::types;
use config::model::{InterfaceName, MarkRule};
use config::sysctl::{self, Sysctl};
use control::{defence, marks};
use host::{interface, memory};
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::{Daemon, listing};
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// All sysctls of IPVS.
    pub(super) fn list_sysctls(&self) -> Vec<types::Sysctl> {
        let plane = self.plane();
        let settings = plane.settings();
        let now = |which| control::settings::sysctl(settings, which);
        // Until somebody says so, all do.
        let online = || host::sysctl::online_processors().unwrap_or_default();
        sysctl::named()
            .map(|which| {
                let is_list = which == Sysctl::EstCpulist;
                let is_unsaid = is_list && now(which) == 0;
                let value = sysctl::show(which, now);
                let default = if is_list {
                    online()
                } else {
                    sysctl::show(which, Sysctl::default_value)
                };
                types::Sysctl {
                    name: which.name().to_owned(),
                    value: if is_unsaid { default.clone() } else { value },
                    default,
                    takes: sysctl::takes(which),
                }
            })
            .collect()
    }

    /// Lets the defences follow the memory of this machine, and packets what else it says.
    pub(super) fn follow_machine(&self) {
        let plane = self.plane();
        match memory::available_pages() {
            Ok(available) => defence::follow(plane.settings(), available),
            Err(error) => tracing::warn!("the defences do not follow: {error}"),
        }
        if let Ok(port) = host::sysctl::unprivileged_port_start() {
            let cell = &plane.settings().unprivileged_port;
            if cell.load() != port {
                cell.store(port);
                control::settings::forget_routes(plane.settings());
            }
        }
    }

    /// The rules for firewall marks.
    pub(super) fn list_marks(&self) -> Vec<MarkRule> {
        self.marks().clone()
    }

    /// Sets all of them.
    pub(super) fn write_marks(&self, plane: &P, rules: &[MarkRule]) -> Result<(), api::Error> {
        let mut marks = self.marks();
        write_marks(plane, rules)?;
        *marks = rules.to_vec();
        Ok(())
    }

    /// Interfaces have come, gone, or have another index.
    pub(super) fn refresh_marks(&self) {
        let plane = self.plane();
        if let Err(error) = write_marks(&*plane, &self.marks()) {
            tracing::warn!("the rules for firewall marks do not follow the interfaces: {error}");
        }
    }
}

fn write_marks<P: Plane>(plane: &P, rules: &[MarkRule]) -> Result<(), api::Error> {
    let indices = indices(rules).map_err(|error| {
        let message = format!("the interfaces cannot be listed: {error}");
        api::Error::new(api::Code::Internal, message)
    })?;
    let rules: Vec<_> = rules.iter().cloned().zip(indices).collect();
    marks::set(plane, &rules).map_err(listing::refusal)
}

/// The rules that an earlier daemon has left in the tables.
pub(super) fn adopt_marks<P: Plane>(plane: &P) -> Vec<MarkRule> {
    let left = marks::list(plane);
    if left.is_empty() {
        return Vec::new();
    }
    let all = interface::all().unwrap_or_default();
    let name = |index: u32| {
        let found = all.iter().find(|one| one.index == index)?;
        InterfaceName::new(&found.name)
    };
    left.into_iter()
        .filter_map(|(rule, index)| match index {
            0 => Some(rule),
            index => match name(index) {
                interface @ Some(_) => Some(MarkRule { interface, ..rule }),
                None => {
                    tracing::warn!(
                        "the rule for firewall mark {} named an interface that is gone",
                        rule.mark
                    );
                    None
                }
            },
        })
        .collect()
}

/// The indices of the rules' interfaces.
fn indices(rules: &[MarkRule]) -> io::Result<Vec<u32>> {
    let all = match rules.iter().any(|rule| rule.interface.is_some()) {
        true => interface::all()?,
        false => Vec::new(),
    };
    let index = |rule: &MarkRule| {
        let Some(name) = &rule.interface else {
            return 0;
        };
        let found = all.iter().find(|one| one.name == name.as_str());
        found.map_or(marks::NOWHERE, |one| one.index)
    };
    Ok(rules.iter().map(index).collect())
}
