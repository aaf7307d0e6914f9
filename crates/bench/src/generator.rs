//! The programs of `ebpf/bench`, loaded and attached: the generator and the sinks at both ends.

use crate::flows::Flows;
use crate::frames::{self, Kind, Side, Template};
use crate::orders::{FRAME, Hop, Orders};
use crate::topology::{CLIENTS_END, CLIENTS_SIDE, SERVERS_END, SERVERS_SIDE, Topology};
use anyhow::{Context, Result, bail};
use aya::maps::{Array, PerCpuArray};
use aya::programs::links::FdLink;
use aya::programs::{
    SchedClassifier, TcAttachType, TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode,
};
use aya::{Ebpf, EbpfLoader};
use std::path::Path;
use std::time::{Duration, Instant};
use weir_lab::Namespace;

// SAFETY: plain numbers without padding.
unsafe impl aya::Pod for Orders {}
// SAFETY: as above.
unsafe impl aya::Pod for Hop {}

/// Packets that go at once; a veth's ring holds 256.
pub const BATCH: u32 = 64;
/// Packets between two looks at what came out, where none may be lost.
const MOST_AT_ONCE: u32 = 4_096;

/// What the generator needs to know.
pub fn orders(template: &Template, side: Side, kind: Kind, interface: u32, flows: Flows) -> Orders {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(template.bytes.chunks(8)) {
        let mut whole = [0; 8];
        whole[..bytes.len()].copy_from_slice(bytes);
        *word = u64::from_ne_bytes(whole);
    }
    Orders {
        template: words,
        network_sum: template.network_sum,
        transport_sum: template.transport_sum,
        checksum_at: kind.protocol().checksum_at() as u32,
        reply: u32::from(side == Side::Servers),
        interface,
        first_client: flows.first_client,
        flows: flows.count,
        step: flows.step(),
        next: 0,
        reserved: 0,
    }
}

/// What became of packets that were sent.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// How many were sent.
    pub sent: u64,
    /// How many came out.
    pub arrived: u64,
    /// From the first to the last.
    pub took: Duration,
}

/// The generator, and the sinks at both ends of a network.
pub struct Generator {
    programs: Ebpf,
    sink: Option<FdLink>,
    interfaces: [u32; 2],
}

impl Generator {
    /// Loads the programs and attaches the sinks. `flows` is the largest group whose real servers are to be known.
    pub fn new(object: &Path, topology: &Topology, flows: u32) -> Result<Generator> {
        let bytes =
            std::fs::read(object).with_context(|| format!("cannot read {}", object.display()))?;
        let programs = EbpfLoader::new()
            .map_max_entries("assigned", flows)
            .load(&bytes)
            .context("the bench's programs do not load")?;
        let interfaces = [
            topology.interface(&topology.clients, CLIENTS_END)?,
            topology.interface(&topology.servers, SERVERS_END)?,
        ];
        let mut generator = Generator {
            programs,
            sink: None,
            interfaces,
        };
        for name in [
            "generate",
            "redirect",
            "count_requests",
            "count_replies",
            "learn",
        ] {
            generator.program(name)?.load()?;
        }
        let program = generator.programs.program_mut("redirect_tc");
        <&mut SchedClassifier>::try_from(program.context("no program")?)?.load()?;
        generator.attach(&topology.clients, CLIENTS_END, "count_replies")?;
        // Each test run of a program that is attached nowhere waits twice for all processors (`bpf_dispatcher_update`),
        // some scheduler ticks long, which would count as packets' time. Nothing ever comes in by this loopback.
        let program = generator.program("generate")?;
        topology
            .clients
            .enter(|| program.attach("lo", XdpMode::Skb))??;
        generator.swap_sink(topology, "learn")?;
        Ok(generator)
    }

    /// Makes the director a floor, with XDP or with TC: frames are redirected from each of its interfaces to the other.
    pub fn redirect(&mut self, topology: &Topology, with_xdp: bool) -> Result<()> {
        let director = &topology.director;
        let (clients, servers) = (
            topology.interface(director, CLIENTS_SIDE)?,
            topology.interface(director, SERVERS_SIDE)?,
        );
        let mut hops: Array<_, Hop> = self
            .programs
            .map_mut("hops")
            .context("no hops")?
            .try_into()?;
        for (from, to, macs) in [
            (
                clients,
                servers,
                [frames::SERVERS_FAR, frames::SERVERS_NEAR],
            ),
            (
                servers,
                clients,
                [frames::CLIENTS_FAR, frames::CLIENTS_NEAR],
            ),
        ] {
            let bytes = macs.as_flattened();
            let word = |at: usize| {
                u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            };
            let hop = Hop {
                macs: [word(0), word(4), word(8)],
                interface: to,
            };
            hops.set(from, hop, 0)?;
        }
        for interface in [CLIENTS_SIDE, SERVERS_SIDE] {
            if with_xdp {
                self.attach(director, interface, "redirect")?;
            } else {
                self.attach_tc(director, interface)?;
            }
        }
        Ok(())
    }

    fn attach_tc(&mut self, director: &Namespace, interface: &str) -> Result<()> {
        let program = self.programs.program_mut("redirect_tc");
        let program: &mut SchedClassifier = program.context("no program")?.try_into()?;
        director
            .enter(|| program.attach(interface, TcAttachType::Ingress))?
            .with_context(|| format!("cannot attach redirect_tc to {interface}"))?;
        Ok(())
    }

    /// Makes the director the end: what clients send is dropped there.
    pub fn drop_at_director(&mut self, topology: &Topology) -> Result<()> {
        self.attach(&topology.director, CLIENTS_SIDE, "count_requests")
    }

