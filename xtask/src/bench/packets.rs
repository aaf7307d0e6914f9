//! Packets per second of established traffic, on this machine.

use super::driver::{self, Driver, Run};
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::Result;

const UNIT: &str = "packets/s";
const FLOOR: &str = "floor";

/// See its fields.
pub const SCENARIO: Scenario = Scenario {
    name: "packets",
    title: "packets per second of established UDP and TCP, up to four million flows",
    how: "Three namespaces in a row, joined by veths. An XDP program run by BPF_PROG_TEST_RUN with live frames writes 60-byte \
frames (64 on a wire) and redirects them into the director; an XDP program behind it counts and drops what comes out. The \
rate is what came out, divided by the time from the first packet to the last one's arrival. Generator, director and sink \
run one after the other on the same processor, so that every rate is that of all three together: the floor's (an XDP program \
that rewrites the link addresses from a table and redirects) is what remains for somebody who does next to nothing. The service is \
NAT to four real servers, round robin, ports translated; flows are established before, TCP by a whole handshake, tables have \
room for them. The generator has real-time priority, so that other programs on this machine do not count. In every round each contender gets a network of its own, which is removed after its turn.",
    leaves_out: "Network cards, and their drivers, which do more than veth does for XDP and less for socket buffers. More \
processors: nothing here shows contention. Flows are sent on in an order that strides through them, which is the worst for \
caches; real traffic comes in bursts.",
    run,
};

const CONTENDERS: [&str; 6] = [
    FLOOR,
    "floor TC",
    "Weir XDP",
    "Weir TC",
    "forwarding",
    "nftables",
];

/// A turn of one contender.
struct Turn {
    contender: &'static str,
    flows: &'static [u32],
    packets: u32,
}

fn run(bench: &mut Bench) -> Result<()> {
    let driver = Driver::build()?;
    let (rounds, packets) = if bench.quick() {
        (2, 300_000)
    } else {
        (5, 1_000_000)
    };
    turns(bench, &driver, rounds, &[1, 1_024, 262_144], packets)?;
    // Filling the tables takes longer than measuring.
    let (rounds, flows): (_, &[u32]) = if bench.quick() {
        (1, &[1_000_000])
    } else {
        (2, &[4_000_000])
    };
    turns(bench, &driver, rounds, flows, packets)?;
    judge(bench);
    Ok(())
}

fn turns(
    bench: &mut Bench,
    driver: &Driver,
    rounds: usize,
    flows: &'static [u32],
    packets: u32,
) -> Result<()> {
    let mut turns: Vec<Turn> = CONTENDERS
        .into_iter()
        .filter(|contender| bench.takes_part(contender))
        .map(|contender| Turn {
            contender,
            flows,
            packets,
        })
        .collect();
    let name = |turn: &Turn| {
        let most = turn.flows.last().copied().unwrap_or_default();
        format!("{}, up to {most} flows", turn.contender)
    };
    bench.interleave(rounds, &mut turns, name, |bench, turn| {
        let run = Run {
            contenders: &[turn.contender],
            traffic: &["udp", "tcp"],
            flows: turn.flows,
            packets: turn.packets,
            rounds: 1,
            busy: true,
        };
        let said = driver.here(bench.weir(), turn.contender, &run.words())?;
        driver::record(bench, said, |name, nanoseconds| {
            let case = Case::new(name, UNIT, Better::Higher, FLOOR);
            (case, 1e9 / nanoseconds)
        });
        Ok(())
    })
}

fn judge(bench: &mut Bench) {
    for (contender, goals) in [
        (
            "Weir XDP",
            &[(FLOOR, 0.92), ("nftables", 3.7), ("forwarding", 2.5)][..],
        ),
        ("Weir TC", &[("floor TC", 0.92)][..]),
    ] {
        for (base, least) in goals {
            let ratios = ["UDP, 1 024 flows", "TCP, 1 024 flows"]
                .map(|case| bench.ratio(case, contender, base).map(|one| one.median));
            let worst = ratios
                .into_iter()
                .collect::<Option<Vec<f64>>>()
                .and_then(|all| all.into_iter().reduce(f64::min));
            bench.target(
                format!("{contender} beside {base}, 1 024 flows (the lesser of UDP and TCP)"),
                Goal::AtLeast(*least),
                "x",
                worst,
            );
        }
    }
}
