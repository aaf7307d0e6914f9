//! Instructions per packet, in the virtual machine with its instruction clock, where the kernel's IPVS runs too.

use super::driver::{self, Driver, KERNEL, Run};
use super::snapshot::{self, Row, Wish};
use super::statistics::Summary;
use super::{Bench, Better, Case, Goal, Scenario};
use anyhow::Result;

const UNIT: &str = "instructions/packet";
const NET: &str = "instructions, net";
/// What all pay: net means without it.
const FLOOR: &str = "floor";
/// What all pay that take socket buffers.
const FLOOR_TC: &str = "floor TC";
const IPVS: &str = "IPVS";
const NEW: [&str; 2] = [
    "UDP, every packet a new connection",
    "TCP, every packet a new connection",
];

pub const SCENARIO: Scenario = Scenario {
    name: "instructions",
    title: "instructions per packet and per new connection, beside the kernel's IPVS",
    how: "In an emulated machine with one processor, Linux 6.12 of Debian and a clock that advances one nanosecond for each \
          instruction of the guest, kernel and user space alike. Three namespaces in a row, joined by veths: an XDP program \
          run by BPF_PROG_TEST_RUN with live frames writes 60-byte frames (64 on a wire) and redirects them into the \
          director; an XDP program counts and drops what comes out. A figure is the time from the first packet to the last \
          one's arrival, divided by the packets; all have to arrive, or there is no figure. The floor is an XDP program that \
          rewrites the link addresses from a table and redirects: what generator, veths and sink cost with it, everybody \
          pays; the floor at TC is a program there that does the same, which all that take socket buffers pay. The service is NAT to four real servers, round robin, ports translated; TCP is established by a whole \
          handshake before. Flows are sent on in an order that strides through them.",
    leaves_out: "More than 65 536 flows, which take minutes to make in that machine. An instruction is not a cycle: cache misses, branch misses and locks cost here what everything costs. \
                 A network card's driver is not there, veth stands for it. Kernel paths (IPVS, nftables, forwarding, Weir TC) pay \
                 for making socket buffers of frames that came from XDP, and for their way through veth, which a card's \
                 driver does in another way.",
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let all = [
        "generator",
        FLOOR,
        FLOOR_TC,
        "Weir XDP",
        "Weir TC",
        "forwarding",
        "nftables",
        IPVS,
    ];
    let contenders: Vec<&str> = all
        .into_iter()
        .filter(|name| bench.takes_part(name))
        .collect();
    // The snapshot is of the short run, which is all that CI has the time for.
    let short = bench.quick() || bench.snapshot() != Wish::Ignore;
    let run = Run {
        contenders: &contenders,
        traffic: &[
            "udp",
            "tcp",
            "udp-replies",
            "tcp-replies",
            "udp-new",
            "tcp-new",
        ],
        flows: if short {
            &[1, 1024]
        } else {
            &[1, 1_024, 65_536]
        },
        packets: 8_192,
        rounds: 5,
        busy: false,
    };
    let driver = Driver::build()?;
    let said = driver.in_machine(&driver.files(bench.weir()), &run.words())?;
    driver::record(bench, said, |name, value| {
        (Case::new(name, UNIT, Better::Lower, IPVS), value)
    });
    bench.note(format!(
        "{} figures of {} packets each; Debian's kernel {KERNEL}, BPF JIT on.",
        run.rounds, run.packets
    ));
    let median = |summary: Summary| summary.median;
    let rows = without(bench, FLOOR, median);
    record_net(bench, "net of the floor", &rows);
    let at_tc = without(bench, FLOOR_TC, median);
    record_net(bench, "net of the floor at TC", &at_tc);
    judge(bench);
    let least = without(bench, FLOOR, |summary| summary.least);
    snapshot::settle(bench.snapshot(), &least)
}

/// What every figure is, and what is left of it without what `floor` costs, both by one of their sums. A new connection's packet costs the floor what
/// any packet does.
fn without(bench: &Bench, floor: &str, figure: fn(Summary) -> f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for measured in &bench.last().cases {
        let case = &measured.case.name;
        let floor_case = match NEW.iter().position(|new| new == case) {
            Some(0) => "UDP, 1 024 flows",
            Some(_) => "TCP, 1 024 flows",
            None => case,
        };
        let Some(cost) = bench.summary(floor_case, floor) else {
            continue;
        };
        for series in &measured.series {
            // The floor at XDP is below that at TC, and so is what never becomes a socket buffer.
            let below = ["generator", FLOOR, "Weir XDP"].contains(&series.contender.as_str());
            if let (Some(whole), false) = (
                bench.summary(case, &series.contender),
                floor == FLOOR_TC && below,
            ) {
                rows.push(Row {
                    whole: figure(whole),
                    net: figure(whole) - figure(cost),
                    contender: series.contender.clone(),
                    case: case.clone(),
                });
            }
        }
    }
    rows
}

fn record_net(bench: &mut Bench, heading: &str, rows: &[Row]) {
    let floors = ["generator", FLOOR, FLOOR_TC];
    for row in rows
        .iter()
        .filter(|row| !floors.contains(&row.contender.as_str()))
    {
        let case = Case::new(format!("{heading}: {}", row.case), NET, Better::Lower, IPVS);
        bench.measure(&case, &row.contender, row.net);
    }
}

fn judge(bench: &mut Bench) {
    let established = [
        "UDP, 1 flow",
        "UDP, 1 024 flows",
        "TCP, 1 flow",
        "TCP, 1 024 flows",
    ];
    let kinds = [
        ("established packet", &established[..], 1.0 / 10.0),
        ("new connection", &NEW[..], 1.0 / 3.0),
    ];
    for (contender, heading) in [
        ("Weir XDP", "net of the floor"),
        ("Weir TC", "net of the floor"),
        ("Weir TC", "net of the floor at TC"),
    ] {
        for (what, cases, share) in kinds
            .iter()
            .filter(|_| bench.takes_part(contender))
            .copied()
            .collect::<Vec<_>>()
        {
            // The worst of them, so that one line says it.
            let ratios = cases.iter().map(|case| {
                bench
                    .ratio(&format!("{heading}: {case}"), contender, IPVS)
                    .map(|ratio| ratio.median)
            });
            let worst = ratios
                .collect::<Option<Vec<f64>>>()
                .and_then(|all| all.into_iter().reduce(f64::max));
            bench.target(
                format!("{contender}, {what}, {heading}, of IPVS's (worst case)"),
                Goal::AtMost(share),
                "x",
                worst,
            );
        }
    }
}
