//! The parts of the packet path.
//!
//! In the kernel each is a program, which another goes on to by a tail call: it has its own stack,
//! and the verifier looks at it for itself. What most packets do not need costs them nothing.

use weir_abi::reason::Reason;

use crate::hook::Hook;
use crate::length;
use crate::tables::Tables;
use crate::{
    adopt, application, call, carry, check, cut, fragment, nat64, related, seldom, stray, tunnelled,
};

/// A part that others go on to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Part {
    /// The way of packets of IPv4 about which something is to be asked: [`length::at_length4`].
    Length4 = 0,
    /// The same for IPv6.
    Length6 = 1,
    /// ICMP errors about connections.
    Related = 2,
    /// Fragments.
    Fragment = 3,
    /// Connections of IPv4 whose payload speaks of addresses.
    Application4 = 4,
    /// SCTP, AH and ESP over IPv4.
    Seldom4 = 5,
    /// The same over IPv6.
    Seldom6 = 6,
    /// Fragments of IPv4 whose connection is known.
    Carry4 = 7,
    /// The same of IPv6.
    Carry6 = 8,
    /// Connections of IPv6 whose payload speaks of addresses.
    Application6 = 9,
    /// ICMP errors about the outer packets of tunnels.
    Tunnelled = 10,
    /// What may be a reply to a check.
    Check = 11,
    /// Packets of IPv4 that leave as IPv6.
    Cross4 = 12,
    /// Packets of IPv6 that leave as IPv4.
    Cross6 = 13,
    /// ICMP errors of IPv4 that leave as those of IPv6.
    CrossError4 = 14,
    /// The same the other way.
    CrossError6 = 15,
    /// Packets of IPv4 that begin connections of calls (SIP).
    Call4 = 16,
    /// The same of IPv6.
    Call6 = 17,
    /// What may be a real server's packet of no connection.
    Stray = 18,
    /// ICMP errors about no connection, which may begin it.
    Adopt = 19,
    /// Packets of IPv4 that are to be cut.
    Cut = 20,
    /// Fragments of IPv4 whose connection is known, with both ends to be translated.
    CarryLocal4 = 22,
    /// The same of IPv6.
    CarryLocal6 = 23,
    /// ICMP errors of IPv6 about the outer packets of tunnels. (24 is [`weir_abi::names::PART_DEPART`].)
    Tunnelled6 = 25,
    /// Fragments of SCTP, AH and ESP.
    FragmentSeldom = 26,
    /// Those of IPv4 whose connection is known.
    CarrySeldom4 = 27,
    /// The same of IPv6.
    CarrySeldom6 = 28,
    /// Those of IPv4 with both ends to be translated.
    CarryLocalSeldom4 = 29,
    /// The same of IPv6.
    CarryLocalSeldom6 = 30,
}

/// Does one part's work.
#[inline(always)]
pub fn run<H: Hook, T: Tables>(hook: &mut H, tables: &T, part: Part) -> H::Verdict {
    match part {
        Part::Length4 => length::at_length4(hook, tables),
        Part::Length6 => length::at_length6(hook, tables),
        Part::Related => related::related(hook, tables),
        Part::Fragment => fragment::fragment::<H, T, false>(hook, tables),
        Part::FragmentSeldom => fragment::fragment::<H, T, true>(hook, tables),
        Part::Application4 => application::application4(hook, tables),
        Part::Application6 => application::application6(hook, tables),
        Part::Seldom4 => seldom::seldom4(hook, tables),
        Part::Seldom6 => seldom::seldom6(hook, tables),
        Part::Carry4 => carry::carry4::<H, T, false, false>(hook, tables),
        Part::Carry6 => carry::carry6::<H, T, false, false>(hook, tables),
        Part::Tunnelled => tunnelled::tunnelled(hook, tables),
        Part::Tunnelled6 => tunnelled::tunnelled6(hook, tables),
        Part::Check => check::arrive(hook, tables),
        Part::Cross4 => nat64::cross4(hook, tables),
        Part::Cross6 => nat64::cross6(hook, tables),
        Part::CrossError4 => nat64::error::cross4(hook, tables),
        Part::CrossError6 => nat64::error::cross6(hook, tables),
        Part::Call4 => call::call4(hook, tables),
        Part::Call6 => call::call6(hook, tables),
        Part::Stray => stray::stray(hook, tables),
        Part::Adopt => adopt::adopt(hook, tables),
        Part::Cut => cut::cut(hook, tables),
        Part::CarryLocal4 => carry::carry4::<H, T, true, false>(hook, tables),
        Part::CarryLocal6 => carry::carry6::<H, T, true, false>(hook, tables),
        Part::CarrySeldom4 => carry::carry4::<H, T, false, true>(hook, tables),
        Part::CarrySeldom6 => carry::carry6::<H, T, false, true>(hook, tables),
        Part::CarryLocalSeldom4 => carry::carry4::<H, T, true, true>(hook, tables),
        Part::CarryLocalSeldom6 => carry::carry6::<H, T, true, true>(hook, tables),
    }
}

/// The part that packets with this reason are for, where parsing has found no more than that.
#[inline(always)]
pub const fn part_of(reason: Reason) -> Option<Part> {
    match reason {
        Reason::Icmp => Some(Part::Related),
        Reason::Fragment => Some(Part::Fragment),
        Reason::Request
        | Reason::Reply
        | Reason::NoDestination
        | Reason::TimeExceeded
        | Reason::TooBig
        | Reason::NotInternet
        | Reason::OtherProtocol
        | Reason::NotOurs
        | Reason::NotConnected
        | Reason::OtherStation
        | Reason::NoNeighbour
        | Reason::NotTransmittable
        | Reason::Tagged
        | Reason::ToBeFragmented
        | Reason::Malformed
        | Reason::ReplyRefused
        | Reason::MartianSource
        | Reason::DestinationGone
        | Reason::TableFull
        | Reason::NoRoute
        | Reason::ForwardingDisabled
        | Reason::KernelRefused
        | Reason::LocalServer
        | Reason::DropRate
        | Reason::NotFragmented
        | Reason::FragmentHeld
        | Reason::FragmentsReleased
        | Reason::FragmentLost
        | Reason::PortsExhausted
        | Reason::Reset
        | Reason::Refused
        | Reason::Contended
        | Reason::HostUnreachable
        | Reason::Application
        | Reason::OtherFamily
        | Reason::PartMissing
        | Reason::IcmpToServer
        | Reason::IcmpToClient
        | Reason::IcmpUndeliverable
        | Reason::IcmpDamaged
        | Reason::CheckRequest
        | Reason::CheckReply
        | Reason::LocalReply
        | Reason::NoCallId
        | Reason::BackupOnly
        | Reason::Stray
        | Reason::Cut => None,
    }
}
