//! FULLNAT: towards the real server an address and port of the director's stand for the client's, so that
//! replies find back without a route, and a real server can be a client of its own service.
//!
//! A port is claimed by putting the flow of the replies that will come to it into the flow table, which
//! two processors cannot both do without one of them seeing it. Towards another real server the same port
//! is free.
//!
//! The hand that chooses ports walks round all of them before it comes back to one, so that a port is used
//! again as late as can be. A real server may still keep the connection that had it last in TIME-WAIT, where
//! a SYN is judged by its timestamp if it has one (RFC 6191; RFC 7323, 5.8). Those of two clients have
//! nothing in common, and behind one address they would look like one host whose clock goes back (RFC 7323,
//! appendix B.2, PAWS): so real servers get SYNs without the option, and both sides do without it.

use core::ops::ControlFlow;

use weir_abi::connection::{Local, ONE_PACKET, Word};
use weir_abi::keys::{Direction, FlowValue};
use weir_abi::pool::{FIRST_PORT, PORTS};
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_FULL_NAT, Service};
use weir_wire::checksum::Delta;
use weir_wire::transport::{Tcp, TcpOption, TcpTimestamps};

use crate::family::{Family, Record};
use crate::flow_table::Put;
use crate::hook::{Hook, Refused};
use crate::job::Job;
use crate::parse::Transport;
use crate::tables::{Step, Tables};
use crate::translate::{End, Hop, Translate, translate};

/// How many ports are tried for one connection: with nine of ten in use one is found nearly always.
const TRIES: u32 = 32;

/// How many options of a SYN are looked at. Those in use are five or six, with what aligns them.
const OPTIONS: usize = 12;

/// Finds the connection that a packet has just begun an address and port that no other has towards its
/// real server, if it is to have such; otherwise ends it.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn claim<F: Family, T: Tables>(tables: &T, slot: u32) -> Result<(), Reason> {
    let record = tables.connection::<F>(slot).ok_or(Reason::Contended)?;
    let word = Word(record.word().load());
    if record.endpoints().load().forwarding != FORWARD_FULL_NAT || word.flags() & ONE_PACKET != 0 {
        return Ok(());
    }
    let mut search = Claim::<F> {
        slot,
        outcome: Reason::PortsExhausted as u32,
        family: core::marker::PhantomData,
    };
    tables.repeat(TRIES, &mut search);
    if search.outcome == CLAIMED {
        return Ok(());
    }
    let word = Word(record.word().load());
    tables.end::<F>(slot, word);
    if search.outcome == Reason::TableFull as u32 {
        return Err(Reason::TableFull);
    }
    if let Some(service) = service_of::<F, T>(tables, slot) {
        service.pool_exhausted.add(1);
    }
    Err(Reason::PortsExhausted)
}

const CLAIMED: u32 = u32::MAX;

struct Claim<F> {
    slot: u32,
    /// [`CLAIMED`], or why not. (A number: nothing of it is ever unset.)
    outcome: u32,
    family: core::marker::PhantomData<F>,
}

impl<F: Family, T: Tables> Step<T> for Claim<F> {
    /// Tries one.
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let slot = self.slot;
        // Whether somebody has it is asked first, so that packets of theirs never find this connection.
        if !take_next::<F, T>(tables, slot) {
            return ControlFlow::Break(());
        }
        if tables.rival::<F>(slot, Direction::Reply).is_some() {
            return ControlFlow::Continue(());
        }
        match tables.put_replies::<F>(slot) {
            Put::Alone => {}
            Put::Beside => {
                if tables.rival::<F>(slot, Direction::Reply).is_some() {
                    // Who came at the same moment sees this one too, and both try another.
                    let own = FlowValue::new(slot, Direction::Reply);
                    tables.remove_flow::<F>(slot, Direction::Reply, own);
                    return ControlFlow::Continue(());
                }
            }
            Put::Full => {
                self.outcome = Reason::TableFull as u32;
                return ControlFlow::Break(());
            }
        }
        self.outcome = CLAIMED;
        ControlFlow::Break(())
    }
}

#[inline(always)]
fn service_of<F: Family, T: Tables>(tables: &T, slot: u32) -> Option<&Service> {
    let record = tables.connection::<F>(slot)?;
    let destination = tables.destination(record.destination().load())?;
    tables.service(destination.service.load())
}

