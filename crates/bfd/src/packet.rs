//! Control packets (RFC 5880, 4.1).

use core::fmt;

/// Without authentication.
pub const LENGTH: usize = 24;
const VERSION: u8 = 1;

const POLL: u8 = 0x20;
const FINAL: u8 = 0x10;
const AUTHENTICATION: u8 = 0x04;
const DEMAND: u8 = 0x02;
const MULTIPOINT: u8 = 0x01;

/// What a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Held down by somebody.
    AdminDown,
    /// The neighbour is not heard.
    Down,
    /// The neighbour is heard, and has not heard us.
    Init,
    /// Both hear each other.
    Up,
}

impl State {
    /// All of them, by their numbers.
    pub const ALL: [Self; 4] = [Self::AdminDown, Self::Down, Self::Init, Self::Up];

    /// The RFC's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AdminDown => "AdminDown",
            Self::Down => "Down",
            Self::Init => "Init",
            Self::Up => "Up",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::AdminDown => 0,
            Self::Down => 1,
            Self::Init => 2,
            Self::Up => 3,
        }
    }
}

/// Why a session was last not Up (RFC 5880, 4.1: Diag).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Diagnostic(u8);

impl Diagnostic {
    /// Nothing to say.
    pub const NONE: Self = Self(0);
    /// Nothing was heard for the detection time.
    pub const EXPIRED: Self = Self(1);
    /// The neighbour said that it is not Up.
    pub const SIGNALLED: Self = Self(3);
    /// Somebody holds it down.
    pub const ADMINISTRATIVE: Self = Self(7);

    /// Its number, 0 to 31.
    pub const fn number(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            0 => "no diagnostic",
            1 => "nothing was heard for the detection time",
            2 => "echo failed",
            3 => "the neighbour said that the session is down",
            4 => "the forwarding plane was reset",
            5 => "the path is down",
            6 => "a concatenated path is down",
            7 => "held down administratively",
            8 => "a reverse concatenated path is down",
            _ => "a diagnostic that is not known",
        })
    }
}

/// A control packet. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Control {
    /// Why the sender was last not Up.
    pub diagnostic: Diagnostic,
    /// What the sender is.
    pub state: State,
    /// Asks for an answer.
    pub poll: bool,
    /// Is the answer.
    pub answers: bool,
    /// Wants to be silent while all is well; we do not.
    pub demand: bool,
    /// So many may be missed; not 0.
    pub multiplier: u8,
    /// The sender's number of the session; not 0.
    pub mine: u32,
    /// Ours, as far as the sender knows it.
    pub yours: u32,
    /// The least time between two that the sender wants to send.
    pub least_send: u32,
    /// The least time between two that the sender can take; 0 wants none.
    pub least_receive: u32,
    /// The same of echoes.
    pub least_echo: u32,
}

/// What is wrong with a packet by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Too short, or it says another length.
    Length,
    /// Another version than 1.
    Version(u8),
    /// Detection multiplier 0.
    Multiplier,
    /// The multipoint bit.
    Multipoint,
    /// The sender has no number.
    Discriminator,
    /// Authentication, which is not configured.
    Authentication,
}

impl Control {
    /// The bytes.
    pub fn write(&self) -> [u8; LENGTH] {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        let flags = flag(self.poll, POLL) | flag(self.answers, FINAL) | flag(self.demand, DEMAND);
        let mut bytes = [0; LENGTH];
        bytes[0] = VERSION << 5 | self.diagnostic.0 & 0x1f;
        bytes[1] = self.state.number() << 6 | flags;
        bytes[2] = self.multiplier;
        bytes[3] = LENGTH as u8;
        let numbers = [
            self.mine,
            self.yours,
            self.least_send,
            self.least_receive,
            self.least_echo,
        ];
        for (place, number) in bytes[4..].chunks_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Looks at what RFC 5880, 6.8.6 asks before a session is known.
    pub fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let header = bytes.first_chunk::<LENGTH>().ok_or(Malformed::Length)?;
        let version = header[0] >> 5;
        if version != VERSION {
            return Err(Malformed::Version(version));
        }
        let length = usize::from(header[3]);
        if length < LENGTH || length > bytes.len() {
            return Err(Malformed::Length);
        }
        if header[1] & AUTHENTICATION != 0 {
            return Err(Malformed::Authentication);
        }
        if header[2] == 0 {
            return Err(Malformed::Multiplier);
        }
        if header[1] & MULTIPOINT != 0 {
            return Err(Malformed::Multipoint);
        }
        let number = |at: usize| {
            u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        if number(4) == 0 {
            return Err(Malformed::Discriminator);
        }
        let state = match header[1] >> 6 {
            0 => State::AdminDown,
            1 => State::Down,
            2 => State::Init,
            _ => State::Up,
        };
        Ok(Self {
            diagnostic: Diagnostic(header[0] & 0x1f),
            state,
            poll: header[1] & POLL != 0,
            answers: header[1] & FINAL != 0,
            demand: header[1] & DEMAND != 0,
            multiplier: header[2],
            mine: number(4),
            yours: number(8),
            least_send: number(12),
            least_receive: number(16),
            least_echo: number(20),
        })
    }
}
