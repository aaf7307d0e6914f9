//! What runs rows: the host's memory, or the kernel.

use std::collections::BTreeMap;

use weir_abi::call::CallKey;
use weir_abi::check::{CheckKey, Checked};
use weir_abi::connection::{Connection4, Connection6, Word};
use weir_abi::counters::Counters;
use weir_abi::flow_table::FlowBucket;
use weir_abi::fragment::AddressKey;
use weir_abi::hash_table::BucketPage;
use weir_abi::keys::{ServerKey, ServiceKey};
use weir_abi::pool::PoolAddress;
use weir_abi::reason::Reason;
use weir_abi::service::{Destination, Service};
use weir_abi::settings::Settings;
use weir_abi::tick::{Tick, Ticks};

use crate::network::Link;

/// Which hook takes the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// XDP.
    Xdp,
    /// TC, behind nothing.
    Tc,
}

/// How many steps the timer takes to look at every connection.
pub const TIMER_ROUND: u32 = weir_forward::reap::STEPS;

/// What became of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What was counted; nothing where XDP leaves to TC what TC counts.
    pub reason: Option<Reason>,
    /// The frame as it lies after.
    pub frame: Vec<u8>,
    /// What was counted beside that, for fragments that had waited: how often.
    pub others: BTreeMap<Reason, u64>,
    /// The frames that have gone round again, as they lie after, where somebody sees them.
    pub round: Option<Vec<Vec<u8>>>,
    /// The frames that were sent before it, where somebody sees them.
    pub copies: Option<Vec<Vec<u8>>>,
}

/// Tables, and a way to give them a packet.
pub trait Bench {
    /// Which hook it is.
    fn hook(&self) -> Hook;
    /// The director's settings.
    fn settings(&self) -> &Settings;
    /// All slots for services.
    fn services(&self) -> &[Service];
    /// All slots for real servers.
    fn destinations(&self) -> &[Destination];
    /// Lets packets find a service.
    fn put_service(&mut self, key: ServiceKey, slot: u32);
    /// The Call-ID of a call's template.
    fn call_id(&self, key: CallKey) -> Option<Vec<u8>>;
    /// What a real server has counted.
    fn counters(&self, slot: u32) -> Counters;
    /// All slots of IPv4.
    fn connections4(&self) -> &[Connection4];
    /// All slots of IPv6.
    fn connections6(&self) -> &[Connection6];
    /// The flow table of IPv4.
    fn flows4(&self) -> &[FlowBucket];
    /// The flow table of IPv6.
    fn flows6(&self) -> &[FlowBucket];
    /// Now.
    fn now(&self) -> Tick;
    /// The pages of the hashing schedulers' tables.
    fn bucket_pages(&self) -> &[BucketPage];
    /// Lets fragments to and from an address wait for each other.
    fn put_address(&mut self, address: AddressKey);
    /// Lets a real server be known by what it sends.
    fn put_server(&mut self, key: ServerKey, slot: u32);
    /// Lets replies to a check be recognised.
    fn put_check(&mut self, key: CheckKey, server: Checked);
    /// The services' own addresses (FULLNAT).
    fn pools(&self) -> &[PoolAddress];
    /// Lets the timer that ends connections look at every slot once.
    fn reap(&mut self);

    /// Lets so many seconds go by for all connections.
    fn pass(&self, seconds: u32) {
        if seconds != 0 {
            self.shift(Ticks::from_seconds(seconds).0.wrapping_neg());
        }
    }

    /// Moves the end of all connections by so many ticks, wrapping.
    fn shift(&self, ticks: u32) {
        let words4 = self.connections4().iter().map(|record| &record.word);
        let words6 = self.connections6().iter().map(|record| &record.word);
        for cell in words4.chain(words6) {
            let old = Word(cell.load());
            if !old.is_live() {
                continue;
            }
            let expires = old.expires().after(Ticks(ticks));
            let new = Word::new(expires, old.state(), old.flags(), old.generation());
            // Otherwise the kernel's timer has just ended it.
            let _ = cell.replace(old.0, new.0);
        }
    }

    /// Runs a frame that comes in by a link.
    fn run(&mut self, link: Link, frame: &[u8]) -> Verdict;
}
