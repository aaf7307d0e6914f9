//! How errors quote the packet that they are about: how much of it, of which shape, and damaged.

use weir_abi::reason::Reason;

use super::TCP;
use super::case::{Case, To, arrival};
use crate::cases::handshake;
use crate::network::Family;
use crate::row::{Expected, Row};
use crate::setup::Setup;

/// Quoted as far as that: the ports suffice.
pub(super) fn lengths(family: Family, to: To) -> Vec<Row> {
    let mut rows = Vec::new();
    for quoted in [4, 5, 7, 9, 16, 17, 18, 19, 20, 21, 500, 1400] {
        let case = Case {
            quoted,
            ..Case::new(family, to)
        }
        .with(|packet| packet.payload = (0..1420).map(|byte| byte as u8).collect());
        rows.push(case.row(format!("{quoted} bytes quoted"), case.goes_on()));
    }
    for quoted in [0, 3] {
        let case = Case {
            quoted,
            ..Case::new(family, to)
        };
        let name = format!("{quoted} bytes quoted");
        rows.push(case.row(name, Expected::untouched(Reason::Icmp)));
    }
    // Filled up to the least that a link takes: the filling is not part of the error.
    let case = Case {
        quoted: 0,
        ..Case::new(family, to)
    };
    let mut frame = case.error().frame(to.from());
    frame.extend(&case.arrived.network()[case.transport()..]);
    let mut steps = handshake(family);
    steps.push(arrival(to.from(), frame, Expected::untouched(Reason::Icmp)));
    let name = format!("what is no part of the error quotes nothing, to the {to:?}, {family:?}");
    rows.push(Row::new(name, Setup::simple(family, TCP), steps));
    rows
}

/// Quoted packets with options, extension headers, fragments.
pub(super) fn shapes(family: Family, to: To) -> Vec<Row> {
    let case = Case::new(family, to);
    let mut rows = Vec::new();
    match family {
        Family::V4 => {
            for options in [vec![1; 4], vec![1; 40]] {
                let case = case
                    .clone()
                    .with(|packet| packet.options.clone_from(&options));
                let name = format!("{} bytes of options quoted", options.len());
                rows.push(case.row(name, case.goes_on()));
            }
            let first = case.clone().with(|packet| {
                packet.fragment = 0x2000;
                packet.do_not_fragment = false;
            });
            rows.push(first.row("the first fragment", first.goes_on()));
            let later = case.with(|packet| {
                packet.fragment = 0x2001;
                packet.do_not_fragment = false;
            });
            let left = Expected::untouched(Reason::Icmp);
            rows.push(later.row("a later fragment", left));
        }
        Family::V6 => {
            for extensions in [
                vec![0],
                vec![44],
                vec![0, 44, 60],
                vec![0, 60, 43, 44, 60, 60],
            ] {
                let case = case
                    .clone()
                    .with(|packet| packet.extensions.clone_from(&extensions));
                let name = format!("extension headers {extensions:?} quoted");
                rows.push(case.row(name, case.goes_on()));
            }
            for extensions in [vec![60; 7], vec![135]] {
                let case = case
                    .clone()
                    .with(|packet| packet.extensions.clone_from(&extensions));
                let name = format!("extension headers {extensions:?} quoted");
                rows.push(case.row(name, Expected::untouched(Reason::Icmp)));
            }
            // The offset lies in the third and fourth byte of a fragment header.
            let fragment = case.with(|packet| packet.extensions = vec![44]);
            let mut error = fragment.error();
            error.quoted[40 + 2] = 0x05;
            let mut steps = handshake(family);
            let frame = error.frame(to.from());
            steps.push(arrival(to.from(), frame, Expected::untouched(Reason::Icmp)));
            let name = format!("a later fragment, to the {to:?}, {family:?}");
            rows.push(Row::new(name, Setup::simple(family, TCP), steps));
        }
    }
    rows
}

/// A quoted IPv4 header with a wrong checksum, as routers leave it that take a hop before they quote:
/// it goes on with a right one.
pub(super) fn mended(to: To) -> Row {
    let case = Case::new(Family::V4, to);
    let mut error = case.error();
    error.quoted[10] ^= 0x55;
    let mut steps = handshake(Family::V4);
    steps.push(arrival(to.from(), error.frame(to.from()), case.goes_on()));
    let name = format!("a quoted header with a wrong checksum, to the {to:?}");
    Row::new(name, Setup::simple(Family::V4, TCP), steps)
}
