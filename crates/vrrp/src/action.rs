//! What a router wants done. Actions are carried out in their order.

use std::net::IpAddr;

use weir_config::model::vrrp::VirtualRouterId;

use crate::Name;
use crate::State;
use crate::view::Transition;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Send an advertisement.
    Send(Datagram),
    /// Put the instance's addresses, routes and rules, and let through or refuse what comes for its addresses
    /// (`accept`), in keepalived's order: refusal, addresses, excluded addresses, routes, rules. What is there already stays; what was put for the instance
    /// by an earlier one and is not configured any more goes.
    Take(Name),
    /// Take the instance's rules, routes, addresses and refusal away. What is not there is no error. Announcements of it
    /// that have not been sent are forgotten.
    Release(Name),
    /// Announce all addresses of the instance (also the excluded ones) by so many rounds of gratuitous ARP and
    /// unsolicited NA.
    Announce {
        /// The instance.
        instance: Name,
        /// How many rounds.
        rounds: u16,
    },
    /// Announce the address that the instance speaks from, once: unicast peers may have forgotten its neighbour entry.
    AnnounceSource {
        /// The instance.
        instance: Name,
        /// The address.
        source: IpAddr,
    },
    /// Tell scripts, FIFOs and mail.
    Notify(Notice),
    /// What an instance or a group has become and why: for the log, the audit log and the event stream.
    Record {
        /// Who.
        who: Subject,
        /// What and why.
        transition: Transition,
    },
    /// Something that the operator should know, said once until it is over.
    Complain {
        /// The instance.
        instance: Name,
        /// What.
        text: String,
    },
    /// An instance is no more; its sockets may be closed, and its virtual link removed.
    Gone(Name),
}

/// An advertisement to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The instance whose it is.
    pub instance: Name,
    /// Its number on the link.
    pub router_id: VirtualRouterId,
    /// From where.
    pub source: IpAddr,
    /// To whom: the group, or a peer.
    pub destination: IpAddr,
    /// The hop limit.
    pub hop_limit: u8,
    /// 112, or 51 under the authentication header.
    pub protocol: u8,
    /// The whole packet with its header of IPv4 (which the authentication header covers: it is sent as it is), of IPv6
    /// what follows the header, its checksum in it.
    pub bytes: Vec<u8>,
}

/// Whom a notification or a record is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// An instance.
    Instance(Name),
    /// A group.
    Group(Name),
}

/// What scripts, FIFOs and mail are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// It has another state.
    State {
        /// Who.
        who: Subject,
        /// What it is now.
        state: State,
        /// Its priority; a group's is 0.
        priority: u8,
    },
    /// It stops (`notify_stop`).
    Stop {
        /// Who.
        who: Subject,
        /// Its priority; a group's is 0.
        priority: u8,
    },
    /// A reload has removed it (`notify_deleted`, or `notify_fault` where there is none).
    Deleted {
        /// Who.
        who: Subject,
        /// Its priority; a group's is 0.
        priority: u8,
    },
    /// Its priority has changed (told only if `notifications.priority_changes`).
    Priority {
        /// Who.
        who: Subject,
        /// What it is.
        state: State,
        /// The priority now.
        priority: u8,
    },
    /// While Active, it heard a lower priority (`notify_master_rx_lower_pri`).
    LowerPriority {
        /// The instance.
        instance: Name,
        /// Our priority.
        priority: u8,
    },
}
