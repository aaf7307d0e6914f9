//! Connections that expire while their ends may not know: of services that want it, both are told, by a reset
//! or an ICMP error that the daemon sends. (No timer of the kernel's can send a packet.) So that each end takes
//! a reset, the last number that it has acknowledged is remembered (RFC 5961, 3.2).

use weir_abi::connection::{NO_OUTPUT, ONE_PACKET, TEMPLATE, Word};
use weir_abi::farewell::FAREWELLS;
use weir_abi::keys::Direction;
use weir_abi::service::{FAREWELL, FORWARD_FULL_NAT, FORWARD_OTHER_FAMILY};
use weir_abi::shared::Shared32;
use weir_wire::transport::{TCP, Tcp, UDP};

use crate::family::{Family, Record};
use crate::hook::Hook;
use crate::parse::{Portion, Segment};
use crate::state::tcp::TcpState;
use crate::tables::Tables;

/// Whether the service of a real server wants it.
#[inline(always)]
pub(crate) fn is_wanted<T: Tables>(tables: &T, destination: u32) -> bool {
    let Some(destination) = tables.destination(destination) else {
        return false;
    };
    match tables.service(destination.service.load()) {
        Some(service) => service.flags.load() & FAREWELL != 0,
        None => false,
    }
}

/// A connection begins: nothing is acknowledged.
#[inline(always)]
pub(crate) fn begin<F: Family>(record: &F::Record) {
    for cell in record.acknowledged() {
        cell.store(0);
    }
}

/// Remembers what a packet acknowledges. Of a real server that is not heard (connections with that flag) what the
/// client has sent counts.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn note<H: Hook, A>(
    hook: &H,
    segment: &Segment<A>,
    acknowledged: &[Shared32; 2],
    direction: Direction,
    flags: u8,
) {
    if segment.flow.protocol as u8 != TCP || segment.portion() != Portion::Whole {
        return;
    }
    let Some(header) = hook.header::<Tcp>(segment.payload as usize) else {
        return;
    };
    if !header.flags().ack() {
        return;
    }
    let number = header.acknowledgement();
    match direction {
        Direction::Request => acknowledged[0].store(number),
        Direction::Reply => {
            acknowledged[1].store(number);
            return;
        }
    }
    if flags & NO_OUTPUT == 0 {
        return;
    }
    let network = segment.network as usize;
    let length = hook.network_length(segment.length as usize, network) as u32;
    let headers = (segment.payload - segment.network) as u32 + header.header_length() as u32;
    let end = length.wrapping_sub(headers) + header.flags().fin() as u32;
    let next = header.sequence().wrapping_add(end);
    // What is sent again, or only to see whether somebody is there, is older.
    let before = acknowledged[1].load();
    if before == 0 || next.wrapping_sub(before) as i32 > 0 {
        acknowledged[1].store(next);
    }
}

/// Lets the daemon know of a connection that is about to end because its time has come.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub(crate) fn say<F: Family, T: Tables>(tables: &T, slot: u32, word: Word) {
    let (Some(settings), Some(record)) = (tables.settings(), tables.connection::<F>(slot)) else {
        return;
    };
    let destination = record.destination().load();
    if word.flags() & (TEMPLATE | ONE_PACKET) != 0 || !is_wanted(tables, destination) {
        return;
    }
    let ends = record.endpoints().load();
    if !is_open(ends.protocol, word.state()) {
        return;
    }
    let number = settings.farewells.add(1);
    let Some(place) = tables.farewell(number % FAREWELLS) else {
        return;
    };
    place.number.store(0);
    let kind = F::NUMBER as u32 | (ends.protocol as u32) << 8 | (ends.forwarding as u32) << 16;
    place.kind.store(kind);
    place.destination.store(destination);
    let [by_client, by_server] = record.acknowledged();
    place.acknowledged[0].store(by_client.load());
    place.acknowledged[1].store(by_server.load());
    put(&place.client, F::widen(ends.client));
    put(&place.virtual_address, F::widen(ends.virtual_address));
    place
        .outside
        .store(ends.client_port as u32 | (ends.virtual_port as u32) << 16);
    let local_port = match ends.forwarding {
        FORWARD_FULL_NAT => {
            let local = record.local().load();
            put(&place.local, F::widen(local.address));
            local.port
        }
        FORWARD_OTHER_FAMILY => match tables.connection::<F::Other>(record.twin().load()) {
            Some(twin) => {
                let ends = twin.endpoints().load();
                put(&place.local, <F::Other as Family>::widen(ends.client));
                ends.client_port
            }
            None => 0,
        },
        _as_it_is => {
            put(&place.local, F::widen(ends.client));
            ends.client_port
        }
    };
    place
        .inside
        .store(local_port as u32 | (ends.server_port as u32) << 16);
    place.number.store(number.wrapping_add(1));
}

#[inline(always)]
fn put(cells: &[Shared32; 4], words: [u32; 4]) {
    cells[0].store(words[0]);
    cells[1].store(words[1]);
    cells[2].store(words[2]);
    cells[3].store(words[3]);
}

/// Whether an end may still count on the connection.
#[inline(always)]
const fn is_open(protocol: u8, state: u8) -> bool {
    const ESTABLISHED: u8 = TcpState::Established as u8;
    const FIN_WAIT: u8 = TcpState::FinWait as u8;
    const CLOSE_WAIT: u8 = TcpState::CloseWait as u8;
    match protocol {
        TCP => matches!(state, ESTABLISHED | FIN_WAIT | CLOSE_WAIT),
        UDP => true,
        _other => false,
    }
}
