//! Instructions per packet, in the virtual machine with its instruction clock, where the kernel's IPVS runs too.

use super::driver::{self, Driver, Run, Said};
use super::{Bench, Better, Case, Goal, Scenario, snapshot};
use crate::vm::{Clock, Guest, Series};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::time::Duration;

/// The kernel of the machine.
const KERNEL: &str = "6.12";
const UNIT: &str = "instructions/packet";
/// The one that all pay: net means without it.
const FLOOR: &str = "floor";
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
          pays. The service is NAT to four real servers, round robin, ports translated; TCP is established by a whole \
          handshake before. Flows are sent on in an order that strides through them.",
    leaves_out: "An instruction is not a cycle: cache misses, branch misses and locks cost here what everything costs. \
                 A network card's driver is not there, veth stands for it. Kernel paths (IPVS, nftables, forwarding, Weir TC) pay \
                 for making socket buffers of frames that came from XDP, and for their way through veth, which a card's \
                 driver does in another way.",
    run,
};

fn run(bench: &mut Bench) -> Result<()> {
    let quick = bench.quick();
    let all = [
        "generator",
        FLOOR,
        "Weir XDP",
        "Weir TC",
        "forwarding",
        "nftables",
        "IPVS",
    ];
    let contenders: Vec<&str> = all
        .into_iter()
        .filter(|name| bench.takes_part(name))
        .collect();
    let flows: &[u32] = if quick {
        &[1, 1024]
    } else {
        &[1, 1024, 262_144]
    };
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
        flows,
        packets: 16_384,
        rounds: 3,
        lossy: false,
    };
    let said = drive(&Driver::build()?, bench.weir(), &run)?;
    driver::record(bench, said, |name, value| {
        (Case::new(name, UNIT, Better::Lower, "IPVS"), value)
    });
    bench.note(format!(
        "three figures of {} packets each, kernel {KERNEL} of Debian, BPF JIT on",
        run.packets
    ));
    let net = net(bench);
    for (case, contender, cost) in &net {
        let case = Case::new(
            format!("net of the floor: {case}"),
            UNIT,
            Better::Lower,
            "IPVS",
        );
        bench.measure(&case, contender, *cost);
    }
    judge(bench, flows);
    snapshot::settle(bench, &net)
}

/// Runs the driver in a machine that has just booted; what it said.
fn drive(driver: &Driver, weir: &Path, run: &Run) -> Result<Vec<Said>> {
    let guest = Guest {
        kernel: KERNEL.parse::<Series>().map_err(anyhow::Error::msg)?,
        memory_mib: 3072,
        limit: Duration::from_secs(1200),
        clock: Clock::Instructions,
    };
    let place = |path: &Path| {
        let name = path.file_name().context("a file without a name")?;
        Ok(format!("/job/{}", name.to_string_lossy()))
    };
    let line = driver.line(weir, place, run)?.join(" ");
    let files = [
        driver.binary.clone(),
        driver.programs.clone(),
        weir.to_owned(),
    ];
    let mut lines = Vec::new();
    let outcome = guest.run(&format!("exec {line} 2>&1\n"), &files, |line| {
        match driver::read(line) {
            Ok(Said::Progress(text)) => println!("  {text}"),
            Ok(Said::Sample {
                case,
                contender,
                value,
            }) => println!("    {case:45} {contender:12} {value:9.1}"),
            Ok(Said::Refused(text)) => println!("    {text}"),
            Ok(Said::Note(_)) | Err(_) => {}
        }
        lines.push(line.to_owned());
    })?;
    if outcome.status != 0 {
        bail!("the driver failed in the machine:\n{}", lines.join("\n"));
    }
    lines.iter().map(|line| driver::read(line)).collect()
}

/// What is left of every figure without the floor: case, contender, instructions.
fn net(bench: &Bench) -> Vec<(String, String, f64)> {
    let mut net = Vec::new();
    for measured in &bench.last().cases {
        let name = &measured.case.name;
        // A packet costs the floor the same whether its flow is new or not.
        let floor_case = match NEW.iter().position(|new| new == name) {
            Some(0) => "UDP, 1 024 flows",
            Some(_) => "TCP, 1 024 flows",
            None => name,
        };
        let Some(floor) = bench.summary(floor_case, FLOOR) else {
            continue;
        };
        for series in measured
            .series
            .iter()
            .filter(|one| ![FLOOR, "generator"].contains(&one.contender.as_str()))
        {
            if let Some(whole) = bench.summary(name, &series.contender) {
                net.push((
                    name.clone(),
                    series.contender.clone(),
                    whole.median - floor.median,
                ));
            }
        }
    }
    net
}

fn judge(bench: &mut Bench, _flows: &[u32]) {
    for contender in ["Weir XDP", "Weir TC"] {
        if !bench.takes_part(contender) {
            continue;
        }
        for (cases, share) in [
            (
                &[
                    "UDP, 1 flow",
                    "UDP, 1 024 flows",
                    "TCP, 1 flow",
                    "TCP, 1 024 flows",
                ][..],
                1.0 / 10.0,
            ),
            (&NEW[..], 1.0 / 3.0),
        ] {
            for case in cases {
                let ratio = bench.ratio(&format!("net of the floor: {case}"), contender, "IPVS");
                bench.target(
                    format!("{contender}, net of the floor, of IPVS's: {case}"),
                    Goal::AtMost(share),
                    "x",
                    ratio.map(|ratio| ratio.median),
                );
            }
        }
    }
}
