//! The defences that come on by themselves when memory is short, as IPVS reckons them once a second
//! (`update_defense_level`).

use weir_abi::settings::Settings;
use weir_abi::shared::Shared32;
use weir_abi::sysctl::Sysctl;

use crate::settings::{forget_routes, sysctl};

/// A defence is on by itself while memory is short.
const WHEN_SHORT: i64 = 1;
/// The same, and it is short.
const WHILE_SHORT: i64 = 2;
/// A defence is always on.
const ALWAYS: i64 = 3;

/// Lets the defences follow: `available` are the pages of free memory and of buffers.
pub fn follow(settings: &Settings, available: u64) {
    let threshold = sysctl(settings, Sysctl::AmemThresh);
    let available = i64::try_from(available).unwrap_or(i64::MAX);
    let is_short = available < threshold;

    let drop_entry = turn(settings, Sysctl::DropEntry, is_short);
    let drop_packet = turn(settings, Sysctl::DropPacket, is_short);
    let secure_tcp = turn(settings, Sysctl::SecureTcp, is_short);
    let rate = match drop_packet {
        WHILE_SHORT => threshold / (threshold - available),
        ALWAYS => sysctl(settings, Sysctl::AmDroprate),
        _ => 0,
    };
    let mut changed = false;
    for (cell, value) in [
        (&settings.drop_entry, u32::from(drop_entry >= WHILE_SHORT)),
        (&settings.drop_rate, u32::try_from(rate).unwrap_or(0)),
        (&settings.secure_tcp, u32::from(secure_tcp >= WHILE_SHORT)),
    ] {
        changed |= replace(cell, value);
    }
    if changed {
        forget_routes(settings);
    }
}

/// The mode that is in force now: 1 and 2 become each other.
fn turn(settings: &Settings, which: Sysctl, is_short: bool) -> i64 {
    let mode = match (sysctl(settings, which), is_short) {
        (WHEN_SHORT | WHILE_SHORT, true) => WHILE_SHORT,
        (WHEN_SHORT | WHILE_SHORT, false) => WHEN_SHORT,
        (other, _) => other,
    };
    replace(settings.sysctl(which), mode as u32);
    mode
}

fn replace(cell: &Shared32, value: u32) -> bool {
    let differs = cell.load() != value;
    if differs {
        cell.store(value);
    }
    differs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::set_defaults;

    /// What is in force and what the sysctl says after that mode met that much memory.
    fn after(which: Sysctl, mode: u32, available: u64) -> ([u32; 3], u32) {
        let settings = Settings::default();
        set_defaults(&settings);
        settings.sysctl(which).store(mode);
        follow(&settings, available);
        let in_force = [
            &settings.drop_entry,
            &settings.drop_rate,
            &settings.secure_tcp,
        ]
        .map(Shared32::load);
        (in_force, settings.sysctl(which).load())
    }

    #[test]
    fn modes_follow_memory() {
        const MUCH: u64 = 1024;
        const LITTLE: u64 = 1023;
        for (mode, available, on, then) in [
            (0, LITTLE, 0, 0),
            (1, MUCH, 0, 1),
            (1, LITTLE, 1, 2),
            (2, LITTLE, 1, 2),
            (2, MUCH, 0, 1),
            (3, MUCH, 1, 3),
            (3, LITTLE, 1, 3),
        ] {
            let found = after(Sysctl::DropEntry, mode, available);
            assert_eq!(found, ([on, 0, 0], then), "drop_entry {mode} {available}");
            let found = after(Sysctl::SecureTcp, mode, available);
            assert_eq!(found, ([0, 0, on], then), "secure_tcp {mode} {available}");
        }
    }

    #[test]
    fn the_rate_follows_what_is_lacking() {
        for (mode, available, rate) in [
            (0, 0, 0),
            (1, 1024, 0),
            (1, 1023, 1024),
            (1, 512, 2),
            (1, 511, 1),
            (1, 0, 1),
            (2, 5000, 0),
            (3, 5000, 10),
        ] {
            let ([_, found, _], _) = after(Sysctl::DropPacket, mode, available);
            assert_eq!(found, rate, "{mode} {available}");
        }
    }
}
