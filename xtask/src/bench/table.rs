//! The tables of connections: memory, what they cost when they are large, the reaper, least-connection among many.

use super::driver::{Driver, KERNEL, Run, Said};
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::{Context, Result};

const WEIR: &str = "Weir XDP";
const FLOOR: &str = "floor";
const MEBI: u32 = 1 << 20;
const FEW: u32 = 1_024;

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "table",
    title: "memory, packets, expiry and scheduling with large tables",
    how: "*Bytes*: the memory that the kernel counts for all that Weir pins, of tables with room for two million connections \
minus that of tables with room for one, by their difference; and the same of one million as a whole, with everything that does not \
grow with connections, divided by them. *Packets*: as in the scenario packets, UDP; on all connections that are there, in \
an order that strides through them, or on 1 024 of them. *Reaper*: a program per processor spins with real-time priority and adds up the time \
that it does not get; from that time with full tables the time with empty ones is taken away. In the machine whose clock \
counts instructions the same gives instructions. *Late*: UDP flows are made, and their times written down; when their timeout is over, the listing \
is asked again and again how many are left: when k are gone, one of the first k + 1 that were made is not, and late by so much at least. \
*Least-connection*: instructions of a SYN's whole way with 1 000 real servers of weight 1, in that machine.",
    leaves_out: "Memory that the kernel does not count for maps, which is little. Lateness between two looks at the listing, some \
hundredths of a second apart; a quarter of a second of it is on purpose (an expiry is written anew only when it moved by as much).",
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let driver = Driver::build()?;
    bytes(bench, &driver)?;
    packets(bench, &driver)?;
    reaper(bench, &driver)?;
    in_machine(bench, &driver)
}

/// The words of the driver's verb for tables.
fn words(room: [u32; 2], further: &[(&str, u32)]) -> Vec<String> {
    let mut words = vec!["table".to_owned()];
    let sizes = [("--connections", room[0]), ("--connections6", room[1])];
    for (name, value) in sizes.iter().chain(further) {
        words.extend([(*name).to_owned(), value.to_string()]);
    }
    words
}

/// The figure of a name.
fn figure(said: &[Said], name: &str) -> Result<f64> {
    let found = said.iter().find_map(|one| match one {
        Said::Sample { case, value, .. } if case == name => Some(*value),
        Said::Sample { .. } | Said::Refused(_) | Said::Note(_) | Said::Progress(_) => None,
    });
    found.with_context(|| format!("the driver said no figure for `{name}`"))
}

fn bytes(bench: &mut Bench, driver: &Driver) -> Result<()> {
    let measured = |room: [u32; 2]| {
        let said = driver.here(bench.weir(), "memory", &words(room, &[]))?;
        figure(&said, "bytes")
    };
    let one = measured([MEBI, FEW])?;
    let more4 = (measured([2 * MEBI, FEW])? - one) / f64::from(MEBI);
    let more6 = (measured([MEBI, FEW + MEBI])? - one) / f64::from(MEBI);
    for (name, value) in [
        ("IPv4, by difference", more4),
        ("IPv6, by difference", more6),
        (
            "IPv4, everything of a table for 1 048 576",
            one / f64::from(MEBI),
        ),
    ] {
        let case = Case::new(name, "bytes/connection", Better::Lower, WEIR);
        bench.measure(&case, WEIR, value);
    }
    bench.target(
        "bytes per connection of IPv4, both directions",
        Goal::AtMost(200.0),
        "bytes",
        Some(more4),
    );
    bench.target(
        "bytes per connection of IPv6, both directions",
        Goal::AtMost(280.0),
        "bytes",
        Some(more6),
    );
    Ok(())
}

/// One turn of packets: on `flows` of the connections, with `filled` more in the tables.
struct Turn {
    contender: &'static str,
    flows: Vec<u32>,
    filled: u32,
}

