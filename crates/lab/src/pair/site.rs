//! A web site behind a pair of directors.

use super::{Keeper, Pair};
use crate::error::Result;
use crate::network::Family;
use crate::nginx::Nginx;
use crate::process::Process;
use crate::short::{Arrival, ShortConnections, ShortReport};
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::Duration;

/// The port of the web site.
pub(super) const WEB: u16 = 80;

/// Two directors, what keeps them, and three real servers with nginx. Declared in the order in which it must end.
#[derive(Debug)]
pub struct PairSite {
    /// What keeps each director.
    pub keepers: Vec<Process>,
    /// What runs on each real server; it can be told to fail.
    pub nginx: Vec<Nginx>,
    /// The network.
    pub pair: Pair,
    keeper: Keeper,
}

impl PairSite {
    /// Starts everything; which director becomes Active takes some seconds.
    pub fn new(keeper: Keeper) -> Result<PairSite> {
        let mut site = PairSite {
            keepers: Vec::new(),
            nginx: Vec::new(),
            pair: Pair::new(3)?,
            keeper,
        };
        for number in 0..site.pair.real_servers.len() {
            site.nginx.push(site.new_nginx(number)?);
        }
        for number in 0..site.pair.directors.len() {
            site.keepers.push(site.pair.start(number, &site.keeper)?);
        }
        Ok(site)
    }

    /// Where the web site is found.
    pub fn address() -> SocketAddr {
        SocketAddr::new(Family::V4.virtual_address(), WEB)
    }

    /// Starts nginx on real server `number`, counted from 0, again.
    pub fn start_nginx(&mut self, number: usize) -> Result<()> {
        self.nginx[number] = self.new_nginx(number)?;
        Ok(())
    }

    /// Starts what keeps director `number`, counted from 0, again.
    pub fn start_keeper(&mut self, number: usize) -> Result<()> {
        self.keepers[number] = self.pair.start(number, &self.keeper)?;
        Ok(())
    }

    /// Lets the client open so many connections in a second, each with one request.
    pub fn load(&self, rate: u32, duration: Duration) -> JoinHandle<Result<ShortReport>> {
        let client = self.pair.client.clone();
        std::thread::spawn(move || {
            let load = ShortConnections {
                servers: &[Self::address()],
                sources: &[Family::V4.client()],
                arrival: Arrival::PerSecond(rate),
                duration,
            };
            load.run(&client)
        })
    }

    fn new_nginx(&self, number: usize) -> Result<Nginx> {
        let server = &self.pair.real_servers[number];
        Nginx::start_to_fail(self.pair.lab(), server, WEB)
    }
}
