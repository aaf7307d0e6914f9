//! Cells that are played together.

use crate::cell::{Cell, Feature};
use crate::director::{Director, Said};
use crate::listing;
use crate::scenario::{self, Play, Script, USUAL_TIMEOUTS};
use crate::stage::{Difference, Stage};
use anyhow::{Result, bail};
use std::collections::BTreeMap;
use std::time::Duration;

/// IPVS's estimator, and with it its counters in listings, is so late.
const STATISTICS: Duration = Duration::from_secs(3);
/// Two expiries that differ by so many seconds are the same.
const EXPIRY_TOLERANCE: u32 = 2;

/// What became of a cell.
pub struct Outcome {
    /// The cell.
    pub cell: Cell,
    /// What differed; nothing if the directors did the same.
    pub differences: Vec<Difference>,
    /// Packets that each director was given.
    pub packets: usize,
}

struct Actor {
    play: Play,
    script: Script,
    differences: Vec<Difference>,
    packets: usize,
    /// Refused by a director: it has no further turns.
    out: bool,
}

impl Actor {
    fn differs(&mut self, why: impl Into<String>, detail: impl Into<String>) {
        self.differences.push(Difference {
            why: why.into(),
            detail: detail.into(),
        });
    }
}

/// Plays cells, each with its number among all; those without a script are not among the outcomes.
pub fn play(
    directors: &mut [Director; 2],
    cells: &[(u16, Cell)],
    seed: u64,
    trace: bool,
) -> Result<Vec<Outcome>> {
    let mut actors: Vec<Actor> = cells
        .iter()
        .filter_map(|&(number, cell)| {
            Some(Actor {
                script: scenario::script(cell.feature)?,
                play: Play::new(cell, number, seed),
                differences: Vec::new(),
                packets: 0,
                out: false,
            })
        })
        .collect();
    let Some(first) = actors.first() else {
        return Ok(Vec::new());
    };
    let timeouts = first.script.timeouts.unwrap_or(USUAL_TIMEOUTS);
    let pauses = first.script.pauses;
    begin(directors, timeouts)?;
    let turns = actors
        .iter()
        .map(|actor| actor.script.turns)
        .max()
        .unwrap_or(0);
    for turn in 0..turns {
        command(directors, &mut actors, turn, trace)?;
        for actor in &mut actors {
            if actor.out || turn >= actor.script.turns {
                continue;
            }
            let mut stage = Stage {
                directors: &mut *directors,
                look: actor.play.look(),
                differences: Vec::new(),
                packets: 0,
                trace,
            };
            (actor.script.packets)(&mut actor.play, turn, &mut stage)?;
            actor.differences.append(&mut stage.differences);
            actor.packets += stage.packets;
        }
        if let Some(&pause) = pauses.get(turn) {
            compare_connections(directors, &mut actors)?;
            std::thread::sleep(Duration::from_secs(pause));
        }
    }
    compare_connections(directors, &mut actors)?;
    for arguments in [
        &["-L", "-n"][..],
        &["-S", "-n"],
        &["-L", "-n", "--thresholds"],
        &["-L", "-n", "--persistent-conn"],
        &["-L", "-n", "--tun-info"],
    ] {
        compare_listing(directors, &mut actors, arguments)?;
    }
    std::thread::sleep(STATISTICS);
    compare_listing(directors, &mut actors, &["-L", "-n", "--stats", "--exact"])?;
    for director in directors.iter_mut() {
        director.check()?;
    }
    settle(&directors[0])?;
    Ok(actors
        .into_iter()
        .map(|actor| Outcome {
            cell: actor.play.cell,
            differences: actor.differences,
            packets: actor.packets,
        })
        .collect())
}

/// Empties both directors of services, and sets timeouts.
fn begin(directors: &[Director; 2], timeouts: [u32; 3]) -> Result<()> {
    let [tcp, fin, udp] = timeouts.map(|seconds| seconds.to_string());
    for director in directors {
        director.forget_learnt_mtus()?;
        for arguments in [&["-C"][..], &["--set", &tcp, &fin, &udp]] {
            let said = director.ipvsadm(arguments, "")?;
            if said.code != 0 {
                bail!("{}: ipvsadm {arguments:?}: {}", director.name, said.errors);
            }
        }
    }
    Ok(())
}

