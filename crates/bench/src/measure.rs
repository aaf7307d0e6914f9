//! What a packet costs: every contender, every kind of traffic, every number of flows.

use crate::contender::Contender;
use crate::flows::{Clients, Flows};
use crate::frames::{Kind, Protocol, Side, VIRTUAL, real_server};
use crate::generator::{Generator, Outcome};
use crate::priority::InFront;
use crate::say;
use crate::service::Service;
use crate::topology::Topology;
use anyhow::{Result, bail};
use std::path::PathBuf;

/// Packets that go before those that are measured.
const WARM_UP: u32 = 2_048;

/// Kinds of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Traffic {
    /// Clients' packets of established UDP flows.
    Udp,
    /// Clients' data of established TCP connections.
    Tcp,
    /// Real servers' packets of established UDP flows.
    UdpReplies,
    /// Real servers' data of established TCP connections.
    TcpReplies,
    /// Every packet the first of a UDP flow.
    UdpNew,
    /// Every packet a SYN of a new connection.
    TcpNew,
}

impl Traffic {
    fn protocol(self) -> Protocol {
        match self {
            Traffic::Udp | Traffic::UdpReplies | Traffic::UdpNew => Protocol::Udp,
            Traffic::Tcp | Traffic::TcpReplies | Traffic::TcpNew => Protocol::Tcp,
        }
    }

    /// Who sends what, on flows that are there already; nothing for those that are not.
    fn established(self) -> Option<(Side, Kind)> {
        match self {
            Traffic::Udp => Some((Side::Clients, Kind::Udp)),
            Traffic::Tcp => Some((Side::Clients, Kind::Data)),
            Traffic::UdpReplies => Some((Side::Servers, Kind::Udp)),
            Traffic::TcpReplies => Some((Side::Servers, Kind::Data)),
            Traffic::UdpNew | Traffic::TcpNew => None,
        }
    }
}

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// The object of `ebpf/bench`.
    #[arg(long)]
    programs: PathBuf,
    /// The `weir` to measure.
    #[arg(long)]
    weir: PathBuf,
    /// Who, by comma.
    #[arg(long, value_delimiter = ',', required = true)]
    contenders: Vec<Contender>,
    /// What, by comma.
    #[arg(long, value_delimiter = ',', required = true)]
    traffic: Vec<Traffic>,
    /// Numbers of flows, by comma.
    #[arg(long, value_delimiter = ',', default_values_t = [1])]
    flows: Vec<u32>,
    /// Packets of each figure.
    #[arg(long, default_value_t = 65_536)]
    packets: u32,
    /// How many figures of each.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// The service's scheduler.
    #[arg(long, default_value = "rr")]
    scheduler: String,
    /// How many real servers it has.
    #[arg(long, default_value_t = 4)]
    servers: u32,
    /// UDP flows that are in the tables before anything is measured.
    #[arg(long, default_value_t = 0)]
    filled: u32,
    /// Send with real-time priority, in front of other programs.
    #[arg(long)]
    in_front: bool,
    /// Say what was lost instead of refusing the figure: what counts then is what came out.
    #[arg(long)]
    lossy: bool,
}

/// Measures all of it.
pub fn run(arguments: &Arguments) -> Result<()> {
    for contender in &arguments.contenders {
        say::progress(contender.name());
        measure(arguments, *contender)?;
    }
    Ok(())
}

fn measure(arguments: &Arguments, contender: Contender) -> Result<()> {
    let most = arguments.flows.iter().copied().max().unwrap_or(1);
    let topology = Topology::with_servers(arguments.servers)?;
    let mut generator = Generator::new(
        &arguments.programs,
        &topology,
        most.max(arguments.filled).max(1),
    )?;
    // Groups of flows add up: two protocols, each number of flows, and those that are new each time.
    let new = if arguments
        .traffic
        .iter()
        .any(|one| one.established().is_none())
    {
        arguments.rounds * arguments.packets + WARM_UP
    } else {
        0
    };
    let all = arguments.flows.iter().sum::<u32>() + new;
    let room = (2 * all).next_power_of_two() + arguments.filled;
    let service = Service {
        scheduler: arguments.scheduler.clone(),
        servers: arguments.servers,
    };
    let weir = &arguments.weir;
    let _running = contender.set_up(&topology, &mut generator, weir, room, &service)?;
    let mut bench = Bench {
        topology,
        generator,
        contender,
        clients: Clients::new(),
        lossy: arguments.lossy,
        packets: arguments.packets,
        rounds: arguments.rounds,
        servers: arguments.servers,
    };
    let _in_front = arguments.in_front.then(InFront::new).transpose()?;
    if arguments.filled > 0 && contender.remembers() {
        let flows = bench.clients.take(arguments.filled);
        bench.establish(Protocol::Udp, flows)?;
    }
    for protocol in [Protocol::Udp, Protocol::Tcp] {
        let traffic = arguments
            .traffic
            .iter()
            .filter(|one| one.protocol() == protocol);
        let established: Vec<_> = traffic
            .clone()
            .filter_map(|one| one.established())
            .collect();
        if !established.is_empty() {
            for count in &arguments.flows {
                bench.established(protocol, *count, &established)?;
            }
        }
        if traffic.clone().any(|one| one.established().is_none()) {
            bench.new_flows(protocol)?;
        }
    }
    Ok(())
}

