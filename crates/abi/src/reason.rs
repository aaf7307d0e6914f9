//! Why a packet went where it went: every exit of the packet path has one of these, and a counter.

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Rewritten and sent on by Weir.
    Forwarded,
    /// Made an ICMP error and sent back where it came from.
    Answered,
    /// Left to the kernel's stack.
    Passed,
    /// Dropped.
    Dropped,
    /// Kept, to come round again: it is counted once more then.
    Held,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal, $outcome:ident;)*) => {
        /// Why a packet was forwarded, passed or dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum Reason {
            $($(#[$doc])* $variant = $number,)*
        }

        impl Reason {
            /// All of them, by number.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name under which status, API and metrics show it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What becomes of packets with this reason.
            #[inline(always)]
            pub const fn outcome(self) -> Outcome {
                match self { $(Self::$variant => Outcome::$outcome,)* }
            }
        }
    };
}

reasons! {
    /// A client's packet, sent to its real server.
    Request = 0, "request", Forwarded;
    /// A real server's packet, sent to its client.
    Reply = 1, "reply", Forwarded;
    /// An ICMP error in answer to a packet: no real server is available.
    NoDestination = 2, "no-destination", Answered;
    /// An ICMP error in answer to a packet: its TTL or hop limit ran out.
    TimeExceeded = 3, "time-exceeded", Answered;
    /// An ICMP error in answer to a packet: larger than the next link and not to be fragmented.
    TooBig = 4, "too-big", Answered;
    /// Not IPv4 or IPv6.
    NotInternet = 5, "not-internet", Passed;
    /// A protocol that no service can have.
    OtherProtocol = 6, "other-protocol", Passed;
    /// No service and no connection has this packet.
    NotOurs = 7, "not-ours", Passed;
    /// For a service, but of no connection and not able to begin one.
    NotConnected = 8, "not-connected", Passed;
    /// A fragment: the kernel's stack has it.
    Fragment = 9, "fragment", Passed;
    /// Sent to another station, seen here all the same.
    OtherStation = 10, "other-station", Passed;
    /// The next hop's link address is unknown: the slower path resolves it.
    NoNeighbour = 11, "no-neighbour", Passed;
    /// XDP cannot send out of the interface that the route names: the slower path can.
    NotTransmittable = 12, "not-transmittable", Passed;
    /// Carries a VLAN tag: the slower path rewrites it.
    Tagged = 13, "tagged", Passed;
    /// Larger than the next link and to be fragmented: the kernel's stack does it.
    ToBeFragmented = 14, "to-be-fragmented", Passed;
    /// Shorter than its own headers say, or with lengths that contradict each other.
    Malformed = 15, "malformed", Passed;
    /// A reply whose TTL or hop limit runs out here, or that is larger than the next link: the
    /// kernel's stack tells the real server.
    ReplyRefused = 16, "reply-refused", Passed;
    /// A source address that nobody can have: the kernel's stack judges it.
    MartianSource = 17, "martian-source", Passed;
    /// Its real server has been removed from the service.
    DestinationGone = 18, "destination-gone", Dropped;
    /// The connection table is full.
    TableFull = 19, "table-full", Dropped;
    /// A reply without a route to its client.
    NoRoute = 20, "no-route", Dropped;
    /// The kernel does not forward on the interface that the packet came in by.
    ForwardingDisabled = 21, "forwarding-disabled", Dropped;
    /// The kernel refused to rewrite or send the packet.
    KernelRefused = 22, "kernel-refused", Dropped;
    /// Another processor changed the connection at the same moment, again and again.
    Contended = 23, "contended", Dropped;
    /// An ICMP error in answer to a packet: no route to its real server.
    HostUnreachable = 24, "host-unreachable", Answered;
    /// ICMP, and no error about a connection.
    Icmp = 25, "icmp", Passed;
    /// The program that would go on with the packet is not there: the kernel's stack has it.
    PartMissing = 26, "part-missing", Passed;
    /// An ICMP error about a reply, sent to the real server.
    IcmpToServer = 27, "icmp-to-server", Forwarded;
    /// An ICMP error about a request, sent to the client.
    IcmpToClient = 28, "icmp-to-client", Forwarded;
    /// An ICMP error that cannot be sent on; no ICMP error may say so (RFC 1122, 3.2.2).
    IcmpUndeliverable = 29, "icmp-undeliverable", Dropped;
    /// An ICMP error about a connection whose checksum is wrong.
    IcmpDamaged = 30, "icmp-damaged", Dropped;
    /// A client's packet for a real server that is the director itself: the kernel's stack has it.
    LocalServer = 31, "local-server", Passed;
    /// `drop_packet` is in force, and this one's turn has come.
    DropRate = 32, "drop-rate", Dropped;
    /// Larger than the next link: sent by a method under which the kernel cannot fragment it.
    NotFragmented = 33, "not-fragmented", Dropped;
    /// A fragment that came before the first one of its packet: a copy waits for that, and is counted
    /// again when it goes on.
    FragmentHeld = 34, "fragment-held", Held;
    /// A first fragment for which others waited: it goes round again, they behind it, and all are
    /// counted again.
    FragmentsReleased = 35, "fragments-released", Held;
    /// A fragment whose first one was not forwarded or did not come in time, or for which there was no
    /// room to wait.
    FragmentLost = 36, "fragment-lost", Dropped;
    /// Of a connection whose payload speaks of addresses: another part of the path reads it.
    Application = 37, "application", Passed;
    /// FULLNAT: no port of the service's addresses is free towards the real server.
    PortsExhausted = 38, "ports-exhausted", Dropped;
    /// A TCP reset in answer to a packet that no real server takes, as its service wants it.
    Reset = 39, "reset", Answered;
    /// A packet that no real server takes, whose service wants nothing said.
    Refused = 40, "refused", Dropped;
    /// A packet of a check, which goes the way of its service's packets.
    CheckRequest = 41, "check-request", Passed;
    /// A real server's reply to a check: the kernel's stack has it, as if from the real server's own address.
    CheckReply = 42, "check-reply", Passed;
    /// A reply of a real server that is the director itself, on its way from the kernel's stack to the client.
    LocalReply = 43, "local-reply", Passed;
    /// Of a connection between the address families: another part of the path translates it.
    OtherFamily = 44, "other-family", Passed;
    /// For a service that persists by Call-ID, and without one that counts.
    NoCallId = 45, "no-call-id", Dropped;
    /// For a virtual address, while the director is no more than the backup of a sync master and
    /// `backup_only` is set: the kernel's stack has it.
    BackupOnly = 46, "backup-only", Passed;
    /// An ICMP error in answer to a real server's packet of no connection (`nat_icmp_send`).
    Stray = 47, "stray", Answered;
    /// Larger than the next link, by a method under which the kernel cannot fragment it: cut in two, which
    /// go round again and are counted then.
    Cut = 48, "cut", Held;
}

