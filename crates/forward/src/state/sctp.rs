//! SCTP's states, as IPVS has them (`ip_vs_proto_sctp.c`, Linux 5.10 to 6.18).

use weir_abi::keys::Direction;
use weir_wire::sctp::{
    ABORT, COOKIE_ACK, COOKIE_ECHO, ERROR, INIT, INIT_ACK, SHUTDOWN, SHUTDOWN_ACK,
    SHUTDOWN_COMPLETE,
};

/// An SCTP state; the numbers are the kernel's (`IP_VS_SCTP_S_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are SCTP's and IPVS's own")]
pub enum SctpState {
    None = 0,
    Init1 = 1,
    Init = 2,
    CookieSent = 3,
    CookieReplied = 4,
    CookieWait = 5,
    Cookie = 6,
    CookieEchoed = 7,
    Established = 8,
    ShutdownSent = 9,
    ShutdownReceived = 10,
    ShutdownAckSent = 11,
    Rejected = 12,
    Closed = 13,
}

/// What an SCTP packet means for its connection: a row of the tables below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub struct SctpEvent(pub u8);

/// Chunks that change nothing: DATA, SACK, HEARTBEAT and all that are not known.
const OTHER: u8 = 0;
/// INIT, which begins an association.
const BEGIN: u8 = 1;
/// ABORT.
const STOP: u8 = 9;

/// The event of each type of chunk below 16.
static EVENTS: [u8; 16] = {
    let mut events = [OTHER; 16];
    events[INIT as usize] = BEGIN;
    events[INIT_ACK as usize] = 2;
    events[COOKIE_ECHO as usize] = 3;
    events[COOKIE_ACK as usize] = 4;
    events[SHUTDOWN as usize] = 5;
    events[SHUTDOWN_ACK as usize] = 6;
    events[SHUTDOWN_COMPLETE as usize] = 7;
    events[ERROR as usize] = 8;
    events[ABORT as usize] = STOP;
    events
};

const NO: u8 = SctpState::None as u8;
const I1: u8 = SctpState::Init1 as u8;
const IN: u8 = SctpState::Init as u8;
const CS: u8 = SctpState::CookieSent as u8;
const CR: u8 = SctpState::CookieReplied as u8;
const CW: u8 = SctpState::CookieWait as u8;
const CO: u8 = SctpState::Cookie as u8;
const CE: u8 = SctpState::CookieEchoed as u8;
const ES: u8 = SctpState::Established as u8;
const SS: u8 = SctpState::ShutdownSent as u8;
const SR: u8 = SctpState::ShutdownReceived as u8;
const SA: u8 = SctpState::ShutdownAckSent as u8;
const RJ: u8 = SctpState::Rejected as u8;
const CL: u8 = SctpState::Closed as u8;

const _: () = assert!(NO == 0);

/// What lies past the last row and the last state.
const TO_CLOSED: [u8; 16] = [CL; 16];

/// For each direction and event (OTHER, INIT, INIT ACK, COOKIE ECHO, COOKIE ACK, SHUTDOWN, SHUTDOWN ACK,
/// SHUTDOWN COMPLETE, ERROR, ABORT), the next state by the present one (NONE to CLOSED). Powers of two,
/// so that masked numbers index them without a bound to prove.
#[rustfmt::skip]
static NEXT: [[[u8; 16]; 16]; 4] = [
    // Requests.
    [
    //  NO  I1  IN  CS  CR  CW  CO  CE  ES  SS  SR  SA  RJ  CL
        [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [I1, IN, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, IN, IN, CL, CL],
        [CW, CW, CW, CS, CR, CO, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CR, IN, IN, CR, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [ES, I1, IN, CS, CR, CW, CO, ES, ES, SS, SR, SA, RJ, CL, CL, CL],
        [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL, CL, CL],
        [CL, IN, IN, CS, CR, CW, CO, CE, ES, CL, SR, CL, RJ, CL, CL, CL],
        [CL, CL, CL, CS, CR, CW, CO, CE, ES, SS, SR, CL, RJ, CL, CL, CL],
        [CL, I1, IN, CS, CR, CW, CO, CL, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED,
    ],
    // Replies.
    [
        [ES, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CW, CW, CW, CW, CW, CW, CW, CW, ES, CW, CW, CW, CW, CW, CL, CL],
        [CS, CS, CS, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CE, CE, CE, CE, CE, CE, CE, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [ES, ES, ES, ES, ES, ES, ES, ES, ES, SS, SR, SA, RJ, CL, CL, CL],
        [SS, SS, SS, SS, SS, SS, SS, SS, SS, SS, SR, SA, RJ, CL, CL, CL],
        [SA, SA, SA, SA, SA, CW, CO, CE, ES, SA, SA, SA, RJ, CL, CL, CL],
        [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED,
    ],
    // Requests where replies are not seen.
    [
        [ES, I1, IN, CS, CR, ES, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [I1, IN, IN, IN, IN, IN, CO, CE, ES, SS, SR, SA, IN, IN, CL, CL],
        [CE, CE, CE, CE, CE, CE, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [ES, ES, ES, ES, ES, ES, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [ES, I1, IN, ES, ES, CW, ES, ES, ES, SS, SR, SA, RJ, CL, CL, CL],
        [SR, I1, IN, CS, CR, CW, CO, CE, SR, SS, SR, SA, RJ, CL, CL, CL],
        [CL, IN, IN, CS, CR, CW, CO, CE, CL, CL, SR, CL, RJ, CL, CL, CL],
        [CL, CL, CL, CL, CL, CW, CO, CE, ES, SS, CL, CL, RJ, CL, CL, CL],
        [CL, I1, IN, CS, CR, CW, CO, CE, ES, SS, SR, SA, RJ, CL, CL, CL],
        [CL, CL, CL, CL, CL, RJ, CL, CL, CL, CL, CL, CL, CL, CL, CL, CL],
        TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED, TO_CLOSED,
    ],
    // Nothing: makes the number of tables a power of two.
    [TO_CLOSED; 16],
];

impl SctpEvent {
    /// The event of a packet whose first chunk is of that type.
    #[inline(always)]
    pub fn of(chunk: u8) -> Self {
        Self(if chunk < 16 {
            EVENTS[chunk as usize & 15]
        } else {
            OTHER
        })
    }

    /// Whether the packet begins an association.
    #[inline(always)]
    pub const fn is_init(self) -> bool {
        self.0 == BEGIN
    }

    /// Whether the packet ends one at once.
    #[inline(always)]
    pub const fn is_abort(self) -> bool {
        self.0 == STOP
    }
}

/// The state after an SCTP packet. `replies_unseen`: the director sees one direction only.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn after(state: u8, event: SctpEvent, direction: Direction, replies_unseen: bool) -> u8 {
    let rows = match direction {
        Direction::Reply => 1,
        Direction::Request => (replies_unseen as usize) << 1,
    };
    NEXT[rows & 3][event.0 as usize & 15][state as usize & 15]
}

/// Whether connections of that SCTP state count in ActiveConn.
#[inline(always)]
pub const fn is_active(state: u8) -> bool {
    state == ES
}

/// Whether that SCTP state is ESTABLISHED.
#[inline(always)]
pub const fn is_established(state: u8) -> bool {
    state == ES
}

/// Whether an INIT may take the connection over, by `conn_reuse_mode`: it has ended.
#[inline(always)]
pub const fn gives_way(state: u8, mode: u32) -> bool {
    mode != 0 && state == CL
}
