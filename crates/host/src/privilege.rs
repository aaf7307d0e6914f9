//! Whether this process may do what a director does.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Capabilities are missing.
    #[error(
        "not permitted: {} missing. Run weir as root, or give it CAP_BPF, CAP_PERFMON and \
         CAP_NET_ADMIN (in systemd: AmbientCapabilities=)", names(.0)
    )]
    Missing(Vec<&'static str>),
    /// The kernel did not say.
    #[error("cannot ask the kernel for this process's capabilities: {0}")]
    Unknown(#[from] Errno),
}

/// Checks that the process has the capabilities that a director needs.
pub fn check() -> Result<(), Error> {
    let missing = missing(capabilities(None)?.effective);
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::Missing(missing))
    }
}

/// What a director needs and `effective` lacks. Before CAP_BPF and CAP_PERFMON were split off it
/// (Linux 5.8), CAP_SYS_ADMIN was both, and still is.
fn missing(effective: CapabilitySet) -> Vec<&'static str> {
    let needed = [
        // Creating maps and loading programs with loops.
        (CapabilitySet::BPF, "CAP_BPF"),
        // Without it the verifier refuses pointer comparisons and stack reads of the programs.
        (CapabilitySet::PERFMON, "CAP_PERFMON"),
    ];
    let mut missing = Vec::new();
    if !effective.contains(CapabilitySet::SYS_ADMIN) {
        let without = needed.iter().filter(|(one, _)| !effective.contains(*one));
        missing.extend(without.map(|(_, name)| *name));
    }
    if !effective.contains(CapabilitySet::NET_ADMIN) {
        missing.push("CAP_NET_ADMIN");
    }
    missing
}

fn names(missing: &[&str]) -> String {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", missing.join(" and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missing_capability_is_named() {
        let all = CapabilitySet::BPF | CapabilitySet::PERFMON | CapabilitySet::NET_ADMIN;
        let rows: &[(CapabilitySet, &[&str])] = &[
            (all, &[]),
            (CapabilitySet::SYS_ADMIN | CapabilitySet::NET_ADMIN, &[]),
            (CapabilitySet::SYS_ADMIN, &["CAP_NET_ADMIN"]),
            (all - CapabilitySet::BPF, &["CAP_BPF"]),
            (all - CapabilitySet::PERFMON, &["CAP_PERFMON"]),
            (
                CapabilitySet::empty(),
                &["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"],
            ),
        ];
        for (effective, expected) in rows {
            assert_eq!(missing(*effective), *expected, "{effective:?}");
        }
    }
}
