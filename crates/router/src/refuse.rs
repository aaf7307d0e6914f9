//! Drops what is sent to addresses that are here but not owned (RFC 9568, 6.1: Accept_Mode), by a table
//! of nftables of our own. What the packet programs take does not come by there: services go on.
//!
//! The table is written whole whenever it changes, in one transaction, straight to the kernel: no program
//! needs to be installed or started while a router takes over.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use netlink_sys::protocols::NETLINK_NETFILTER;
use netlink_sys::{Socket, SocketAddr};

const TABLE: &str = "weir-vrrp";
const CHAIN: &str = "input";

/// Message types of linux/netfilter/nfnetlink.h and nf_tables.h.
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;
const NFTABLES: u16 = 10;
const NEW_TABLE: u16 = NFTABLES << 8;
const DELETE_TABLE: u16 = NFTABLES << 8 | 2;
const NEW_CHAIN: u16 = NFTABLES << 8 | 3;
const NEW_RULE: u16 = NFTABLES << 8 | 6;

const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
const NESTED: u16 = 0x8000;
const ERROR: u16 = 2;

const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;
const ICMPV6: u8 = 58;
/// Router solicitation to redirect (RFC 4861): who may not speak to an address must still find it.
const NEIGHBOUR_DISCOVERY: (u8, u8) = (133, 137);

const HOOK_INPUT: u32 = 1;
const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;
const META_FAMILY: u32 = 15;
const META_PROTOCOL: u32 = 16;
const EQUAL: u32 = 0;
const AT_MOST: u32 = 3;
const AT_LEAST: u32 = 5;
const DROP: u32 = 0;
const ACCEPT: u32 = 1;
const REGISTER: u32 = 1;

/// What is refused, by instance.
#[derive(Debug, Default)]
pub struct Refusals {
    refused: BTreeMap<String, Vec<IpAddr>>,
}

impl Refusals {
    /// Nothing is refused.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refuses what is sent to an instance's addresses.
    pub fn refuse(&mut self, instance: &str, addresses: Vec<IpAddr>) -> io::Result<()> {
        self.refused.insert(instance.to_owned(), addresses);
        self.write()
    }

    /// Refuses nothing of an instance any more.
    pub fn accept(&mut self, instance: &str) -> io::Result<()> {
        if self.refused.remove(instance).is_some() {
            self.write()
        } else {
            Ok(())
        }
    }

    fn write(&self) -> io::Result<()> {
        let addresses: Vec<IpAddr> = self.refused.values().flatten().copied().collect();
        transact(&batch(&addresses))
    }
}

/// The messages that make the table refuse these addresses and no others.
fn batch(addresses: &[IpAddr]) -> Batch {
    let mut batch = Batch::default();
    let table = |flags, kind, batch: &mut Batch| {
        batch.message(kind, flags, |message| message.text(1, TABLE));
    };
    // Made first, so that there is one to remove.
    table(CREATE, NEW_TABLE, &mut batch);
    table(0, DELETE_TABLE, &mut batch);
    if addresses.is_empty() {
        return batch;
    }
    table(CREATE, NEW_TABLE, &mut batch);
    batch.message(NEW_CHAIN, CREATE, |message| {
        message.text(1, TABLE);
        message.text(3, CHAIN);
        message.nest(4, |hook| {
            hook.number(1, HOOK_INPUT);
            hook.number(2, 0);
        });
        message.text(7, "filter");
    });
    if addresses.iter().any(IpAddr::is_ipv6) {
        batch.rule(|expressions| {
            meta(expressions, META_PROTOCOL);
            compare(expressions, EQUAL, &[ICMPV6]);
            payload(expressions, TRANSPORT_HEADER, 0, 1);
            compare(expressions, AT_LEAST, &[NEIGHBOUR_DISCOVERY.0]);
            compare(expressions, AT_MOST, &[NEIGHBOUR_DISCOVERY.1]);
            verdict(expressions, ACCEPT);
        });
    }
    for address in addresses {
        batch.rule(|expressions| {
            meta(expressions, META_FAMILY);
            match address {
                IpAddr::V4(address) => {
                    compare(expressions, EQUAL, &[FAMILY_IPV4]);
                    payload(expressions, NETWORK_HEADER, 16, 4);
                    compare(expressions, EQUAL, &address.octets());
                }
                IpAddr::V6(address) => {
                    compare(expressions, EQUAL, &[FAMILY_IPV6]);
                    payload(expressions, NETWORK_HEADER, 24, 16);
                    compare(expressions, EQUAL, &address.octets());
                }
            }
            verdict(expressions, DROP);
        });
    }
    batch
}

