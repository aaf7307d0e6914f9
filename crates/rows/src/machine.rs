//! The state tables of IPVS as rows hold them: what a packet makes of every state, and for how long.

use weir_abi::connection::NO_OUTPUT;

use crate::cases::{client_sends, comes_back, from_client, from_server, goes_on, server_sends};
use crate::network::Family;
use crate::packet::Transport;
use crate::row::Step;

/// Which of a protocol's tables.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// From the client.
    Request,
    /// From the real server.
    Reply,
    /// From the client, where the real server's packets do not come by.
    OnlyRequests,
}

/// A protocol's states.
pub struct Machine {
    /// Two letters each, in the order of the kernel's numbers.
    pub states: &'static str,
    /// How long each lasts, in seconds.
    pub timeouts: &'static [u32],
}

impl Machine {
    /// The kernel's number of a state.
    pub fn number(&self, state: &str) -> u8 {
        let mut states = self.states.split(' ');
        states.position(|name| name == state).expect("a state") as u8
    }

    /// How long a state lasts.
    pub fn seconds(&self, state: u8) -> i64 {
        i64::from(self.timeouts[usize::from(state)])
    }

    /// From every state by such a packet; `next` has what follows each.
    pub fn transitions<'a>(
        &'a self,
        family: Family,
        way: Way,
        transport: Transport,
        next: &'a str,
    ) -> impl Iterator<Item = Step> + 'a {
        let pairs = self.states.split(' ').zip(next.split(' '));
        pairs.flat_map(move |(from, to)| {
            self.transition(family, way, transport, self.number(from), self.number(to))
        })
    }

    /// From one state to another.
    pub fn transition(
        &self,
        family: Family,
        way: Way,
        transport: Transport,
        from: u8,
        to: u8,
    ) -> [Step; 2] {
        let seconds = self.seconds(to);
        let (unseen, arrival) = match way {
            Way::Request | Way::OnlyRequests => {
                let packet = from_client(family, 1, transport);
                let server = family.server(1, 8080);
                let unseen = match way {
                    Way::Request | Way::Reply => 0,
                    Way::OnlyRequests => NO_OUTPUT,
                };
                let expected = goes_on(&packet, server, to, seconds);
                (unseen, client_sends(&packet, expected))
            }
            Way::Reply => {
                let packet = from_server(family, 1, transport);
                (0, server_sends(&packet, comes_back(&packet, to, seconds)))
            }
        };
        [Step::Find(family, from, unseen), arrival]
    }
}
