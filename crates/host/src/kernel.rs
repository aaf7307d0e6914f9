//! Which kernel runs here, and whether it is one that Weir works on.

use std::fs;

use rustix::system::uname;

/// The oldest kernel: Debian 12's. It has everything that the programs use; see ARCHITECTURE.md.
pub const OLDEST: (u32, u32) = (6, 1);

/// Why Weir cannot work on this kernel.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Too old.
    #[error(
        "Linux {release} is too old: Weir needs {}.{} or later (what is missing before: \
         bpf_loop with timers in one program, mapped tables shared with it)", OLDEST.0, OLDEST.1
    )]
    TooOld {
        /// What runs.
        release: String,
    },
    /// Built without something.
    #[error("this kernel lacks {feature}: it was built without {option}")]
    Missing {
        /// What is missing.
        feature: &'static str,
        /// The option of the kernel's configuration that brings it.
        option: &'static str,
    },
}

/// The kernel's release, as `uname -r` prints it.
pub fn release() -> String {
    uname().release().to_string_lossy().into_owned()
}

/// Checks that this kernel is one that Weir works on. What the programs themselves need shows when
/// they are loaded.
pub fn check() -> Result<(), Error> {
    check_release(&release())?;
    let filesystems = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    check_filesystems(&filesystems)
}

fn check_release(release: &str) -> Result<(), Error> {
    match version(release) {
        // A release that cannot be read is somebody's own kernel: let loading decide.
        None => Ok(()),
        Some(version) if version >= OLDEST => Ok(()),
        Some(_) => Err(Error::TooOld {
            release: release.to_owned(),
        }),
    }
}

fn check_filesystems(filesystems: &str) -> Result<(), Error> {
    let bpf = filesystems
        .lines()
        .any(|line| line.split_whitespace().next_back() == Some("bpf"));
    // Without /proc there is nothing to read, and no reason to refuse.
    if bpf || filesystems.is_empty() {
        return Ok(());
    }
    Err(Error::Missing {
        feature: "the bpf file system and with it bpf(2)",
        option: "CONFIG_BPF_SYSCALL",
    })
}

fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_kernels_are_refused_by_number_not_by_text() {
        let rows = [
            ("6.1.0-28-amd64", true),
            ("6.18.5", true),
            ("6.12.0-rc1+", true),
            ("10.0", true),
            ("5.15.0-91-generic", false),
            ("6.0.19", false),
            ("4.19.0", false),
            ("mine", true),
        ];
        for (release, fits) in rows {
            assert_eq!(check_release(release).is_ok(), fits, "{release}");
        }
        let refusal = check_release("5.10.0").expect_err("5.10 is too old");
        assert!(refusal.to_string().contains("6.1"), "{refusal}");
    }

    #[test]
    fn a_kernel_without_bpf_is_named_so() {
        assert!(check_filesystems("nodev\tsysfs\nnodev\tbpf\n\text4\n").is_ok());
        assert!(check_filesystems("nodev\tsysfs\n\text4\n").is_err());
    }
}