    /// Sends one packet on each of `flows`, none of which may be lost, and learns which real server each gets; calls
    /// `progress` with how many there are, now and then.
    pub fn send_once(
        &mut self,
        topology: &Topology,
        side: Side,
        kind: Kind,
        flows: Flows,
        mut progress: impl FnMut(u32),
    ) -> Result<Outcome> {
        if side == Side::Clients {
            self.swap_sink(topology, "learn")?;
        }
        let begin = Instant::now();
        let (mut sent, mut next, mut stretch) = (0, 0, MOST_AT_ONCE);
        while sent < flows.count {
            let now = stretch.min(flows.count - sent);
            self.order(side, kind, flows, next)?;
            let before = self.arrived(side)?;
            self.fire(topology, side, now)?;
            let expected = before + u64::from(now);
            if self.wait_for(side, expected)?.0 == expected {
                sent += now;
                next = flows.after(next, now);
                progress(sent);
            } else if stretch > BATCH {
                // Too many at once for a ring on the way: the same again, fewer.
                stretch = BATCH;
            } else {
                break;
            }
        }
        let outcome = Outcome {
            sent: u64::from(flows.count),
            arrived: u64::from(sent),
            took: begin.elapsed(),
        };
        self.swap_sink(topology, "count_requests")?;
        Ok(outcome)
    }

    /// Sends so many packets, in turn on `flows`, as fast as it goes.
    pub fn send(
        &mut self,
        topology: &Topology,
        side: Side,
        kind: Kind,
        flows: Flows,
        packets: u32,
    ) -> Result<Outcome> {
        self.order(side, kind, flows, 0)?;
        let before = self.arrived(side)?;
        let begin = Instant::now();
        self.fire(topology, side, packets)?;
        let (arrived, last) = self.wait_for(side, before + u64::from(packets))?;
        Ok(Outcome {
            sent: u64::from(packets),
            arrived: arrived - before,
            took: last - begin,
        })
    }

    /// Which real servers the first flows of the group that was learned last got, in their packets' byte order.
    pub fn assigned(&self, flows: Flows) -> Result<Vec<u32>> {
        /// Asking takes a system call each.
        const ENOUGH: u32 = 16_384;
        let map: Array<_, u32> = self
            .programs
            .map("assigned")
            .context("no map")?
            .try_into()?;
        (0..flows.count.min(ENOUGH))
            .map(|flow| Ok(map.get(&flow, 0)?))
            .collect()
    }

    fn order(&mut self, side: Side, kind: Kind, flows: Flows, next: u32) -> Result<()> {
        let interface = match side {
            Side::Clients => self.interfaces[0],
            Side::Servers => self.interfaces[1],
        };
        let template = frames::template(side, kind);
        let orders = Orders {
            next,
            ..orders(&template, side, kind, interface, flows)
        };
        let mut map: Array<_, Orders> = self
            .programs
            .map_mut("orders")
            .context("no map")?
            .try_into()?;
        Ok(map.set(0, orders, 0)?)
    }

    /// Runs the generator for so many packets, at the end of `side`.
    fn fire(&mut self, topology: &Topology, side: Side, packets: u32) -> Result<()> {
        let namespace = match side {
            Side::Clients => &topology.clients,
            Side::Servers => &topology.servers,
        };
        let program = self.program("generate")?;
        let done = namespace.enter(|| {
            let frame = [0; FRAME];
            program.test_run(TestRunOptions {
                data_in: Some(&frame),
                repeat: packets,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH.min(packets)),
                ..TestRunOptions::new()
            })
        })?;
        done.context("the kernel does not run the generator")
            .map(drop)
    }

    /// Waits until so many have come out in all, or no more come. Returns how many, and when the last was seen.
    fn wait_for(&self, side: Side, expected: u64) -> Result<(u64, Instant)> {
        const SILENCE: Duration = Duration::from_millis(200);
        let (mut seen, mut last) = (self.arrived(side)?, Instant::now());
        while seen < expected {
            // Not a yield: what still has to come may wait for this very processor, until the scheduler's next tick.
            std::thread::sleep(Duration::from_micros(10));
            let now = self.arrived(side)?;
            if now != seen {
                (seen, last) = (now, Instant::now());
            } else if last.elapsed() > SILENCE {
                break;
            }
        }
        Ok((seen, last))
    }

    fn arrived(&self, side: Side) -> Result<u64> {
        let at = match side {
            Side::Clients => 0,
            Side::Servers => 1,
        };
        let map: PerCpuArray<_, u64> =
            self.programs.map("arrived").context("no map")?.try_into()?;
        Ok(map.get(&at, 0)?.iter().sum())
    }

    /// Makes `name` the program at the real servers' end.
    fn swap_sink(&mut self, topology: &Topology, name: &'static str) -> Result<()> {
        // One at a time; and with none, the veth stops polling and frames on their way are lost, but none are now.
        self.sink = None;
        let program = self.program(name)?;
        let link = topology
            .servers
            .enter(|| program.attach(SERVERS_END, XdpMode::Driver))??;
        let link = program.take_link(link)?;
        self.sink = Some(link.try_into()?);
        Ok(())
    }

    fn attach(&mut self, namespace: &Namespace, interface: &str, name: &'static str) -> Result<()> {
        let program = self.program(name)?;
        match namespace.enter(|| program.attach(interface, XdpMode::Driver))? {
            Ok(_) => Ok(()),
            Err(error) => bail!("cannot attach {name} to {interface}: {error}"),
        }
    }

    fn program(&mut self, name: &'static str) -> Result<&mut Xdp> {
        let program = self.programs.program_mut(name);
        Ok(program
            .with_context(|| format!("no program {name}"))?
            .try_into()?)
    }
}
