//! What is played for a cell: commands and packets in turns.
//!
//! Cells are played together: in each turn first all their commands are given at once, then each sends its packets. So a
//! few programs are started for a hundred cells. Cells differ in ports, and do not see each other.

mod balance;
mod connection;
mod icmp;
mod lifetime;
mod selection;
mod sizes;

pub use connection::{Connection, Kind};

use crate::cell::{Cell, Feature, Method, Protocol, Scheduler};
use crate::director::{self, GUE_PORT, SERVERS, Side, VIRTUAL_ADDRESSES};
use crate::listing;
use crate::packet::Header;
use crate::random::Random;
use crate::read;
use crate::stage::{Look, Stage};
use anyhow::Result;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How one cell goes on.
pub struct Play {
    /// The cell.
    pub cell: Cell,
    /// Where what it does by chance comes from.
    pub random: Random,
    /// Its virtual address.
    pub address: IpAddr,
    /// The first of its four ports.
    pub port: u16,
    /// Its firewall mark.
    pub mark: u32,
    /// The real servers' port.
    pub server_port: u16,
    /// Connections that were begun.
    pub connections: Vec<Connection>,
    client_port: u16,
}

/// A feature: its commands and its packets by turn.
pub struct Script {
    /// How many turns there are.
    pub turns: usize,
    /// The commands at the beginning of a turn, as ipvsadm reads them.
    pub commands: fn(&mut Play, usize) -> Vec<String>,
    /// The packets that follow.
    pub packets: fn(&mut Play, usize, &mut Stage) -> Result<()>,
    /// Seconds that pass after each turn, at most as many as there are turns; connections are compared then.
    pub pauses: &'static [u64],
    /// Timeouts of TCP, TCP's FIN and UDP; the usual ones if there are none.
    pub timeouts: Option<[u32; 3]>,
}

/// The timeouts of features that are not about timeouts: short, so that tables become empty.
pub const USUAL_TIMEOUTS: [u32; 3] = [100, 20, 60];

/// What is played for a feature; nothing if it is not written yet.
pub fn script(feature: Feature) -> Option<Script> {
    match feature {
        Feature::Balance => Some(balance::BALANCE),
        Feature::States => Some(lifetime::STATES),
        Feature::Edit => Some(balance::EDIT),
        Feature::Quiesce => Some(balance::QUIESCE),
        Feature::Thresholds => Some(selection::THRESHOLDS),
        Feature::Persistent => Some(selection::PERSISTENT),
        Feature::Netmask => Some(selection::NETMASK),
        Feature::PortZero => Some(selection::PORT_ZERO),
        Feature::Mark => Some(selection::MARK),
        Feature::MarkPersistent => Some(selection::MARK_PERSISTENT),
        Feature::OnePacket => Some(selection::ONE_PACKET),
        Feature::Timeouts => Some(lifetime::TIMEOUTS),
        Feature::NoServer => Some(selection::NO_SERVER),
        Feature::Reuse => Some(lifetime::REUSE),
        Feature::Ttl => Some(sizes::TTL),
        Feature::Mtu => Some(sizes::MTU),
        Feature::IcmpToServer => Some(icmp::TO_SERVER),
        Feature::IcmpToClient => Some(icmp::TO_CLIENT),
        Feature::Fragments => Some(sizes::FRAGMENTS),
        Feature::TunnelChecksum | Feature::TunnelRemoteChecksum => Some(balance::BALANCE),
        Feature::Local => Some(selection::LOCAL),
    }
}

impl Play {
    /// The beginning of a cell, whose number among all tells its ports and mark.
    pub fn new(cell: Cell, number: u16, seed: u64) -> Play {
        let mut random = Random::new(seed, &cell.to_string());
        let v6 = cell.transport.family.outside_v6();
        let port = 1000 + 4 * number;
        // A service for all ports needs an address for itself.
        let address = if cell.feature == Feature::PortZero {
            match director::virtual_address(v6, 0) {
                IpAddr::V4(four) => {
                    IpAddr::V4((u32::from(four) + 100 + u32::from(number % 128)).into())
                }
                IpAddr::V6(six) => {
                    IpAddr::V6((u128::from(six) + 0x1000 + u128::from(number)).into())
                }
            }
        } else {
            director::virtual_address(
                v6,
                1 + u8::try_from(random.below(VIRTUAL_ADDRESSES.into())).unwrap_or(0),
            )
        };
        let server_port = match cell.transport.method {
            Method::Nat if random.once_in(2) => 8080,
            Method::Nat | Method::Dr | Method::Ipip | Method::Gue | Method::Gre => port,
        };
        Play {
            cell,
            address,
            port,
            mark: u32::from(number) + 1,
            server_port,
            connections: Vec::new(),
            client_port: random.between(20_000, 60_000),
            random,
        }
    }

