//! What FTP says (RFC 959, RFC 2428), as IPVS hears it.

use core::ops::ControlFlow;

use weir_abi::connection::{SPEECH_EXTENDED_PASSIVE, SPEECH_PASSIVE};
use weir_abi::handover::Listener as State;
use weir_abi::keys::{Direction, FAMILY_V6};

use crate::family::Family;
use crate::hook::{Hook, Turn};

/// What was heard in a packet. (All words, so that none is left unset.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Heard {
    kind: u32,
    /// Where in the payload the address and port begin, and where they end.
    pub start: u32,
    /// The first byte after them.
    pub end: u32,
    port: u32,
    /// Address and port as the six numbers of PORT and PASV, the first highest.
    pub numbers: u64,
}

const NOTHING: u32 = 0;
const ASKS_PASSIVE: u32 = 1;
const ASKS_EXTENDED_PASSIVE: u32 = 2;
const NAMED: u32 = 3;
const NAMED_EXTENDED: u32 = 4;

impl Heard {
    /// Nothing of interest.
    pub const NOTHING: Self = Self {
        kind: NOTHING,
        start: 0,
        end: 0,
        port: 0,
        numbers: 0,
    };

    /// PASV.
    #[inline(always)]
    pub const fn asks_passive(&self) -> bool {
        self.kind == ASKS_PASSIVE
    }

    /// EPSV.
    #[inline(always)]
    pub const fn asks_extended_passive(&self) -> bool {
        self.kind == ASKS_EXTENDED_PASSIVE
    }

    /// A port, of the client (PORT, EPRT) or of the real server (227, 229).
    #[inline(always)]
    pub const fn is_named(&self) -> bool {
        self.kind == NAMED || self.kind == NAMED_EXTENDED
    }

    /// By EPRT or 229.
    #[inline(always)]
    pub const fn is_extended(&self) -> bool {
        self.kind == NAMED_EXTENDED
    }

    /// The address of IPv4 that was named, as it lies in packets; 0 if none was.
    #[inline(always)]
    pub const fn address(&self) -> u32 {
        ((self.numbers >> 16) as u32).to_be()
    }

    /// The port that was named, as it lies in packets.
    #[inline(always)]
    pub const fn port(&self) -> u16 {
        (self.port as u16).to_be()
    }
}

/// Reads a payload byte by byte.
pub struct Listener<'t> {
    /// What it remembers.
    pub state: &'t State,
    /// Where the payload begins in the frame.
    pub at: usize,
}

// Stages.
const WORD: u32 = 0;
const SKIP: u32 = 1;
const NUMBERS: u32 = 2;
const AFTER_DELIMITER: u32 = 3;
const AFTER_FAMILY: u32 = 4;
const ADDRESS: u32 = 5;
const BEFORE_PORT: u32 = 6;
const PORT: u32 = 7;
/// Nothing is named here.
const OVER: u32 = 8;

const fn word(text: &[u8]) -> u64 {
    let mut word = 0;
    let mut at = 0;
    while at < text.len() {
        word = word << 8 | text[at] as u64;
        at += 1;
    }
    word
}

/// Begins to read.
#[inline(always)]
pub fn begin<F: Family>(state: &State, direction: Direction, asked: u32) {
    for cell in [
        &state.kind,
        &state.start,
        &state.end,
        &state.port,
        &state.stage,
        &state.separator,
        &state.is_separated,
        &state.is_extended,
        &state.delimiter,
        &state.number,
        &state.count,
    ] {
        cell.store(0);
    }
    state.window.store(0);
    state.numbers.store(0);
    state.is_v6.store((F::NUMBER == FAMILY_V6) as u32);
    state.asked.store(asked);
    state.is_reply.store(match direction {
        Direction::Request => 0,
        Direction::Reply => 1,
    });
}

