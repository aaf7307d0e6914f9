//! All rows on the host.

use weir_rows::bench::Hook;
use weir_rows::cases;
use weir_rows::host::Host;
use weir_rows::row::play;

#[test]
fn every_row() {
    let mut failures = Vec::new();
    let rows = cases::all();
    for row in &rows {
        for hook in [Hook::Xdp, Hook::Tc] {
            if hook == Hook::Xdp && row.not_in_xdp.is_some() {
                continue;
            }
            if let Err(what) = play(&mut Host::new(hook), row) {
                failures.push(what);
            }
        }
    }
    println!("{} rows", rows.len());
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        2 * rows.len(),
        failures.join("\n")
    );
}