    /// What is looked at in its packets.
    pub fn look(&self) -> Look {
        match (self.cell.scheduler, self.cell.feature) {
            (Scheduler::Twos, Feature::Local) => return Look::Answers,
            (Scheduler::Twos, _) => return Look::Openings,
            _other => {}
        }
        if matches!(self.cell.feature, Feature::Fragments | Feature::Mtu) {
            Look::Whole
        } else {
            Look::Bytes
        }
    }

    /// Whether listings can be compared: not if who gets what is random.
    pub fn is_certain(&self) -> bool {
        self.cell.scheduler != Scheduler::Twos
    }

    /// Whether the client speaks IPv6.
    pub fn v6(&self) -> bool {
        self.cell.transport.family.outside_v6()
    }

    /// A virtual service's address and port.
    pub fn virtual_end(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// A client that was not there before.
    pub fn new_client(&mut self) -> SocketAddr {
        self.client_port += 1;
        let number = 1 + u8::try_from(self.random.below(60)).unwrap_or(0);
        SocketAddr::new(director::client(self.v6(), number), self.client_port)
    }

    /// The words that name the service.
    pub fn service(&self) -> String {
        if self.cell.feature.is_mark() {
            return format!("-f {}{}", self.mark, if self.v6() { " -6" } else { "" });
        }
        if self.cell.feature == Feature::PortZero {
            return self.service_at(SocketAddr::new(self.address, 0));
        }
        self.service_at(self.virtual_end())
    }

    /// The words that name a service at an address and port.
    pub fn service_at(&self, end: SocketAddr) -> String {
        let option = match self.cell.transport.protocol {
            Protocol::Tcp => "-t",
            Protocol::Udp => "-u",
            Protocol::Sctp => "--sctp-service",
        };
        format!("{option} {end}")
    }

    /// The words that name the scheduler.
    pub fn scheduler(&self) -> String {
        let name = self.cell.scheduler.name();
        match name.split_once('-') {
            Some((scheduler, _)) => format!("-s {scheduler} -b {name}"),
            None => format!("-s {name}"),
        }
    }

    /// The command that adds the service.
    pub fn add_service(&self, more: &str) -> String {
        format!("-A {} {} {more}", self.service(), self.scheduler())
    }

    /// The words that name a real server.
    pub fn server(&self, number: u8) -> String {
        let address = director::server(self.cell.transport.family.server_v6(), number);
        // A service for many ports leaves them as they are.
        let many = self.cell.feature.is_mark() || self.cell.feature == Feature::PortZero;
        let port = if many { 0 } else { self.server_port };
        format!("-r {}", SocketAddr::new(address, port))
    }

    /// The words that name the forwarding method.
    pub fn method(&self) -> String {
        let mut words = match self.cell.transport.method {
            Method::Nat => "-m".to_owned(),
            Method::Dr => "-g".to_owned(),
            Method::Ipip => "-i".to_owned(),
            Method::Gue => format!("-i --tun-type gue --tun-port {GUE_PORT}"),
            Method::Gre => "-i --tun-type gre".to_owned(),
        };
        if self.cell.feature == Feature::TunnelChecksum {
            words += " --tun-csum";
        }
        if self.cell.feature == Feature::TunnelRemoteChecksum {
            words += " --tun-remcsum";
        }
        words
    }

    /// The command that adds a real server.
    pub fn add_server(&self, number: u8, weight: u16) -> String {
        self.with_server("-a", number, &format!("-w {weight}"))
    }

    /// The command that gives a real server another weight.
    pub fn edit_server(&self, number: u8, weight: u16) -> String {
        self.with_server("-e", number, &format!("-w {weight}"))
    }

    /// The command that deletes a real server.
    pub fn delete_server(&self, number: u8) -> String {
        format!("-d {} {}", self.service(), self.server(number))
    }

    /// A command about a real server, with its method.
    pub fn with_server(&self, command: &str, number: u8, more: &str) -> String {
        format!(
            "{command} {} {} {} {more}",
            self.service(),
            self.server(number),
            self.method()
        )
    }

    /// The service and so many real servers with weights from one to four.
    pub fn add_all(&mut self, servers: u8, more: &str) -> Vec<String> {
        let mut lines = vec![self.add_service(more)];
        for number in 0..servers {
            let weight = self.random.one(&[1, 1, 2, 3, 4]);
            lines.push(self.add_server(number, weight));
        }
        lines
    }

    /// Whether a service of a listing, such as `TCP 192.0.2.1:1000`, is this cell's.
    pub fn owns_service(&self, key: &str) -> bool {
        match key.split_once(' ') {
            Some(("FWM", mark)) => mark.parse() == Ok(self.mark),
            Some((_, end)) => end.parse().is_ok_and(|end: SocketAddr| self.owns(end)),
            None => false,
        }
    }

    /// Whether a connection of a listing is this cell's.
    pub fn owns_connection(&self, connection: &listing::Connection) -> bool {
        connection.virtual_end.is_some_and(|end| self.owns(end))
    }

    fn owns(&self, end: SocketAddr) -> bool {
        let ports = self.port..self.port + 4;
        end.ip() == listing::mark_address(self.mark, self.v6())
            || ports.contains(&end.port())
            || (end.port() == 0 && end.ip() == self.address)
    }

    /// What an IP header of this cell says.
    pub fn header(&mut self) -> Header {
        Header {
            ttl: self.random.one(&[64, 64, 255, 128]),
            tos: self.random.one(&[0, 0, 0x10, 0xb8]),
            id: self.random.between(1, u16::MAX),
            dont_fragment: true,
        }
    }

    /// Begins a connection from a client that was not there before.
    pub fn begin(&mut self, stage: &mut Stage) -> Result<()> {
        let client = self.new_client();
        let to = self.virtual_end();
        self.begin_between(client, to, stage)
    }

    /// Begins a connection, and remembers which real server IPVS gave it.
    pub fn begin_between(
        &mut self,
        client: SocketAddr,
        to: SocketAddr,
        stage: &mut Stage,
    ) -> Result<()> {
        let mut connection = Connection::new(client, to);
        let packet = connection.from_client(self, Kind::Open);
        let [_, servers] = stage.send("opening", Side::Clients, &[packet])?;
        connection.server = servers.first().and_then(|seen| self.server_in(seen));
        self.connections.push(connection);
        Ok(())
    }

    /// Begins several connections.
    pub fn begin_several(&mut self, count: usize, stage: &mut Stage) -> Result<()> {
        for _ in 0..count {
            self.begin(stage)?;
        }
        Ok(())
    }

    /// Sends the next packet of a connection from its client.
    pub fn client_says(&mut self, index: usize, kind: Kind, stage: &mut Stage) -> Result<()> {
        let Some(connection) = self.connections.get(index).copied() else {
            return Ok(());
        };
        let packet = connection.from_client(self, kind);
        let [_, servers] = stage.send(kind.about(), Side::Clients, &[packet])?;
        if kind.opens(self.cell.transport.protocol) {
            // It may have got another real server. IPVS ends the connection that it took the place of by its timer, a tick
            // later; until then that one's real server is still answered for.
            std::thread::sleep(TICK);
            if let Some(server) = servers.first().and_then(|seen| self.server_in(seen)) {
                self.connections[index].server = Some(server);
            }
        }
        Ok(())
    }

    /// Sends the next packet of a connection from its real server, where such pass the director.
    pub fn server_says(&mut self, index: usize, kind: Kind, stage: &mut Stage) -> Result<()> {
        let Some(connection) = self.connections.get(index).copied() else {
            return Ok(());
        };
        if let (Method::Nat, Some(packet)) = (
            self.cell.transport.method,
            connection.from_server(self, kind),
        ) {
            stage.send(kind.about(), Side::Servers, &[packet])?;
        }
        Ok(())
    }

    /// Answers the opening, and confirms the answer.
    pub fn establish(&mut self, index: usize, stage: &mut Stage) -> Result<()> {
        self.server_says(index, Kind::Accept, stage)?;
        self.client_says(index, Kind::Confirm, stage)?;
        self.server_says(index, Kind::Confirmed, stage)
    }

    fn server_in(&self, seen: &read::Seen) -> Option<SocketAddr> {
        let ip = read::ip(&seen.packet)?;
        match self.cell.transport.method {
            Method::Nat => read::ends(&seen.packet).map(|(_, to)| to),
            Method::Dr => {
                director::server_of(seen.hop).map(|address| SocketAddr::new(address, self.port))
            }
            Method::Ipip | Method::Gue | Method::Gre => {
                Some(SocketAddr::new(ip.destination, self.port))
            }
        }
    }
}

/// More than a tick of any kernel.
const TICK: Duration = Duration::from_millis(12);

/// The number of the first real server whose way has a smaller MTU.
pub const NARROW_SERVER: u8 = SERVERS - 2;