impl Reason {
    /// Whether XDP's part in the packet is over: it is on its way, dropped, or left to TC as another
    /// kind of work. What XDP merely does not want, TC meets again, and counts.
    #[inline(always)]
    pub const fn is_final_in_xdp(self) -> bool {
        match self {
            Self::NotInternet
            | Self::OtherProtocol
            | Self::NotOurs
            | Self::NotConnected
            | Self::Fragment
            | Self::Icmp
            | Self::PartMissing
            | Self::Application
            | Self::OtherFamily
            | Self::OtherStation
            | Self::Malformed
            | Self::ReplyRefused
            | Self::MartianSource
            | Self::CheckRequest
            | Self::CheckReply
            | Self::LocalReply
            | Self::BackupOnly => false,
            Self::Request
            | Self::Reply
            | Self::NoDestination
            | Self::TimeExceeded
            | Self::TooBig
            | Self::NoNeighbour
            | Self::NotTransmittable
            | Self::Tagged
            | Self::ToBeFragmented
            | Self::DestinationGone
            | Self::TableFull
            | Self::NoRoute
            | Self::ForwardingDisabled
            | Self::KernelRefused
            | Self::Contended
            | Self::FragmentHeld
            | Self::FragmentsReleased
            | Self::FragmentLost
            | Self::HostUnreachable
            | Self::IcmpToServer
            | Self::IcmpToClient
            | Self::IcmpUndeliverable
            | Self::IcmpDamaged
            | Self::LocalServer
            | Self::DropRate
            | Self::NotFragmented
            | Self::PortsExhausted
            | Self::NoCallId
            | Self::Reset
            | Self::Refused
            | Self::Stray
            | Self::Cut => true,
        }
    }
}

/// How many reasons there are.
pub const REASONS: usize = Reason::ALL.len();
