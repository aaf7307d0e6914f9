//! Which clients send: groups of flows that do not overlap.

use crate::frames::CLIENTS;
use crate::orders::PORT_BITS;
use std::net::Ipv4Addr;

/// Flows that are sent on in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flows {
    /// The first client's address, as a number.
    pub first_client: u32,
    /// How many flows.
    pub count: u32,
}

impl Flows {
    /// From one packet's flow to the next one's: a golden section further, so that neighbours in time are far apart in every
    /// table, and every flow comes once before any comes again.
    pub fn step(self) -> u32 {
        if self.count < 3 {
            return self.count - 1;
        }
        let golden = (f64::from(self.count) * 0.618_033_988_75) as u32;
        (golden..self.count)
            .find(|step| greatest_common_divisor(*step, self.count) == 1)
            .unwrap_or(1)
    }

    /// The flow that comes so many packets after `flow`.
    pub fn after(self, flow: u32, packets: u32) -> u32 {
        let far = u64::from(flow) + u64::from(self.step()) * u64::from(packets);
        (far % u64::from(self.count)) as u32
    }
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// Hands out groups of clients, each its own.
pub struct Clients {
    next: u32,
}

impl Clients {
    /// All of them.
    pub fn new() -> Clients {
        Clients {
            next: Ipv4Addr::to_bits(CLIENTS),
        }
    }

    /// So many flows that nobody has had.
    pub fn take(&mut self, count: u32) -> Flows {
        let flows = Flows {
            first_client: self.next,
            count,
        };
        self.next += count.div_ceil(1 << PORT_BITS);
        flows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flow_comes_once_before_any_comes_again() {
        for count in [1, 2, 3, 4, 5, 6, 7, 1024, 1000, 262_144] {
            let flows = Flows {
                first_client: 0,
                count,
            };
            let mut seen = vec![false; count as usize];
            let mut flow = 0;
            for packet in 0..count {
                assert_eq!(flow, flows.after(0, packet));
                assert!(
                    !std::mem::replace(&mut seen[flow as usize], true),
                    "{count}"
                );
                flow += flows.step();
                if flow >= count {
                    flow -= count;
                }
            }
            assert_eq!(flow, 0);
        }
    }

    #[test]
    fn groups_do_not_overlap() {
        let mut clients = Clients::new();
        let (first, second) = (clients.take(32_769), clients.take(1));
        assert_eq!(second.first_client - first.first_client, 2);
    }
}