struct Bench {
    topology: Topology,
    generator: Generator,
    contender: Contender,
    clients: Clients,
    lossy: bool,
    packets: u32,
    rounds: u32,
    servers: u32,
}

impl Bench {
    /// Establishes so many flows and sends on them.
    fn established(
        &mut self,
        protocol: Protocol,
        count: u32,
        traffic: &[(Side, Kind)],
    ) -> Result<()> {
        let flows = self.clients.take(count);
        self.establish(protocol, flows)?;
        for (side, kind) in traffic {
            if self.contender == Contender::Generator && *side == Side::Servers {
                continue;
            }
            let replies = match side {
                Side::Clients => "",
                Side::Servers => " replies",
            };
            let case = format!("{}{replies}, {}", protocol.name(), flows_text(count));
            self.generator
                .send(&self.topology, *side, *kind, flows, WARM_UP)?;
            for _ in 0..self.rounds {
                let outcome =
                    self.generator
                        .send(&self.topology, *side, *kind, flows, self.packets)?;
                self.say(&case, outcome);
            }
        }
        Ok(())
    }

    fn establish(&mut self, protocol: Protocol, flows: Flows) -> Result<()> {
        let steps: &[(Side, Kind)] = match protocol {
            Protocol::Udp => &[(Side::Clients, Kind::Udp)],
            Protocol::Tcp if self.contender == Contender::Generator => &[],
            Protocol::Tcp => &[
                (Side::Clients, Kind::Syn),
                (Side::Servers, Kind::SynAck),
                (Side::Clients, Kind::Ack),
            ],
        };
        for (number, (side, kind)) in steps.iter().enumerate() {
            let outcome = self
                .generator
                .send_once(&self.topology, *side, *kind, flows, |_| {})?;
            if outcome.arrived != outcome.sent {
                bail!(
                    "{}: {} of {} flows could not be established: of {kind:?} only {} came out",
                    self.contender.name(),
                    outcome.sent - outcome.arrived,
                    outcome.sent,
                    outcome.arrived
                );
            }
            if number == 0 && self.contender.remembers() {
                self.check_assigned(flows)?;
            }
        }
        Ok(())
    }

    /// Each real server got its share, or packets went elsewhere.
    fn check_assigned(&self, flows: Flows) -> Result<()> {
        let mut shares = vec![0_u32; self.servers as usize];
        for server in self.generator.assigned(flows)? {
            let server = std::net::Ipv4Addr::from(server.to_ne_bytes());
            match (0..self.servers).find(|number| real_server(*number) == server) {
                Some(number) => shares[number as usize] += 1,
                None => bail!(
                    "{}: a packet for {VIRTUAL} came out for {server}",
                    self.contender.name()
                ),
            }
        }
        let (least, most) = (shares.iter().min(), shares.iter().max());
        if let (Some(least), Some(most)) = (least, most)
            && most - least > 1 + flows.count / 64
        {
            bail!(
                "{}: the real servers got {shares:?} flows",
                self.contender.name()
            );
        }
        Ok(())
    }

    /// Sends packets that are all the first of their flow.
    fn new_flows(&mut self, protocol: Protocol) -> Result<()> {
        if !self.contender.remembers() {
            // Every packet is like any other.
            return Ok(());
        }
        let kind = match protocol {
            Protocol::Udp => Kind::Udp,
            Protocol::Tcp => Kind::Syn,
        };
        let warm_up = self.clients.take(WARM_UP);
        self.generator
            .send(&self.topology, Side::Clients, kind, warm_up, WARM_UP)?;
        for _ in 0..self.rounds {
            let flows = self.clients.take(self.packets);
            let outcome =
                self.generator
                    .send(&self.topology, Side::Clients, kind, flows, self.packets)?;
            self.say(
                &format!("{}, every packet a new connection", protocol.name()),
                outcome,
            );
        }
        Ok(())
    }

    fn say(&self, case: &str, outcome: Outcome) {
        let contender = self.contender.name();
        if outcome.arrived == 0 || (outcome.arrived != outcome.sent && !self.lossy) {
            let reason = format!("{} of {} packets arrived", outcome.arrived, outcome.sent);
            say::refused(case, contender, &reason);
            return;
        }
        if outcome.arrived != outcome.sent {
            let percent = 100.0 * (1.0 - outcome.arrived as f64 / outcome.sent as f64);
            say::progress(&format!("{contender}, {case}: {percent:.1} % were lost"));
        }
        say::sample(
            case,
            contender,
            outcome.took.as_nanos() as f64 / outcome.arrived as f64,
        );
    }
}

/// A number of flows for people, thousands set apart.
fn flows_text(count: u32) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text + if count == 1 { " flow" } else { " flows" }
}

#[cfg(test)]
mod tests {
    use super::flows_text;

    #[test]
    fn thousands_are_set_apart() {
        for (count, text) in [
            (1, "1 flow"),
            (1_024, "1 024 flows"),
            (262_144, "262 144 flows"),
            (4_000_000, "4 000 000 flows"),
        ] {
            assert_eq!(flows_text(count), text);
        }
    }
}