/// Gives a connection the next port of its service; whether there is any.
#[inline(always)]
fn take_next<F: Family, T: Tables>(tables: &T, slot: u32) -> bool {
    let (Some(record), Some(service)) = (
        tables.connection::<F>(slot),
        service_of::<F, T>(tables, slot),
    ) else {
        return false;
    };
    let addresses = service.pool_length.load();
    if addresses == 0 {
        return false;
    }
    let ports = match service.pool_ports.load() {
        0 => PORTS,
        few => few,
    };
    let turn = service.pool_hand.add(1);
    let place = service.pool.load().wrapping_add(turn % addresses);
    let Some(address) = tables.pool_address(place) else {
        return false;
    };
    let [a, b, c, d] = &address.words;
    let port = FIRST_PORT as u32 + turn / addresses % ports;
    record.local().store(Local {
        address: F::narrow([a.load(), b.load(), c.load(), d.load()]),
        port: (port as u16).to_be(),
        padding: 0,
    });
    true
}

/// Lets a reply that came to an address of the director's be routed to the client. Nothing is written yet:
/// what is left to the slower hook is left as it came.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn turn_to_client<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
) {
    let Some(record) = job.tables.connection::<F>(slot) else {
        return;
    };
    let endpoints = record.endpoints().load();
    if endpoints.forwarding != FORWARD_FULL_NAT {
        return;
    }
    job.has_local = true;
    job.segment.flow.destination = endpoints.client;
    job.segment.flow.destination_port = endpoints.client_port;
}

/// Lets a reply say again that it came to that address: an error about it comes from there.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn turn_back<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>, slot: u32) {
    if let Some(record) = job.tables.connection::<F>(slot) {
        let local = record.local().load();
        job.segment.flow.destination = local.address;
        job.segment.flow.destination_port = local.port;
    }
}

/// Translates the end of a packet that NAT leaves alone: a request's source, a reply's destination.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn translate_other_end<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    slot: u32,
    direction: Direction,
) -> Result<(), Refused> {
    let record = job.tables.connection::<F>(slot).ok_or(Refused)?;
    let local = record.local().load();
    // A connection of one packet has none.
    if local.port == 0 {
        return Err(Refused);
    }
    let transport = job.transport();
    // What translates the source of a reply, and the destination of a request.
    let (opposite, end, old) = match direction {
        Direction::Request => {
            let end = End {
                address: local.address,
                port: local.port,
            };
            (Direction::Reply, end, job.segment.flow.source)
        }
        Direction::Reply => {
            let endpoints = record.endpoints().load();
            let end = End {
                address: endpoints.client,
                port: endpoints.client_port,
            };
            job.segment.flow.destination = local.address;
            job.segment.flow.destination_port = local.port;
            (Direction::Request, end, local.address)
        }
    };
    let delta = F::delta(old, end.address).folded();
    translate::<F, H>(
        job.hook,
        &job.segment,
        transport,
        end,
        delta,
        opposite,
        Hop::Left,
    )?;
    match (direction, transport) {
        (Direction::Request, Transport::Tcp(control)) if control.syn() => {
            blank_timestamps(job.hook, job.segment.payload as usize)
        }
        (Direction::Request | Direction::Reply, _) => Ok(()),
    }
}

/// Puts no-operations in the place of a SYN's timestamps.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn blank_timestamps<H: Hook>(hook: &mut H, tcp: usize) -> Result<(), Refused> {
    let Some(at) = timestamps(hook, tcp) else {
        return Ok(());
    };
    let option = hook.header_mut::<TcpTimestamps>(at).ok_or(Refused)?;
    let delta = option.blank().folded();
    let delta = if (at - tcp).is_multiple_of(2) {
        delta
    } else {
        delta.swap_bytes()
    };
    hook.correct_checksum(
        tcp + Tcp::CHECKSUM,
        Delta::ZERO,
        Delta::from_folded(delta),
        false,
    )
}

/// Where the timestamps of a TCP header lie, if it has any.
#[inline(always)]
fn timestamps<H: Hook>(hook: &H, tcp: usize) -> Option<usize> {
    let end = tcp + hook.header::<Tcp>(tcp)?.header_length();
    let mut at = tcp + Tcp::LENGTH;
    let mut turn = 0;
    while turn < OPTIONS {
        if at + TcpTimestamps::LENGTH > end {
            return None;
        }
        let option = hook.header::<TcpOption>(at)?;
        match option.kind {
            TcpOption::END => return None,
            TcpOption::NOTHING => at += 1,
            TcpOption::TIMESTAMPS if option.length as usize == TcpTimestamps::LENGTH => {
                return Some(at);
            }
            _other if option.length < 2 => return None,
            _other => at += option.length as usize,
        }
        turn += 1;
    }
    None
}
