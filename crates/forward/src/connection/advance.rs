//! What a packet does to the connection that it belongs to: its state, its expiry, what is counted of it.

use weir_abi::connection::{CONTROLLED, INACTIVE, NO_OUTPUT, PROVEN, REPLIED, Word};
use weir_abi::keys::Direction;
use weir_abi::service::Service;
use weir_abi::settings::Settings;
use weir_abi::tick::{Tick, Ticks};
use weir_wire::transport::{TCP, UDP};

use super::Found;
use super::template::assure;
use crate::family::{Family, Record};
use crate::parse::Transport;
use crate::state;
use crate::state::tcp::TcpState;
use crate::tables::Tables;

/// How often a packet tries to advance a connection that others advance at the same time.
const TRIES: usize = 2;

/// What a packet does to the connection that it belongs to: state, expiry, ActiveConn, InActConn.
#[inline(always)]
pub fn advance<F: Family, T: Tables>(
    tables: &T,
    settings: &Settings,
    found: &Found<'_, F>,
    transport: Transport,
    direction: Direction,
    now: Tick,
) {
    let mut word = found.word;
    let mut tries = 0;
    while tries < TRIES {
        let next = after(settings, word, transport, direction, now);
        if is_as_good(word, next) {
            return;
        }
        if found.record.word().replace(word.0, next.0) {
            move_between(tables, found.destination, word, next);
            if next.flags() & CONTROLLED != 0 && comes_to_be(word, next, transport, direction) {
                assure::<F, T>(tables, found.record);
            }
            return;
        }
        word = Word(found.record.word().load());
        if !word.is_live() || word.generation() != found.word.generation() {
            return;
        }
        tries += 1;
    }
}

/// Whether that is one of the many packets that [`advance`] nothing: a datagram, or of TCP an acknowledgement
/// in ESTABLISHED, while it is not yet time to put off the expiry. It says so at a third of the cost, where
/// transport and direction are constants.
#[inline(always)]
pub fn is_settled(
    settings: &Settings,
    word: Word,
    transport: Transport,
    direction: Direction,
    now: Tick,
) -> bool {
    const STATE: u32 = 0xff;
    const ESTABLISHED: u8 = TcpState::Established as u8;
    const fn flags(flags: u8) -> u32 {
        (flags as u32) << 8
    }
    let (state, timeout) = match transport {
        Transport::Tcp(control) if control.is_plain_acknowledgement() => {
            let timeout = &settings.tcp_timeouts[ESTABLISHED as usize];
            (ESTABLISHED as u32, timeout)
        }
        Transport::Udp => {
            let state = state::STATELESS as u32 | flags(INACTIVE);
            (state, &settings.udp_timeout)
        }
        Transport::Tcp(_) | Transport::Sctp(_) | Transport::Secured => return false,
    };
    let is_as_it_would_be = match direction {
        // What has been answered is proven by the client's next packet.
        Direction::Request => {
            word.upper() & (STATE | flags(INACTIVE)) == state
                && word.upper() & flags(REPLIED | PROVEN) != flags(REPLIED)
        }
        Direction::Reply => {
            word.upper() & (STATE | flags(INACTIVE | NO_OUTPUT | REPLIED)) == state | flags(REPLIED)
        }
    };
    if !is_as_it_would_be {
        return false;
    }
    let expires = now.after(Ticks(timeout.load())).after(Ticks::REFRESH);
    (expires.since(word.expires()) as u32) < Ticks::REFRESH.0
}

/// The service of a real server, if it has timeouts of its own.
#[inline(always)]
pub fn own_timeouts<T: Tables>(tables: &T, destination: u32) -> Option<&Service> {
    let service = tables.service(tables.destination(destination)?.service.load())?;
    let [established, fin_wait, udp] = &service.timeouts;
    (established.load() | fin_wait.load() | udp.load() != 0).then_some(service)
}

/// Puts off the end of a connection whose service has a timeout of its own for its state: by that one
/// instead of the director's.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn keep_own_timeout<F: Family, T: Tables>(tables: &T, slot: u32, now: Tick) {
    let Some(record) = tables.connection::<F>(slot) else {
        return;
    };
    let Some(service) = own_timeouts(tables, record.destination().load()) else {
        return;
    };
    let word = Word(record.word().load());
    let [established, fin_wait, udp] = &service.timeouts;
    let own = match record.endpoints().load().protocol {
        TCP if state::tcp::is_established(word.state()) => established.load(),
        TCP if state::tcp::is_fin_wait(word.state()) => fin_wait.load(),
        UDP => udp.load(),
        _another => 0,
    };
    if own != 0 && word.is_live() {
        let expires = now.after(Ticks(own)).after(Ticks::REFRESH);
        // Who is in between has put it off too, or ended it.
        record
            .word()
            .replace(word.0, Word::of_halves(expires, word.upper()).0);
    }
}