/// Waits until the connections of a batch have expired. The kernel lists connections badly while others end: it counts
/// how many it has shown, and goes on after as many.
fn settle(ipvs: &Director) -> Result<()> {
    loop {
        let table = ipvs.file("/proc/net/ip_vs_conn")?;
        let expiries = table.lines().skip(1).filter_map(|line| {
            // The tenth column and those after it are an engine's.
            line.split_whitespace().nth(8)?.parse::<u64>().ok()
        });
        let Some(longest) = expiries.max() else {
            return Ok(());
        };
        std::thread::sleep(Duration::from_secs(longest + 1));
    }
}

/// Gives all their commands of a turn: together, or each its own where that fails.
fn command(
    directors: &[Director; 2],
    actors: &mut [Actor],
    turn: usize,
    trace: bool,
) -> Result<()> {
    let texts: Vec<String> = actors
        .iter_mut()
        .map(|actor| {
            if actor.out || turn >= actor.script.turns {
                return String::new();
            }
            let lines = (actor.script.commands)(&mut actor.play, turn);
            lines.iter().map(|line| format!("{line}\n")).collect()
        })
        .collect();
    let together = texts.concat();
    if together.is_empty() {
        return Ok(());
    }
    for director in directors {
        if trace {
            together
                .lines()
                .for_each(|line| println!("| {}: {line}", director.name));
        }
        let said = director.ipvsadm(&["-R"], &together)?;
        if fine(&said) {
            continue;
        }
        if turn > 0 {
            // What was done cannot be done again; listings tell whose it was.
            println!(
                "note {}: ipvsadm -R: {} {}",
                director.name,
                said.code,
                said.errors.trim_end()
            );
            continue;
        }
        director.ipvsadm(&["-C"], "")?;
        for (actor, text) in actors.iter_mut().zip(&texts) {
            one_by_one(director, actor, text)?;
        }
    }
    Ok(())
}

/// Gives one cell's commands alone; it is out where one is refused.
fn one_by_one(director: &Director, actor: &mut Actor, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let said = director.ipvsadm(&["-R"], text)?;
    if !fine(&said) {
        let message = said.errors.lines().next().unwrap_or_default().to_owned();
        actor.differs(
            format!("{} refuses: {message}", director.name),
            format!("commands:\n{text}{said:?}"),
        );
        actor.out = true;
    }
    Ok(())
}

fn fine(said: &Said) -> bool {
    said.code == 0 && said.errors.is_empty()
}

/// Compares what each cell's services are listed as. Weir may be most of a second late to end a connection, so a difference
/// counts when it lasts.
fn compare_listing(
    directors: &[Director; 2],
    actors: &mut [Actor],
    arguments: &[&str],
) -> Result<()> {
    let name = arguments.join(" ");
    let mut open: Vec<&mut Actor> = actors
        .iter_mut()
        .filter(|actor| !actor.out && actor.play.is_certain())
        .collect();
    for left in (0..LISTINGS).rev() {
        let listings = [
            services(&directors[0], arguments)?,
            services(&directors[1], arguments)?,
        ];
        open = open
            .into_iter()
            .filter_map(|actor| {
                let [first, second] = listings.each_ref().map(|listing| -> String {
                    let own = listing
                        .iter()
                        .filter(|(key, _)| actor.play.owns_service(key));
                    own.map(|(_, block)| block.as_str()).collect()
                });
                if first == second {
                    return None;
                }
                if left == 0 {
                    let [one, other] = directors.each_ref().map(|director| director.name);
                    let detail = format!("  {one}:\n{first}  {other}:\n{second}");
                    actor.differs(format!("ipvsadm {name}"), detail);
                }
                Some(actor)
            })
            .collect();
        if open.is_empty() {
            break;
        }
        std::thread::sleep(LATE);
    }
    Ok(())
}