/// What has been heard.
#[inline(always)]
pub fn heard(state: &State) -> Heard {
    Heard {
        kind: state.kind.load(),
        start: state.start.load(),
        end: state.end.load(),
        port: state.port.load(),
        numbers: state.numbers.load(),
    }
}

impl Listener<'_> {
    /// Hears a byte.
    #[inline(always)]
    pub fn hear(&self, index: u32, byte: u8) -> ControlFlow<()> {
        let upper = if byte.is_ascii_lowercase() {
            byte - 0x20
        } else {
            byte
        };
        self.state
            .window
            .store(self.state.window.load() << 8 | upper as u64);
        if self.state.is_reply.load() == 0 {
            let window = self.state.window.load();
            let family = if self.state.is_v6.load() == 0 {
                b'1'
            } else {
                b'2'
            } as u64;
            let extended = window & 0xff_ffff_ffff == const { word(b"EPSV\r") }
                || window & 0xff_ffff_ffff_ffff == const { word(b"EPSV \0\r") } | family << 8;
            if extended {
                self.state.kind.store(ASKS_EXTENDED_PASSIVE);
                return ControlFlow::Break(());
            }
            if self.state.is_v6.load() == 0
                && window & 0xffff_ffff_ffff == const { word(b"PASV\r\n") }
            {
                self.state.kind.store(ASKS_PASSIVE);
                return ControlFlow::Break(());
            }
        }
        match self.state.stage.load() {
            WORD => self.word(index),
            SKIP => self.skip(index, byte),
            NUMBERS => return self.numbers(index, byte),
            AFTER_DELIMITER => self.after_delimiter(byte),
            AFTER_FAMILY => self.expect_delimiter(byte, ADDRESS),
            ADDRESS => self.address(byte),
            BEFORE_PORT => self.expect_delimiter(byte, PORT),
            PORT => return self.port(index, byte),
            _over if self.state.is_reply.load() != 0 => return ControlFlow::Break(()),
            _over => {}
        }
        ControlFlow::Continue(())
    }

    /// The first four bytes say what it is.
    #[inline(always)]
    fn word(&self, index: u32) {
        if index != 3 {
            return;
        }
        let said = self.state.window.load() & 0xffff_ffff;
        let is_request = self.state.is_reply.load() == 0;
        self.state.stage.store(OVER);
        if is_request && self.state.is_v6.load() == 0 && said == const { word(b"PORT") } {
            self.expect(b' ', 0);
        } else if is_request && said == const { word(b"EPRT") } {
            self.expect(b' ', 1);
        } else if !is_request
            && self.state.asked.load() == SPEECH_PASSIVE
            && said == const { word(b"227 ") }
        {
            self.expect(b'(', 0);
        } else if !is_request
            && self.state.asked.load() == SPEECH_EXTENDED_PASSIVE
            && said == const { word(b"229 ") }
        {
            self.expect(b'(', 1);
        }
    }

    #[inline(always)]
    fn expect(&self, separator: u8, is_extended: u32) {
        self.state.stage.store(SKIP);
        self.state.separator.store(separator as u32);
        self.state.is_extended.store(is_extended);
    }

    /// Up to what follows the separator. Before plain numbers it may be missing.
    #[inline(always)]
    fn skip(&self, index: u32, byte: u8) {
        if self.state.is_extended.load() == 0 && byte.is_ascii_digit() {
            self.state.start.store(index);
            self.state.number.store((byte - b'0') as u32);
            self.state.stage.store(NUMBERS);
        } else if byte as u32 == self.state.separator.load() {
            self.state.is_separated.store(1);
        } else if self.state.is_separated.load() != 0 {
            self.state.start.store(index);
            self.state.delimiter.store(byte as u32);
            let is_delimiter = self.state.is_extended.load() != 0 && byte > 32 && byte < 127;
            self.state
                .stage
                .store(if is_delimiter { AFTER_DELIMITER } else { OVER });
        }
    }

    /// `192,0,2,1,195,80`.
    #[inline(always)]
    fn numbers(&self, index: u32, byte: u8) -> ControlFlow<()> {
        if byte.is_ascii_digit() {
            self.add_digit(byte, 0xff);
            return ControlFlow::Continue(());
        }
        self.push();
        if byte == b',' && self.state.count.load() < 6 {
            return ControlFlow::Continue(());
        }
        if self.state.count.load() != 6 {
            self.state.stage.store(OVER);
            return ControlFlow::Continue(());
        }
        self.state.end.store(index);
        self.state
            .port
            .store((self.state.numbers.load() & 0xffff) as u32);
        self.state.kind.store(NAMED);
        ControlFlow::Break(())
    }

    /// `|1|192.0.2.1|50000|`; the real server's answer has a port only: `|||50000|`.
    #[inline(always)]
    fn after_delimiter(&self, byte: u8) {
        let family = if self.state.is_v6.load() == 0 {
            b'1'
        } else {
            b'2'
        };
        self.state.stage.store(
            if byte as u32 == self.state.delimiter.load() && self.state.is_reply.load() != 0 {
                BEFORE_PORT
            } else if byte == family {
                AFTER_FAMILY
            } else {
                OVER
            },
        );
    }

    #[inline(always)]
    fn expect_delimiter(&self, byte: u8, then: u32) {
        self.state
            .stage
            .store(if byte as u32 == self.state.delimiter.load() {
                then
            } else {
                OVER
            });
    }

    /// Of IPv6 it is passed over: the client's own is meant.
    #[inline(always)]
    fn address(&self, byte: u8) {
        if byte as u32 == self.state.delimiter.load() {
            self.push();
            self.state.stage.store(PORT);
        } else if byte == b'.' {
            self.push();
        } else if byte.is_ascii_digit() {
            self.add_digit(byte, 0xff);
        } else if self.state.is_v6.load() == 0 {
            self.state.stage.store(OVER);
        }
    }

    #[inline(always)]
    fn port(&self, index: u32, byte: u8) -> ControlFlow<()> {
        if byte.is_ascii_digit() {
            self.add_digit(byte, 0xffff);
            return ControlFlow::Continue(());
        }
        if byte as u32 != self.state.delimiter.load() || self.state.number.load() == 0 {
            self.state.stage.store(OVER);
            return ControlFlow::Continue(());
        }
        self.state.end.store(index + 1);
        self.state.port.store(self.state.number.load());
        // As PORT has them: the address above the port.
        self.state.numbers.store(self.state.numbers.load() << 16);
        self.state.kind.store(NAMED_EXTENDED);
        ControlFlow::Break(())
    }

    #[inline(always)]
    fn add_digit(&self, byte: u8, mask: u32) {
        self.state
            .number
            .store((self.state.number.load() * 10 + (byte - b'0') as u32) & mask);
    }

    #[inline(always)]
    fn push(&self) {
        self.state
            .numbers
            .store(self.state.numbers.load() << 8 | (self.state.number.load() & 0xff) as u64);
        self.state.count.store(self.state.count.load() + 1);
        self.state.number.store(0);
    }
}

