//! What the kernel lets a process have.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for every check of thousands of real servers to hang at once. No more, because some programs
/// that are started from here go through all descriptors that they might have.
const OPEN_FILES: u64 = 65_536;

/// Allows as many open files as are needed, and the hard limit lets; how many that are now. Most
/// systems begin with 1024, which a thousand connections at once use up.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit
        .maximum
        .map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    let current = limit.current?;
    if current >= wanted {
        return Some(current);
    }
    let raised = Rlimit {
        current: Some(wanted),
        maximum: limit.maximum,
    };
    Some(match setrlimit(Resource::Nofile, raised) {
        Ok(()) => wanted,
        Err(_) => current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_files_as_the_hard_limit_lets() {
        let most = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        let now = raise_open_files();
        assert!(now.is_none_or(|now| now >= most.min(OPEN_FILES)));
    }
}
