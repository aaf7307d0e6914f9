//! What comes to a real server in tunnels, on the host.

use proptest::prelude::*;
use std::collections::HashMap;
use weir_abi::realserver::{Decapsulation, PortionInfo, PortionKey, Prepared};
use weir_forward::decapsulate::{Arrival, Version, decapsulate};
use weir_forward::hook::Refused;
use weir_rows::tunnels;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::packet::{Buffer, Header, Packet};

/// A frame in a buffer.
struct Frame {
    bytes: Vec<u8>,
    prepared: Vec<Prepared>,
    is_merged: bool,
    portions: Portions,
}

type Portions = HashMap<PortionKey, (PortionInfo, Vec<u8>)>;

impl Packet for Frame {
    fn header<T: Header>(&self, offset: usize) -> Option<&T> {
        let bytes = self.bytes.get(offset..)?.get(..size_of::<T>())?;
        // SAFETY: `bytes` has the size of T, T has alignment 1 and takes any bytes.
        Some(unsafe { &*bytes.as_ptr().cast::<T>() })
    }

    fn header_mut<T: Header>(&mut self, offset: usize) -> Option<&mut T> {
        let bytes = self.bytes.get_mut(offset..)?.get_mut(..size_of::<T>())?;
        // SAFETY: as above.
        Some(unsafe { &mut *bytes.as_mut_ptr().cast::<T>() })
    }

    fn holds(&self, length: usize) -> bool {
        length <= self.bytes.len()
    }
}

impl Arrival for Frame {
    fn is_prepared(&self, what: &Prepared) -> bool {
        self.prepared.contains(what)
    }

    fn is_merged(&self) -> bool {
        self.is_merged
    }

    fn reach(&mut self) {}

    fn strip(&mut self, _outer: Version, inner: Version, length: usize) -> Result<(), Refused> {
        let least = match inner {
            Version::V4 => 20,
            Version::V6 => 40,
        };
        let end = Ethernet::LENGTH + length;
        if end + least > self.bytes.len() {
            return Err(Refused);
        }
        self.bytes.drain(Ethernet::LENGTH..end);
        Ok(())
    }

    fn store(&mut self, offset: usize, bytes: [u8; 2]) -> Result<(), Refused> {
        let mut buffer = Buffer(&mut self.bytes);
        *buffer.header_mut::<[u8; 2]>(offset).ok_or(Refused)? = bytes;
        Ok(())
    }

    fn sum(&mut self, offset: usize, length: usize) -> Result<Delta, Refused> {
        let bytes = self.bytes.get(offset..).and_then(|rest| rest.get(..length));
        let pairs = bytes.ok_or(Refused)?.chunks(2);
        Ok(pairs.fold(Delta::ZERO, |sum, pair| {
            let low = pair.get(1).copied().unwrap_or(0);
            sum.add(u16::from_ne_bytes([pair[0], low]).into())
        }))
    }

    fn held(&self, key: &PortionKey) -> Option<PortionInfo> {
        Some(self.portions.get(key)?.0)
    }

    fn hold(&mut self, key: &PortionKey, info: PortionInfo, at: usize) -> Result<(), Refused> {
        let bytes = self.bytes[at..at + info.length as usize].to_vec();
        self.portions.insert(*key, (info, bytes));
        Ok(())
    }

    fn join(&mut self, key: &PortionKey, length: usize, at: usize) -> Result<(), Refused> {
        let (_, other) = self.portions.remove(key).ok_or(Refused)?;
        let mine = self.bytes[at..at + length].to_vec();
        self.bytes.truncate(at);
        let (first, last) = if key.is_last != 0 {
            (mine, other)
        } else {
            (other, mine)
        };
        self.bytes.extend([first, last].concat());
        Ok(())
    }
}

fn run(bytes: Vec<u8>) -> (Option<Decapsulation>, Vec<u8>) {
    let mut frame = Frame {
        bytes,
        prepared: tunnels::prepared(),
        is_merged: false,
        portions: Portions::new(),
    };
    let became = decapsulate(&mut frame);
    (became, frame.bytes)
}

#[test]
fn every_row() {
    for row in tunnels::all() {
        let (became, after) = run(row.frame);
        assert_eq!(became, row.became, "{}", row.name);
        if !became.is_some_and(Decapsulation::is_dropped) {
            assert_eq!(after, row.after, "{}", row.name);
        }
    }
}

#[test]
fn fragments_are_put_together() {
    let sequences = tunnels::fragments();
    assert!(sequences.len() > 100);
    for rows in sequences {
        let mut portions = Portions::new();
        for row in rows {
            let mut frame = Frame {
                bytes: row.frame,
                prepared: tunnels::prepared(),
                is_merged: false,
                portions,
            };
            let became = decapsulate(&mut frame);
            assert_eq!(became, row.became, "{}", row.name);
            if became.is_none_or(Decapsulation::is_passed) {
                assert_eq!(frame.bytes, row.after, "{}", row.name);
            }
            portions = frame.portions;
        }
    }
}

/// The kernel has summed what it merges, and gives its checksum no meaning.
#[test]
fn the_checksum_of_a_merged_segment_is_left_alone() {
    let rows = tunnels::all();
    let remote = rows.iter().filter(|row| row.name.starts_with("GueRemote"));
    let mut seen = 0;
    for row in remote {
        let mut frame = Frame {
            bytes: row.frame.clone(),
            prepared: tunnels::prepared(),
            is_merged: true,
            portions: Portions::new(),
        };
        assert_eq!(decapsulate(&mut frame), row.became, "{}", row.name);
        let end = &row.frame[row.frame.len() - (frame.bytes.len() - 14)..];
        assert_eq!(&frame.bytes[14..], end, "{}", row.name);
        seen += 1;
    }
    assert!(seen > 20, "{seen} rows");
}

proptest! {
    /// Whatever comes, what goes on has lost bytes only if it was taken out of a tunnel.
    #[test]
    fn nothing_breaks_it(pick in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>()) {
        let rows = tunnels::all();
        let mut frame = pick.get(&rows).frame.clone();
        let at = at.index(frame.len());
        frame[at] = byte;
        frame.truncate(14 + cut.index(frame.len()));
        let (became, after) = run(frame.clone());
        match became {
            Some(Decapsulation::Ipip | Decapsulation::Gue | Decapsulation::Gre) => {
                prop_assert!(after.len() < frame.len());
                prop_assert_eq!(&after[..12], &frame[..12]);
            }
            Some(Decapsulation::Congestion | Decapsulation::KernelRefused | Decapsulation::FragmentHeld) => {}
            Some(Decapsulation::OtherDestination | Decapsulation::Fragment | Decapsulation::Strange) | None => {
                prop_assert_eq!(after, frame);
            }
        }
    }
}