fn packets(bench: &mut Bench, driver: &Driver) -> Result<()> {
    let (rounds, packets, many) = if bench.quick() {
        (1, 500_000, [1_000_000, 2_000_000])
    } else {
        (2, 3_000_000, [1_000_000, 10_000_000])
    };
    let turn = |contender, flows: &[u32], filled| Turn {
        contender,
        flows: flows.to_vec(),
        filled,
    };
    let mut turns = vec![
        turn(FLOOR, &[FEW], 0),
        turn(WEIR, &[FEW, many[0], many[1]], 0),
        turn(WEIR, &[FEW], many[0]),
        turn(WEIR, &[FEW], many[1]),
    ];
    let name = |turn: &Turn| match turn.filled {
        0 => format!("{}, {:?} connections", turn.contender, turn.flows),
        filled => format!("{}, 1 024 of {filled} connections", turn.contender),
    };
    bench.interleave(rounds, &mut turns, name, |bench, turn| {
        let run = Run {
            contenders: &[turn.contender],
            traffic: &["udp"],
            flows: &turn.flows,
            packets,
            rounds: 1,
            busy: true,
        };
        let mut words = run.words();
        words.extend(["--filled".to_owned(), turn.filled.to_string()]);
        for said in driver.here(bench.weir(), turn.contender, &words)? {
            if let Said::Sample {
                case,
                contender,
                value,
            } = said
            {
                let name = match (turn.filled, contender.as_str()) {
                    (_, FLOOR) => "floor".to_owned(),
                    (0, _) => format!("{case}, all of them"),
                    (filled, _) => format!("{case} of {} million", filled / 1_000_000),
                };
                let case = Case::new(name, "ns/packet", Better::Lower, WEIR);
                bench.measure(&case, &contender, value);
            }
        }
        Ok(())
    })?;
    let all = |count: &str| format!("UDP, {count} flows, all of them");
    let most = if bench.quick() {
        "2 000 000"
    } else {
        "10 000 000"
    };
    let some = format!("UDP, 1 024 flows of {} million", many[1] / 1_000_000);
    let few = bench.summary(&all("1 024"), WEIR).map(|one| one.median);
    for (what, case) in [
        (
            format!("a packet's way with {most} connections, beside 1 024: traffic on all of them"),
            all(most),
        ),
        (
            format!(
                "a packet's way with {most} connections, beside 1 024: traffic on 1 024 of them"
            ),
            some,
        ),
    ] {
        let large = bench.summary(&case, WEIR).map(|one| one.median);
        let ratio = large.zip(few).map(|(large, few)| large / few);
        bench.target(what, Goal::AtMost(2.0), "x", ratio);
    }
    Ok(())
}

fn reaper(bench: &mut Bench, driver: &Driver) -> Result<()> {
    // Connections, their timeout, rounds, share of a processor, seconds late.
    let tables: &[(u32, u32, usize, f64, f64)] = if bench.quick() {
        &[(1_000_000, 15, 1, 2.0, 1.0)]
    } else {
        &[(1_000_000, 15, 2, 2.0, 1.0), (10_000_000, 60, 1, 15.0, 5.0)]
    };
    for (connections, timeout, rounds, most, latest) in tables {
        let millions = connections / 1_000_000;
        let share = Case::new(
            format!("reaper, {millions} million connections"),
            "% of a processor",
            Better::Lower,
            WEIR,
        );
        let late = Case::new(
            format!("expiry, {millions} million connections at once"),
            "seconds late",
            Better::Lower,
            WEIR,
        );
        for _ in 0..*rounds {
            let further = [
                ("--fill", *connections),
                ("--timeout", *timeout),
                ("--watch", 6),
            ];
            let words = words([connections + connections / 8, FEW], &further);
            let said = driver.here(bench.weir(), &share.name, &words)?;
            bench.measure(&share, WEIR, figure(&said, "reaper")?);
            bench.measure(&late, WEIR, figure(&said, "late")?);
        }
        let of = |bench: &Bench, case: &Case| bench.summary(&case.name, WEIR).map(|one| one.median);
        let (measured, delay) = (of(bench, &share), of(bench, &late));
        bench.target(
            share.name.clone(),
            Goal::AtMost(*most),
            "% of a processor",
            measured,
        );
        bench.target(late.name.clone(), Goal::AtMost(*latest), "s late", delay);
    }
    Ok(())
}

/// What the machine's clock says: the reaper, and least-connection among 1 000.
fn in_machine(bench: &mut Bench, driver: &Driver) -> Result<()> {
    const CONNECTIONS: u32 = 200_000;
    let further = [("--fill", CONNECTIONS), ("--timeout", 60), ("--watch", 3)];
    let said = driver.in_machine(
        &driver.files(bench.weir()),
        &words([CONNECTIONS + FEW, FEW], &further),
    )?;
    // A percent of that clock is ten million instructions a second.
    let instructions = figure(&said, "reaper")? * 1e7 / f64::from(CONNECTIONS);
    let case = Case::new("reaper", "instructions/connection/s", Better::Lower, WEIR);
    bench.measure(&case, WEIR, instructions);

    let run = Run {
        contenders: &[WEIR, "IPVS"],
        traffic: &["tcp-new"],
        flows: &[1],
        packets: 1_024,
        rounds: 3,
        busy: false,
    };
    let mut words = run.words();
    words.extend(["--scheduler", "lc", "--servers", "1000"].map(str::to_owned));
    for said in driver.in_machine(&driver.files(bench.weir()), &words)? {
        match said {
            Said::Sample {
                contender, value, ..
            } => {
                let case = Case::new(
                    "SYN, least-connection among 1 000 real servers",
                    "instructions/packet",
                    Better::Lower,
                    "IPVS",
                );
                bench.measure(&case, &contender, value);
            }
            Said::Refused(text) | Said::Note(text) => bench.note(text),
            Said::Progress(_) => {}
        }
    }
    bench.note(format!(
        "The machine that counts instructions runs Debian's kernel {KERNEL}."
    ));
    Ok(())
}
