//! What comes to a real server in tunnels, in the kernel.

use weir_abi::realserver::Decapsulation;
use weir_dataplane::realserver::{Decapsulator, remove, state};
use weir_rows::tunnels;

use crate::kernel::Directory;

const PASSED: u32 = u32::MAX;
const DROPPED: u32 = 2;

#[test]
fn every_arrival() {
    let directory = Directory::new();
    let mut program = Decapsulator::open(directory.path()).expect("the program loads");
    // What was told before is forgotten.
    let port = weir_abi::realserver::Prepared::gue_port(6081u16.to_be());
    program.prepare(&[port]).expect("room for a port");
    program
        .prepare(&tunnels::prepared())
        .expect("room for the rows");
    let mut rows = tunnels::all();
    rows.extend(tunnels::fragments().into_iter().flatten());
    println!("{} arrivals", rows.len());
    let mut failures = Vec::new();
    for row in rows {
        let before = program.decapsulations().expect("counts");
        let mut out = vec![0; 4096];
        let (action, length) = program
            .test_run(&row.frame, &mut out)
            .unwrap_or_else(|error| panic!("{}: {error}", row.name));
        let after = program.decapsulations().expect("counts");
        let moved: Vec<Decapsulation> = before
            .iter()
            .zip(&after)
            .filter(|(before, after)| before.1 + 1 == after.1)
            .map(|(_, after)| after.0)
            .collect();
        let is_passed = row.became.is_none_or(Decapsulation::is_passed);
        let expected = if is_passed { PASSED } else { DROPPED };
        if moved != Vec::from_iter(row.became) || action != expected {
            failures.push(format!("{}: {moved:?}, {action}", row.name));
        } else if is_passed && out[..length] != row.after {
            let out = &out[..length];
            failures.push(format!("{}:\n {out:02x?}\n {:02x?}", row.name, row.after));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let there = state(directory.path()).expect("it can be read");
    assert_eq!(
        there.expect("it is there").prepared.len(),
        tunnels::prepared().len()
    );
    remove(directory.path()).expect("nobody holds it");
    assert!(state(directory.path()).expect("it can be read").is_none());
}
