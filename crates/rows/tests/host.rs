//! All rows on the host.

use weir_rows::bench::Hook;
use weir_rows::cases;
use weir_rows::host::Host;
use weir_rows::network::Family;
use weir_rows::row::play;
use weir_rows::{malformed, states};

#[test]
fn every_row() {
    let mut failures = Vec::new();
    let rows = cases::all();
    for row in &rows {
        for hook in [Hook::Xdp, Hook::Tc] {
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

#[test]
fn every_cell_of_the_state_tables() {
    for family in Family::ALL {
        for hook in [Hook::Xdp, Hook::Tc] {
            let cells = states::every_cell(&mut Host::new(hook), family).unwrap();
            assert_eq!(cells, 3 * 11 * 11);
        }
    }
}

#[test]
fn malformed_frames_are_left_alone() {
    for family in Family::ALL {
        for hook in [Hook::Xdp, Hook::Tc] {
            malformed::every_frame(&mut Host::new(hook), family, 0).unwrap();
        }
    }
}
