//! Both directors, and what differed between them while a cell was played.

use crate::director::{Director, Said, Side, own};
use crate::read::{self, Seen};
use crate::whole::whole;
use anyhow::Result;

/// A difference between the directors.
#[derive(Clone, Debug)]
pub struct Difference {
    /// In a few words, for the document.
    pub why: String,
    /// The packet or command, and what both did.
    pub detail: String,
}

/// What is looked at in the packets of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Every byte.
    Bytes,
    /// Every byte of what fragments make together.
    Whole,
    /// Only of what begins a connection, and of that only how many packets came out where: choices are random.
    Openings,
    /// The same where the director itself may be chosen, which answers at once.
    Answers,
}

/// Where a cell is played.
pub struct Stage<'a> {
    /// IPVS, and Weir.
    pub directors: &'a mut [Director; 2],
    /// What is compared.
    pub look: Look,
    /// What differed.
    pub differences: Vec<Difference>,
    /// Packets that were put on wires, of each director.
    pub packets: usize,
    /// Print everything.
    pub trace: bool,
}

impl Stage<'_> {
    /// Puts the same packets on both directors' wires; returns what came out of the first, towards clients and towards real
    /// servers.
    pub fn send(&mut self, about: &str, side: Side, packets: &[Vec<u8>]) -> Result<[Vec<Seen>; 2]> {
        let got = [
            self.directors[0].exchange(side, packets)?,
            self.directors[1].exchange(side, packets)?,
        ];
        self.packets += packets.len();
        self.compare(about, side, [packets, packets], &got);
        let [first, _] = got;
        Ok(first)
    }

    /// As [`send`](Self::send), with packets that quote what each director sent. `expected` makes what the first one
    /// sends to clients what the second one is to send, where that is known to be something else.
    pub fn send_each(
        &mut self,
        about: &str,
        side: Side,
        packets: [Vec<Vec<u8>>; 2],
        expected: impl FnOnce(&mut Vec<Seen>),
    ) -> Result<()> {
        let mut got = [
            self.directors[0].exchange(side, &packets[0])?,
            self.directors[1].exchange(side, &packets[1])?,
        ];
        if self.directors[1].name == "weir" {
            expected(&mut got[0][0]);
        }
        self.packets += packets[0].len();
        self.compare(about, side, [&packets[0], &packets[1]], &got);
        Ok(())
    }

    /// As [`send`](Self::send), but returns what came out of both.
    pub fn send_for_both(
        &mut self,
        about: &str,
        side: Side,
        packets: &[Vec<u8>],
    ) -> Result<[[Vec<Seen>; 2]; 2]> {
        let got = [
            self.directors[0].exchange(side, packets)?,
            self.directors[1].exchange(side, packets)?,
        ];
        self.packets += packets.len();
        self.compare(about, side, [packets, packets], &got);
        Ok(got)
    }

    /// Gives both the same commands on their standard input (`ipvsadm -R`), or as arguments of one.
    pub fn command(&mut self, arguments: &[&str], given: &str) -> Result<[Said; 2]> {
        Ok([
            self.directors[0].ipvsadm(arguments, given)?,
            self.directors[1].ipvsadm(arguments, given)?,
        ])
    }

    /// Notes a difference.
    pub fn differs(&mut self, why: impl Into<String>, detail: impl Into<String>) {
        self.differences.push(Difference {
            why: why.into(),
            detail: detail.into(),
        });
    }

    fn compare(
        &mut self,
        about: &str,
        side: Side,
        sent: [&[Vec<u8>]; 2],
        got: &[[Vec<Seen>; 2]; 2],
    ) {
        if self.trace {
            for packet in sent[0] {
                println!("| {about}, from {side:?}: {}", read::describe(packet));
            }
            for (director, got) in self.directors.iter().zip(got) {
                for line in shown(got) {
                    println!("|   {} {line}", director.name);
                }
            }
        }
        let comparable = |got: &[Vec<Seen>; 2]| got.clone().map(|seen| self.comparable(seen));
        let (first, second) = (comparable(&got[0]), comparable(&got[1]));
        let same = match self.look {
            Look::Bytes | Look::Whole => first == second,
            Look::Openings => {
                about != "opening" || [0, 1].iter().all(|&at| first[at].len() == second[at].len())
            }
            Look::Answers => {
                let count = |got: &[Vec<Seen>; 2]| got[0].len() + got[1].len();
                about != "opening" || count(&first) == count(&second)
            }
        };
        if same {
            return;
        }
        let mut detail = format!("{about}, from {side:?}:\n");
        for packet in sent[0] {
            detail += &format!("  sent {}\n", read::describe(packet));
        }
        for (director, got) in self.directors.iter().zip(got) {
            for line in shown(got) {
                detail += &format!("  {} {line}\n", director.name);
            }
        }
        self.differs(format!("{about}: {}", in_short(&first, &second)), detail);
    }

    fn comparable(&self, seen: Vec<Seen>) -> Vec<Seen> {
        let wrappers = [own(false), own(true)];
        let seen = match self.look {
            Look::Whole => whole(seen, &wrappers),
            Look::Bytes | Look::Openings | Look::Answers => seen,
        };
        seen.into_iter()
            .map(|one| Seen {
                packet: read::comparable(&one.packet, &wrappers),
                ..one
            })
            .collect()
    }
}

fn shown(got: &[Vec<Seen>; 2]) -> Vec<String> {
    let mut lines = Vec::new();
    for (side, seen) in ["to clients", "to servers"].iter().zip(got) {
        for one in seen {
            let hop = one.hop.map(|byte| format!("{byte:02x}")).join(":");
            lines.push(format!(
                "{side}, next hop {hop}: {}",
                read::describe(&one.packet)
            ));
        }
    }
    if lines.is_empty() {
        lines.push("nothing".to_owned());
    }
    lines
}

/// How what came out differs, in words for a table.
fn in_short(first: &[Vec<Seen>; 2], second: &[Vec<Seen>; 2]) -> String {
    let count = |got: &[Vec<Seen>; 2]| [got[0].len(), got[1].len()];
    match (count(first), count(second)) {
        ([0, 0], _) => "IPVS is silent, Weir is not".to_owned(),
        (_, [0, 0]) => "Weir is silent, IPVS is not".to_owned(),
        (of_ipvs, of_weir) if of_ipvs != of_weir => {
            "other packets to clients or real servers".to_owned()
        }
        _ => {
            let hops = |got: &[Vec<Seen>; 2]| -> Vec<[u8; 6]> {
                got.iter().flatten().map(|one| one.hop).collect()
            };
            if hops(first) != hops(second) {
                "another real server".to_owned()
            } else {
                "other bytes".to_owned()
            }
        }
    }
}
