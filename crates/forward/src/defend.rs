//! `drop_entry`: under attack or when memory is short, connections that nobody may miss end at random.
//!
//! As `ip_vs_random_dropentry`: each second one slot in thirty-two is looked at. There half-open
//! connections end, templates that no connection has kept, and what has been silent for a minute.
//! IPVS spares silent ones by how many packets they had, which Weir does not count: it spares those
//! whose client has answered the real server.

use core::ops::ControlFlow;

use weir_abi::connection::{PROVEN, TEMPLATE, TEMPLATE_ASSURED, Word};
use weir_abi::settings::Settings;
use weir_abi::tick::{Tick, Ticks};
use weir_wire::transport::TCP;

use crate::family::{Family, Record};
use crate::state::sctp::SctpState;
use crate::state::tcp::TcpState;
use crate::tables::{Step, Tables};

/// IANA number of SCTP.
const SCTP: u8 = 132;

/// How long a connection has been silent that may be dropped for it.
const SILENCE: Ticks = Ticks::from_seconds(60);

/// Of so many looks at a slot, one counts: every slot is looked at twice a second.
const ONE_IN: u32 = 64;

/// Looks at `count` slots from `first` on.
#[inline(always)]
pub fn drop_some<F: Family, T: Tables>(tables: &T, first: u32, count: u32, now: Tick) {
    let mut walk = Walk::<F> {
        slot: first,
        now,
        family: core::marker::PhantomData,
    };
    tables.repeat(count, &mut walk);
}

struct Walk<F> {
    slot: u32,
    now: Tick,
    family: core::marker::PhantomData<F>,
}

impl<F: Family, T: Tables> Step<T> for Walk<F> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let slot = self.slot;
        self.slot = slot + 1;
        if is_chosen(slot, self.now)
            && let (Some(settings), Some(record)) =
                (tables.settings(), tables.connection::<F>(slot))
        {
            let word = Word(record.word().load());
            if word.is_live() && is_dispensable::<F>(settings, record, word, self.now) {
                tables.end::<F>(slot, word);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether a slot's turn has come: one look in [`ONE_IN`], by a hash of slot and time.
#[inline(always)]
const fn is_chosen(slot: u32, now: Tick) -> bool {
    let mixed = (slot ^ now.0.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x61C8_8647);
    mixed >> (32 - ONE_IN.ilog2()) == 0
}

/// Whether nobody may miss it.
#[inline(always)]
fn is_dispensable<F: Family>(
    settings: &Settings,
    record: &F::Record,
    word: Word,
    now: Tick,
) -> bool {
    if record.company().controls.load() != 0 {
        return false;
    }
    if word.flags() & TEMPLATE != 0 {
        return word.state() != TEMPLATE_ASSURED;
    }
    let state = word.state();
    match record.endpoints().load().protocol {
        TCP if state == TcpState::SynReceived as u8 || state == TcpState::SynAck as u8 => true,
        TCP if state == TcpState::Established as u8 => {
            is_silent(word, &settings.tcp_timeouts[state as usize & 15], now)
        }
        SCTP if state == SctpState::Init1 as u8 || state == SctpState::Init as u8 => true,
        SCTP if state == SctpState::Established as u8 => {
            is_silent(word, &settings.sctp_timeouts[state as usize & 15], now)
        }
        TCP | SCTP => false,
        _udp => is_silent(word, &settings.udp_timeout, now),
    }
}

/// Whether nothing has come for a minute, and the client has never answered.
#[inline(always)]
fn is_silent(word: Word, timeout: &weir_abi::shared::Shared32, now: Tick) -> bool {
    // A packet has put the expiry a timeout and the slack of every expiry ahead.
    let left = word.expires().since(now);
    let whole = Ticks(timeout.load()).0 as i32 + Ticks::REFRESH.0 as i32;
    word.flags() & PROVEN == 0 && left + SILENCE.0 as i32 <= whole
}
