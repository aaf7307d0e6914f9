//! The states of connections, as IPVS's listings name them.

use weir_config::model::Protocol;

/// The state of a connection, as IPVS's listings name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// TCP or SCTP, nothing seen yet.
    None,
    /// Open both ways.
    Established,
    /// The real server's SYN was seen first.
    SynSent,
    /// The client's SYN was seen.
    SynReceived,
    /// One side has sent FIN.
    FinWait,
    /// Both sides have.
    TimeWait,
    /// Reset, or never opened.
    Close,
    /// The client has sent FIN.
    CloseWait,
    /// The last FIN waits for its ACK.
    LastAck,
    /// Of IPVS's table; no packet leads there.
    Listen,
    /// Of IPVS's table of a client's SYN that was answered by the director.
    SynAck,
    /// UDP has one state only.
    Udp,
    /// SCTP: the client's INIT was seen.
    Init1,
    /// SCTP: INIT was seen again.
    Init,
    /// SCTP: the cookie was sent.
    CookieSent,
    /// SCTP: the cookie was sent in answer to the real server.
    CookieReplied,
    /// SCTP: the cookie is waited for.
    CookieWait,
    /// SCTP: the cookie was seen.
    Cookie,
    /// SCTP: the cookie was echoed.
    CookieEchoed,
    /// SCTP: the client has begun to shut down.
    ShutdownSent,
    /// SCTP: the real server has.
    ShutdownReceived,
    /// SCTP: the shutdown was acknowledged.
    ShutdownAckSent,
    /// SCTP: aborted.
    Rejected,
    /// SCTP: over.
    Closed,
    /// A template whose client has been heard of again.
    Assured,
    /// Not a number that a state has.
    Bug,
}

impl State {
    /// All of them; the states of TCP first, by number.
    pub const ALL: [Self; 26] = [
        Self::None,
        Self::Established,
        Self::SynSent,
        Self::SynReceived,
        Self::FinWait,
        Self::TimeWait,
        Self::Close,
        Self::CloseWait,
        Self::LastAck,
        Self::Listen,
        Self::SynAck,
        Self::Udp,
        Self::Init1,
        Self::Init,
        Self::CookieSent,
        Self::CookieReplied,
        Self::CookieWait,
        Self::Cookie,
        Self::CookieEchoed,
        Self::ShutdownSent,
        Self::ShutdownReceived,
        Self::ShutdownAckSent,
        Self::Rejected,
        Self::Closed,
        Self::Assured,
        Self::Bug,
    ];
    const OF_TCP: usize = 11;
    /// The states of SCTP by number.
    const OF_SCTP: [Self; 14] = [
        Self::None,
        Self::Init1,
        Self::Init,
        Self::CookieSent,
        Self::CookieReplied,
        Self::CookieWait,
        Self::Cookie,
        Self::CookieEchoed,
        Self::Established,
        Self::ShutdownSent,
        Self::ShutdownReceived,
        Self::ShutdownAckSent,
        Self::Rejected,
        Self::Closed,
    ];

    /// The name in IPVS's listings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Established => "ESTABLISHED",
            Self::SynSent => "SYN_SENT",
            Self::SynReceived => "SYN_RECV",
            Self::FinWait => "FIN_WAIT",
            Self::TimeWait => "TIME_WAIT",
            Self::Close => "CLOSE",
            Self::CloseWait => "CLOSE_WAIT",
            Self::LastAck => "LAST_ACK",
            Self::Listen => "LISTEN",
            Self::SynAck => "SYNACK",
            Self::Udp => "UDP",
            Self::Init1 => "INIT1",
            Self::Init => "INIT",
            Self::CookieSent => "C-SENT",
            Self::CookieReplied => "C-REPLIED",
            Self::CookieWait => "C-WAIT",
            Self::Cookie => "COOKIE",
            Self::CookieEchoed => "C-ECHOED",
            Self::ShutdownSent => "S-SENT",
            Self::ShutdownReceived => "S-RECEIVED",
            Self::ShutdownAckSent => "S-ACK-SENT",
            Self::Rejected => "REJECTED",
            Self::Closed => "CLOSED",
            Self::Assured => "ASSURED",
            Self::Bug => "BUG!",
        }
    }

    /// The state of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    pub(super) fn of(protocol: Protocol, number: u8) -> Self {
        let named = match protocol {
            Protocol::Tcp => Self::ALL[..Self::OF_TCP].get(number as usize),
            Protocol::Udp => return Self::Udp,
            Protocol::Sctp => Self::OF_SCTP.get(number as usize),
        };
        named.copied().unwrap_or(Self::Bug)
    }

    pub(super) const fn of_template(number: u8) -> Self {
        match number {
            1 => Self::Assured,
            _ => Self::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_have_the_names_of_ipvs() {
        let names: Vec<&str> = (0..12)
            .map(|n| State::of(Protocol::Tcp, n).name())
            .collect();
        assert_eq!(
            names.join(" "),
            "NONE ESTABLISHED SYN_SENT SYN_RECV FIN_WAIT TIME_WAIT CLOSE CLOSE_WAIT LAST_ACK LISTEN SYNACK BUG!"
        );
        let names: Vec<&str> = (0..15)
            .map(|n| State::of(Protocol::Sctp, n).name())
            .collect();
        assert_eq!(
            names.join(" "),
            "NONE INIT1 INIT C-SENT C-REPLIED C-WAIT COOKIE C-ECHOED ESTABLISHED S-SENT S-RECEIVED S-ACK-SENT REJECTED CLOSED BUG!"
        );
        for state in State::ALL {
            assert_eq!(State::from_name(state.name()), Some(state));
        }
    }
}