/// The word after a packet.
#[inline(always)]
pub(super) fn after(
    settings: &Settings,
    word: Word,
    transport: Transport,
    direction: Direction,
    now: Tick,
) -> Word {
    let (state, timeout, active) = match transport {
        Transport::Tcp(control) => {
            let unseen = word.flags() & NO_OUTPUT != 0;
            let state = state::tcp::after(word.state(), control, direction, unseen, settings) & 15;
            let timeout = settings.tcp_timeouts[state as usize].load();
            (state, timeout, state::tcp::is_active(state))
        }
        Transport::Sctp(event) => {
            let unseen = word.flags() & NO_OUTPUT != 0;
            let state = state::sctp::after(word.state(), event, direction, unseen) & 15;
            let timeout = settings.sctp_timeouts[state as usize].load();
            (state, timeout, state::sctp::is_active(state))
        }
        Transport::Udp | Transport::Secured => {
            (state::STATELESS, settings.udp_timeout.load(), false)
        }
    };
    // Born in NONE and inactive, a connection is inactive whenever its state is: so the flag need
    // not ask whether the state has changed, as the kernel does. UDP's only state is inactive.
    let inactive = !active as u32 * INACTIVE as u32;
    let kept = word.upper() >> 8 & !(INACTIVE as u32);
    let flags = match direction {
        Direction::Request => kept | proof(kept, transport),
        Direction::Reply => kept & !(NO_OUTPUT as u32) | REPLIED as u32,
    } | inactive;
    let expires = now.after(Ticks(timeout)).after(Ticks::REFRESH);
    Word::of_halves(expires, flags << 8 | state as u32)
}

/// [`PROVEN`] where a client goes on after the real server has answered. A SYN or INIT proves nothing: it
/// may be sent again unheard.
#[inline(always)]
const fn proof(flags: u32, transport: Transport) -> u32 {
    const { assert!(PROVEN == REPLIED << 1) };
    match transport {
        Transport::Tcp(control) if control.syn() => 0,
        Transport::Sctp(event) if event.is_init() => 0,
        Transport::Tcp(_) | Transport::Udp | Transport::Sctp(_) | Transport::Secured => {
            (flags & REPLIED as u32) << 1
        }
    }
}

/// Whether it is not worth a write: nothing but the expiry moves, and by less than the slack that
/// every expiry has.
#[inline(always)]
fn is_as_good(old: Word, new: Word) -> bool {
    // Unsigned: a move back is a large one.
    let moved = new.expires().since(old.expires()) as u32;
    old.upper() == new.upper() && moved < Ticks::REFRESH.0
}

/// Whether a packet has made it a connection that keeps its template (TCP, SCTP: ESTABLISHED, UDP: a
/// reply).
#[inline(always)]
fn comes_to_be(old: Word, new: Word, transport: Transport, direction: Direction) -> bool {
    match transport {
        Transport::Tcp(_) => old.state() != new.state() && state::tcp::is_established(new.state()),
        Transport::Sctp(_) => {
            old.state() != new.state() && state::sctp::is_established(new.state())
        }
        Transport::Secured => false,
        Transport::Udp => match direction {
            Direction::Request => false,
            Direction::Reply => true,
        },
    }
}

/// Lets a connection be as if no packet of its own had been seen, but an ICMP error about one
/// (`ip_vs_conn_new`): without a state, for three seconds.
#[inline(always)]
pub fn forget_packet<F: Family, T: Tables>(tables: &T, found: &Found<'_, F>, now: Tick) {
    const LIVES: Ticks = Ticks::from_seconds(3);
    let word = found.word;
    let expires = now.after(LIVES).after(Ticks::REFRESH);
    let flags = word.flags() | INACTIVE;
    let new = Word::new(expires, 0, flags, word.generation());
    // Otherwise a packet of its own has just come.
    if found.record.word().replace(word.0, new.0) {
        move_between(tables, found.destination, word, new);
    }
}

#[inline(always)]
pub(super) fn move_between<T: Tables>(tables: &T, destination: u32, old: Word, new: Word) {
    let was = (old.flags() / INACTIVE) as u32 & 1;
    let is = (new.flags() / INACTIVE) as u32 & 1;
    if was != is
        && let Some(destination) = tables.destination(destination)
    {
        destination.active.add(was.wrapping_sub(is));
        destination.inactive.add(is.wrapping_sub(was));
    }
}