fn services(director: &Director, arguments: &[&str]) -> Result<BTreeMap<String, String>> {
    let said = director.ipvsadm(arguments, "")?;
    if !fine(&said) {
        println!("note {}: ipvsadm {arguments:?}: {said:?}", director.name);
    }
    Ok(listing::services(&said.output))
}

/// How often something is listed until it is the same.
const LISTINGS: usize = 4;
/// More than Weir is late to end a connection that nobody asks for.
const LATE: Duration = Duration::from_secs(1);

/// Compares the connections of each cell. The kernel shows them page by page, and now and then leaves one out between two
/// pages; so a difference counts when it is still there the fourth time.
fn compare_connections(directors: &[Director; 2], actors: &mut [Actor]) -> Result<()> {
    let mut open: Vec<&mut Actor> = actors
        .iter_mut()
        .filter(|actor| !actor.out && actor.play.is_certain())
        .collect();
    for left in (0..LISTINGS).rev() {
        let tables = [connections(&directors[0])?, connections(&directors[1])?];
        open = open
            .into_iter()
            .filter_map(|actor| {
                let (why, detail) = connections_differ(&actor.play, directors, &tables)?;
                if left == 0 {
                    actor.differs(why, detail);
                }
                Some(actor)
            })
            .collect();
        if open.is_empty() {
            break;
        }
    }
    Ok(())
}

fn connections(director: &Director) -> Result<Vec<listing::Connection>> {
    let said = director.ipvsadm(&["-L", "-n", "-c"], "")?;
    let mut rows = listing::connections(&said.output);
    rows.sort();
    Ok(rows)
}

fn connections_differ(
    play: &Play,
    directors: &[Director; 2],
    tables: &[Vec<listing::Connection>; 2],
) -> Option<(&'static str, String)> {
    let [first, second] = tables.each_ref().map(|rows| -> Vec<&listing::Connection> {
        rows.iter()
            .filter(|row| play.owns_connection(row))
            .collect()
    });
    let same_lines = first.len() == second.len()
        && first
            .iter()
            .zip(&second)
            .all(|(one, other)| one.line == other.line);
    let why = if !same_lines {
        "ipvsadm -L -n -c"
    } else if first
        .iter()
        .zip(&second)
        .any(|(one, other)| one.expires.abs_diff(other.expires) > EXPIRY_TOLERANCE)
    {
        "ipvsadm -L -n -c: when connections expire"
    } else {
        return None;
    };
    let mut detail = String::new();
    for (director, rows) in directors.iter().zip([first, second]) {
        detail += &format!("  {}:\n", director.name);
        for row in rows {
            detail += &format!("    {} ({} s)\n", row.line, row.expires);
        }
    }
    Some((why, detail))
}

/// Whether cells may be played together: they need the same of the directors. And they must not see each other: IPVS
/// passes ICMP errors about a real server's tunnel on only where that is of the kind that it finds first for its address.
pub fn together(one: Cell, other: Cell) -> bool {
    let needs = |cell: Cell| {
        let method = cell.transport.method;
        let tunnel = cell.feature == Feature::IcmpToClient && method.is_tunnel();
        let tunnel = tunnel.then_some(method);
        scenario::script(cell.feature).map(|script| (script.timeouts, script.pauses, tunnel))
    };
    needs(one) == needs(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_plays_together() {
        for (one, other, expected) in [
            ("rr/gre/v4/udp/mtu", "rr/ipip/v4/tcp/mtu", true),
            ("rr/gre/v4/udp/mtu", "rr/gre/v4/udp/timeouts", false),
            (
                "rr/gre/v4/udp/icmp-to-client",
                "rr/gre/v4/tcp/icmp-to-client",
                true,
            ),
            (
                "rr/gre/v4/udp/icmp-to-client",
                "rr/ipip/v4/udp/icmp-to-client",
                false,
            ),
            (
                "rr/nat/v4/udp/icmp-to-client",
                "rr/dr/v4/udp/icmp-to-client",
                true,
            ),
        ] {
            let cells = [one, other].map(|name| name.parse().unwrap());
            assert_eq!(together(cells[0], cells[1]), expected, "{one} {other}");
        }
    }
}
