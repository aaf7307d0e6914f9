//! Rules that are there while a router is Active.

use std::io;

use config::model::vrrp::VirtualRule;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST};
use netlink_packet_route::route::{RouteHeader, RouteProtocol};
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use weir_config as config;

use crate::netlink::{Netlink, unless};

/// `RTPROT_KEEPALIVED`.
const PROTOCOL: u8 = 18;

impl Netlink {
    /// Puts a rule in place; already there is fine.
    pub fn add_rule(&mut self, wanted: &VirtualRule) -> io::Result<()> {
        let request = RouteNetlinkMessage::NewRule(message(wanted));
        let how = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
        let done = self.ask(request, how);
        unless(done, &[libc::EEXIST])
    }

    /// Takes a rule away; already gone is fine.
    pub fn remove_rule(&mut self, wanted: &VirtualRule) -> io::Result<()> {
        let request = RouteNetlinkMessage::DelRule(message(wanted));
        let done = self.ask(request, NLM_F_REQUEST | NLM_F_ACK);
        unless(done, &[libc::ENOENT])
    }
}

fn message(wanted: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let v6 = [wanted.from, wanted.to]
        .into_iter()
        .flatten()
        .next()
        .map_or(wanted.v6, |prefix| prefix.address().is_ipv6());
    let header = &mut message.header;
    header.family = if v6 {
        AddressFamily::Inet6
    } else {
        AddressFamily::Inet
    };
    header.action = RuleAction::ToTable;
    header.table = u8::try_from(wanted.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    let attributes = &mut message.attributes;
    attributes.push(RuleAttribute::Table(wanted.table));
    attributes.push(RuleAttribute::Protocol(RouteProtocol::from(PROTOCOL)));
    if let Some(prefix) = wanted.from {
        header.src_len = prefix.length();
        attributes.push(RuleAttribute::Source(prefix.address()));
    }
    if let Some(prefix) = wanted.to {
        header.dst_len = prefix.length();
        attributes.push(RuleAttribute::Destination(prefix.address()));
    }
    if let Some(name) = &wanted.input {
        attributes.push(RuleAttribute::Iifname(name.as_str().to_owned()));
    }
    if let Some(name) = &wanted.output {
        attributes.push(RuleAttribute::Oifname(name.as_str().to_owned()));
    }
    if let Some((mark, mask)) = wanted.mark {
        attributes.push(RuleAttribute::FwMark(mark));
        attributes.push(RuleAttribute::FwMask(mask));
    }
    if let Some(priority) = wanted.priority {
        attributes.push(RuleAttribute::Priority(priority));
    }
    message
}