impl<H: Hook> Turn<H> for Listener<'_> {
    #[inline(always)]
    fn turn(&mut self, hook: &mut H, index: u32) -> ControlFlow<()> {
        match hook.read::<[u8; 1]>(self.at + index as usize) {
            Some([byte]) => self.hear(index, byte),
            None => ControlFlow::Break(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{V4, V6};

    fn hear<F: Family>(direction: Direction, asked: u32, payload: &str) -> Heard {
        let state = State::default();
        begin::<F>(&state, direction, asked);
        let listener = Listener {
            state: &state,
            at: 0,
        };
        for (index, byte) in (0..).zip(payload.bytes()) {
            if listener.hear(index, byte).is_break() {
                break;
            }
        }
        super::heard(&state)
    }

    fn named(heard: Heard) -> Option<([u8; 4], u16)> {
        heard
            .is_named()
            .then(|| (heard.address().to_ne_bytes(), u16::from_be(heard.port())))
    }

    #[test]
    fn what_clients_say() {
        let port = |text| named(hear::<V4>(Direction::Request, 0, text));
        let named = Some(([198, 51, 100, 1], 50000));
        for text in [
            "PORT 198,51,100,1,195,80\r\n",
            "port   198,51,100,1,195,80\r\n",
            "PORT198,51,100,1,195,80\n",
            "EPRT |1|198.51.100.1|50000|\r\n",
            "eprt  !1!198.51.100.1!50000!\r\n",
        ] {
            assert_eq!(port(text), named, "{text:?}");
        }
        for text in [
            "PORT 198,51,100,1,195\r\n",
            "PORT 198,51,100,1,195,80",
            "PORT a,51,100,1,195,80\r\n",
            "EPRT |2|2001:db8::1|50000|\r\n",
            "EPRT |1|198.51.100.1|0|\r\n",
            "EPRT |1|198.51.100.1|50000\r\n",
            "EPRT |1|198.51.100.x|50000|\r\n",
            "RETR PORT 198,51,100,1,195,80\r\n",
            "P",
            "",
        ] {
            assert_eq!(port(text), None, "{text:?}");
        }
        for (text, passive, extended) in [
            ("PASV\r\n", true, false),
            ("TYPE I\r\npasv\r\n", true, false),
            ("EPSV\r\n", false, true),
            ("EPSV 1\r\n", false, true),
            ("CWD x\r\nEPSV\r\n", false, true),
            ("EPSV 2\r\n", false, false),
            ("EPSV ALL\r\n", false, false),
            ("PASV", false, false),
        ] {
            let heard = hear::<V4>(Direction::Request, 0, text);
            let asks = (heard.asks_passive(), heard.asks_extended_passive());
            assert_eq!(asks, (passive, extended), "{text:?}");
        }
        let heard = hear::<V6>(Direction::Request, 0, "EPRT |2|2001:db8:1::c:1|50000|\r\n");
        assert!(heard.is_named());
        assert_eq!(u16::from_be(heard.port()), 50000);
        assert!(hear::<V6>(Direction::Request, 0, "EPSV 2\r\n").asks_extended_passive());
        assert!(!hear::<V6>(Direction::Request, 0, "PASV\r\n").asks_passive());
    }

    #[test]
    fn what_real_servers_answer() {
        let text = "227 Entering Passive Mode (10,1,0,1,195,80).\r\n";
        let heard = hear::<V4>(Direction::Reply, SPEECH_PASSIVE, text);
        assert_eq!(named(heard), Some(([10, 1, 0, 1], 50000)));
        let part = &text[heard.start as usize..heard.end as usize];
        assert_eq!(part, "10,1,0,1,195,80");
        let heard = hear::<V4>(Direction::Reply, SPEECH_PASSIVE, "227 =10,1,0,1,195,80\r\n");
        assert_eq!(named(heard), Some(([10, 1, 0, 1], 50000)));
        // Nobody has asked, or for the other.
        for asked in [0, SPEECH_EXTENDED_PASSIVE] {
            assert!(!hear::<V4>(Direction::Reply, asked, text).is_named());
        }
        let text = "229 Entering Extended Passive Mode (|||50000|)\r\n";
        let heard = hear::<V6>(Direction::Reply, SPEECH_EXTENDED_PASSIVE, text);
        assert_eq!(named(heard), Some(([0; 4], 50000)));
        assert!(heard.is_extended());
        for text in ["230 ok\r\n", "229 x (||50000|)\r\n", "229 x (|||50000)\r\n"] {
            let heard = hear::<V4>(Direction::Reply, SPEECH_EXTENDED_PASSIVE, text);
            assert!(!heard.is_named(), "{text:?}");
        }
    }
}
