//! The packet rows in the kernel: `BPF_PROG_TEST_RUN` of the XDP and the TC program, in a network
//! namespace whose routes and neighbours answer as the rows' fake ones.
//!
//! Needs root and the feature `embed-bpf`.

mod kernel;
mod namespace;

use weir_rows::bench::Hook;
use weir_rows::cases;
use weir_rows::network::Family;
use weir_rows::row::play;
use weir_rows::{malformed, states};

use kernel::Kernel;

#[test]
fn every_row() {
    let failures = namespace::inside(|| {
        let mut kernel = Kernel::new();
        let rows = cases::all();
        println!("{} rows", rows.len());
        let mut failures = Vec::new();
        for row in &rows {
            for hook in [Hook::Xdp, Hook::Tc] {
                if let Some(why) = row.not_in_kernel {
                    println!("{} / {hook:?}: not in the kernel: {why}", row.name);
                    continue;
                }
                if let (Hook::Tc, Some(why)) = (hook, row.not_in_kernel_tc) {
                    println!("{} / Tc: not in the kernel: {why}", row.name);
                    continue;
                }
                kernel.reset(hook);
                if let Err(what) = play(&mut kernel, row) {
                    failures.push(what);
                }
            }
        }
        failures
    });
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

#[test]
fn every_cell_of_the_state_tables() {
    namespace::inside(|| {
        let mut kernel = Kernel::new();
        for family in Family::ALL {
            for hook in [Hook::Xdp, Hook::Tc] {
                kernel.reset(hook);
                let cells = states::every_cell(&mut kernel, family);
                assert_eq!(cells, Ok(3 * 11 * 11), "{family:?}, {hook:?}");
            }
        }
    });
}

#[test]
fn malformed_frames_are_left_alone() {
    namespace::inside(|| {
        let mut kernel = Kernel::new();
        for family in Family::ALL {
            for hook in [Hook::Xdp, Hook::Tc] {
                kernel.reset(hook);
                // BPF_PROG_TEST_RUN wants a whole link header, and for TC a network header.
                let least = match (hook, family) {
                    (Hook::Xdp, _) => 14,
                    (Hook::Tc, Family::V4) => 34,
                    (Hook::Tc, Family::V6) => 54,
                };
                if let Err(wrong) = malformed::every_frame(&mut kernel, family, least) {
                    panic!("{family:?}, {hook:?}: {wrong}");
                }
            }
        }
    });
}
