//! Names that refer to something, and numbers that must be there once only.

use std::net::IpAddr;

use super::super::reader::{Placed, Problems, suggestion_of};
use crate::model::ServiceKey;
use crate::model::vrrp::Vrrp;

/// What there is to refer to.
pub(super) struct Known {
    pub(super) scripts: Vec<String>,
    pub(super) files: Vec<String>,
    pub(super) processes: Vec<String>,
    pub(super) sessions: Vec<String>,
    pub(super) services: Vec<ServiceKey>,
    pub(super) instances: Vec<String>,
    pub(super) groups: Vec<String>,
    /// Interface, number, family and, of unicast, the first peer.
    pub(super) router_ids: Vec<(String, u8, bool, Option<IpAddr>)>,
    /// Instances that are in a group.
    pub(super) members: Vec<String>,
}

impl Known {
    pub(super) fn of(vrrp: &Vrrp, services: Vec<ServiceKey>) -> Self {
        Self {
            services,
            scripts: vrrp.scripts.iter().map(|it| it.name.clone()).collect(),
            files: vrrp.files.iter().map(|it| it.name.clone()).collect(),
            processes: vrrp.processes.iter().map(|it| it.name.clone()).collect(),
            sessions: vrrp.bfd.iter().map(|it| it.name.clone()).collect(),
            instances: Vec::new(),
            groups: Vec::new(),
            router_ids: Vec::new(),
            members: Vec::new(),
        }
    }

    /// A name must be one of those.
    pub(super) fn check(
        known: &[String],
        what: &str,
        name: &Placed<&str>,
        problems: &mut Problems,
    ) -> bool {
        let is_known = known.iter().any(|known| known == name.value);
        if !is_known {
            let message = format!("there is no {what} `{}`", name.value);
            problems.add(name.span.clone(), message, suggestion_of(name.value, known));
        }
        is_known
    }

    /// A name must not be there yet.
    pub(super) fn add(
        known: &mut Vec<String>,
        what: &str,
        name: &Placed<&str>,
        problems: &mut Problems,
    ) {
        if known.iter().any(|known| known == name.value) {
            let message = format!("there is another {what} `{}`", name.value);
            problems.add(name.span.clone(), message, "expected a name of its own");
        }
        known.push(name.value.to_owned());
    }
}
