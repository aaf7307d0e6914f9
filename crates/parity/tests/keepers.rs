//! Weir with the file of a keepalived, its real servers failing and coming back: after every step it lists what keepalived
//! 2.2.7 listed on the kernel's IPVS, and tells by script, pipe and mail what that told. `cargo xtask parity --keepers`
//! records.
#![cfg(feature = "privileged")]

use std::path::PathBuf;
use weir_lab::Lab;
use weir_parity::keepers::{Found, Keeper, differences, play};

const RECORDED: &str = include_str!("recorded/keepalived-2.2.7.txt");

#[test]
fn weir_keeps_real_servers_as_keepalived_does() {
    let weir = std::env::var_os("WEIR_BINARY").expect("run this by `cargo xtask test`");
    let lab = Lab::new().expect("a lab");
    let recorded = Found::read(RECORDED);
    let keeper = Keeper::Weir(PathBuf::from(weir));
    let found = play(&lab, &keeper, Some(&recorded)).expect("it is played to its end");
    assert_eq!(recorded.len(), found.len());
    let mut wrong = String::new();
    for (recorded, found) in recorded.iter().zip(&found) {
        let lines = differences(recorded, found);
        if !lines.is_empty() {
            wrong += &format!("{}\n  {}\n", found.step, lines.join("\n  "));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