fn expression(list: &mut Attributes, name: &str, data: impl FnOnce(&mut Attributes)) {
    list.nest(1, |element| {
        element.text(1, name);
        element.nest(2, data);
    });
}

fn meta(list: &mut Attributes, key: u32) {
    expression(list, "meta", |data| {
        data.number(1, REGISTER);
        data.number(2, key);
    });
}

fn payload(list: &mut Attributes, base: u32, offset: u32, length: u32) {
    expression(list, "payload", |data| {
        data.number(1, REGISTER);
        data.number(2, base);
        data.number(3, offset);
        data.number(4, length);
    });
}

fn compare(list: &mut Attributes, how: u32, with: &[u8]) {
    expression(list, "cmp", |data| {
        data.number(1, REGISTER);
        data.number(2, how);
        data.nest(3, |value| value.bytes(1, with));
    });
}

fn verdict(list: &mut Attributes, code: u32) {
    expression(list, "immediate", |data| {
        data.number(1, 0);
        data.nest(2, |value| value.nest(2, |verdict| verdict.number(1, code)));
    });
}

/// Attributes one after the other, each padded to four bytes. Their numbers are big-endian here.
#[derive(Default)]
struct Attributes(Vec<u8>);

impl Attributes {
    fn bytes(&mut self, kind: u16, value: &[u8]) {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        self.bytes(kind, &[value.as_bytes(), &[0]].concat());
    }

    fn number(&mut self, kind: u16, value: u32) {
        self.bytes(kind, &value.to_be_bytes());
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        fill(&mut inner);
        self.bytes(kind | NESTED, &inner.0);
    }
}

/// The messages of a transaction, each acknowledged.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    messages: u32,
}

impl Batch {
    fn message(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Attributes)) {
        let mut attributes = Attributes::default();
        fill(&mut attributes);
        self.messages += 1;
        let flags = REQUEST | ACKNOWLEDGE | flags;
        header(&mut self.bytes, kind, flags, self.messages, FAMILY_INET, 0);
        self.finish(&attributes.0);
    }

    fn rule(&mut self, fill: impl FnOnce(&mut Attributes)) {
        self.message(NEW_RULE, CREATE | APPEND, |message| {
            message.text(1, TABLE);
            message.text(2, CHAIN);
            message.nest(4, fill);
        });
    }

    fn finish(&mut self, attributes: &[u8]) {
        let at = self.bytes.len() - HEADER;
        self.bytes.extend(attributes);
        let length = u32::try_from(HEADER + attributes.len()).unwrap_or(u32::MAX);
        self.bytes[at..at + 4].copy_from_slice(&length.to_ne_bytes());
    }
}

/// Of netlink and nfnetlink together.
const HEADER: usize = 20;

fn header(to: &mut Vec<u8>, kind: u16, flags: u16, sequence: u32, family: u8, resource: u16) {
    to.extend(20_u32.to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(flags.to_ne_bytes());
    to.extend(sequence.to_ne_bytes());
    to.extend([0; 4]);
    to.extend([family, 0]);
    to.extend(resource.to_be_bytes());
}

fn transact(batch: &Batch) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_NETFILTER)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut all = Vec::with_capacity(batch.bytes.len() + 2 * HEADER);
    header(&mut all, BATCH_BEGIN, REQUEST, 0, 0, NFTABLES);
    all.extend(&batch.bytes);
    header(
        &mut all,
        BATCH_END,
        REQUEST,
        batch.messages + 1,
        0,
        NFTABLES,
    );
    socket.send(&all, 0)?;
    let mut acknowledged = 0;
    let mut buffer = Vec::with_capacity(64 << 10);
    while acknowledged < batch.messages {
        buffer.clear();
        socket.recv(&mut buffer, 0)?;
        let mut rest = &buffer[..];
        while let Some((code, next)) = acknowledgement(rest) {
            if code != 0 {
                return Err(io::Error::from_raw_os_error(-code));
            }
            acknowledged += 1;
            rest = next;
        }
    }
    Ok(())
}

/// The code of the first message, 0 for well, and what follows it.
fn acknowledgement(bytes: &[u8]) -> Option<(i32, &[u8])> {
    let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
    let code = i32::from_ne_bytes(bytes.get(16..20)?.try_into().ok()?);
    let next = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    (kind == ERROR).then_some((code, next))
}
