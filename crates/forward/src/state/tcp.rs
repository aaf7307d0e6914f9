//! TCP's states, as IPVS has them (`ip_vs_proto_tcp.c`, Linux 5.10 to 6.18).

use weir_abi::keys::Direction;
use weir_abi::settings::Settings;
use weir_wire::transport::TcpFlags;

/// A TCP state; the numbers are the kernel's (`IP_VS_TCP_S_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are TCP's and IPVS's own")]
pub enum TcpState {
    None = 0,
    Established = 1,
    SynSent = 2,
    SynReceived = 3,
    FinWait = 4,
    TimeWait = 5,
    Close = 6,
    CloseWait = 7,
    LastAck = 8,
    Listen = 9,
    SynAck = 10,
    Last = 11,
}

/// Rows of one direction: for each event, the next state by the present one (NONE to SYNACK).
/// Eight rows and sixteen columns, so that masked bits index them without a bound to prove.
type Rows = [[u8; 16]; 8];

const SYN: u8 = 0;
const FIN: u8 = 1;
const ACK: u8 = 2;
const RST: u8 = 3;
const BARE: u8 = 4;

/// The event that the lower five control bits stand for: RST before SYN before FIN before ACK.
static EVENTS: [u8; 32] = {
    let mut events = [BARE; 32];
    let mut bits = 0;
    while bits < 32 {
        let flags = TcpFlags(bits as u8);
        events[bits] = if flags.rst() {
            RST
        } else if flags.syn() {
            SYN
        } else if flags.fin() {
            FIN
        } else if flags.ack() {
            ACK
        } else {
            BARE
        };
        bits += 1;
    }
    events
};

const ES: u8 = TcpState::Established as u8;
const SS: u8 = TcpState::SynSent as u8;
const SR: u8 = TcpState::SynReceived as u8;
const FW: u8 = TcpState::FinWait as u8;
const TW: u8 = TcpState::TimeWait as u8;
const CL: u8 = TcpState::Close as u8;
const CW: u8 = TcpState::CloseWait as u8;
const LA: u8 = TcpState::LastAck as u8;
const LI: u8 = TcpState::Listen as u8;
const SA: u8 = TcpState::SynAck as u8;

/// No control bit at all: CLOSE. So is what lies past the last row and the last state.
const TO_CLOSE: [u8; 16] = [CL; 16];

#[rustfmt::skip]
static NEXT: [Rows; 8] = [
    // Requests.
    [
    //  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, CL, CL, CL, CL, CL],
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, TW, CL, CL, CL, CL, CL],
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, CL, CL, CL, CL, CL],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, SR, CL, CL, CL, CL, CL],
        TO_CLOSE, TO_CLOSE, TO_CLOSE, TO_CLOSE,
    ],
    // Replies.
    [
        [SS, ES, SS, SR, SS, SS, SS, SS, SS, LI, SR, CL, CL, CL, CL, CL],
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW, CL, CL, CL, CL, CL],
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES, CL, CL, CL, CL, CL],
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        TO_CLOSE, TO_CLOSE, TO_CLOSE, TO_CLOSE,
    ],
    // Requests where replies are not seen.
    [
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SR, CL, CL, CL, CL, CL],
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW, CL, CL, CL, CL, CL],
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, CL, CL, CL, CL, CL],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL, CL, CL, CL, CL, CL],
        TO_CLOSE, TO_CLOSE, TO_CLOSE, TO_CLOSE,
    ],
    // Nothing: makes the number of tables a power of two.
    [TO_CLOSE; 8],
    // Requests under attack.
    [
    //  NO  ES  SS  SR  FW  TW  CL  CW  LA  LI  SA
        [SR, ES, ES, SR, SR, SR, SR, SR, SR, SR, SA, CL, CL, CL, CL, CL],
        [CL, CW, SS, TW, TW, TW, CL, CW, LA, LI, SA, CL, CL, CL, CL, CL],
        [ES, ES, SS, SR, FW, TW, CL, CW, CL, LI, SA, CL, CL, CL, CL, CL],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL, CL, CL, CL, CL, CL],
        TO_CLOSE, TO_CLOSE, TO_CLOSE, TO_CLOSE,
    ],
    // Replies under attack.
    [
        [SS, ES, SS, SA, SS, SS, SS, SS, SS, LI, SA, CL, CL, CL, CL, CL],
        [TW, FW, SS, TW, FW, TW, CL, TW, LA, LI, TW, CL, CL, CL, CL, CL],
        [ES, ES, SS, ES, FW, TW, CL, CW, LA, ES, ES, CL, CL, CL, CL, CL],
        [CL, CL, SS, CL, CL, TW, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        TO_CLOSE, TO_CLOSE, TO_CLOSE, TO_CLOSE,
    ],
    // Requests under attack where replies are not seen.
    [
        [SA, ES, ES, SR, SA, SA, SA, SA, SA, SA, SA, CL, CL, CL, CL, CL],
        [CL, FW, SS, TW, FW, TW, CL, CW, LA, LI, TW, CL, CL, CL, CL, CL],
        [ES, ES, SS, ES, FW, TW, CL, CW, CL, LI, ES, CL, CL, CL, CL, CL],
        [CL, CL, CL, SR, CL, CL, CL, CL, LA, LI, CL, CL, CL, CL, CL, CL],
        TO_CLOSE, TO_CLOSE, TO_CLOSE, TO_CLOSE,
    ],
    [TO_CLOSE; 8],
];

/// The state after a TCP packet. `replies_unseen`: the director sees one direction only. Under attack
/// (`secure_tcp`) the states are others (`tcp_states_dos`).
///
/// Tables instead of branches: each branch would double what the verifier has to follow.
#[inline(always)]
pub fn after(
    state: u8,
    flags: TcpFlags,
    direction: Direction,
    replies_unseen: bool,
    settings: &Settings,
) -> u8 {
    // What nearly all packets are, and all tables say.
    if state == ES && flags.is_plain_acknowledgement() {
        return ES;
    }
    let rows = match direction {
        Direction::Reply => 1,
        Direction::Request => (replies_unseen as usize) << 1,
    };
    let event = EVENTS[super::not_sooner(flags.0) & 31] as usize & 7;
    let secure = (settings.secure_tcp.load() as usize & 1) << 2;
    NEXT[(rows | secure) & 7][event][state as usize & 15]
}

/// Whether connections of that TCP state count in ActiveConn.
#[inline(always)]
pub const fn is_active(state: u8) -> bool {
    const ACTIVE: u32 = 1 << ES | 1 << SS | 1 << SR | 1 << SA;
    ACTIVE >> (state & 15) & 1 != 0
}

/// Whether in that TCP state one side has not yet said that it has heard the other's SYN.
#[inline(always)]
pub const fn is_half_open(state: u8) -> bool {
    const HALF_OPEN: u32 = 1 << SS | 1 << SR | 1 << SA;
    HALF_OPEN >> (state & 15) & 1 != 0
}

/// Whether that TCP state is FIN_WAIT.
#[inline(always)]
pub const fn is_fin_wait(state: u8) -> bool {
    state == FW
}

/// Whether that TCP state is ESTABLISHED.
#[inline(always)]
pub const fn is_established(state: u8) -> bool {
    state == ES
}

/// Whether a SYN may take the connection over, by `conn_reuse_mode`: it has ended; or, from 2 on, has
/// seen a FIN where replies are not seen (`is_new_conn_expected`).
#[inline(always)]
pub const fn gives_way(state: u8, replies_unseen: bool, mode: u32) -> bool {
    mode != 0 && matches!(state, TW | CL) || mode & 2 != 0 && state == FW && replies_unseen
}
