//! The packet rows in the kernel: `BPF_PROG_TEST_RUN` of the XDP and the TC program, in a network
//! namespace whose routes and neighbours answer as the rows' fake ones.
//!
//! Needs root and the feature `embed-bpf`.

mod egress;
mod kernel;
mod namespace;
mod tunnels;

use weir_rows::bench::Hook;
use weir_rows::cases;
use weir_rows::row::play;

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
                if hook == Hook::Xdp && row.not_in_xdp.is_some() {
                    continue;
                }
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
        kernel.forgets_localities();
        failures
    });
    assert!(
        failures.is_empty(),
        "{} failed:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
