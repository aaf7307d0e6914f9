//! ICMP errors about the outer packets of tunnels: the client hears of them as of errors about its own
//! packet (`ip_vs_in_icmp`).
//!
//! So it does of the size of the largest packet that gets through: what a router says of the outer
//! packet, less what wrapping adds. IPv4 in IPv4, as in IPVS; all else is left to the kernel.

use weir_abi::keys::{Direction, FAMILY_V4, FlowValue, ServerKey};
use weir_abi::reason::Reason;
use weir_abi::service::{FORWARD_TUNNEL, TUNNEL_GRE, TUNNEL_GUE, TUNNEL_IPIP};
use weir_wire::ethernet::{EtherType, Ethernet};
use weir_wire::gre::{GRE, Gre, GreChecksum};
use weir_wire::gue::Gue;
use weir_wire::icmp::IcmpError;
use weir_wire::ipv4::Ipv4;
use weir_wire::packet::Packet;
use weir_wire::transport::{ICMP, Ports, UDP, Udp};

use crate::adopt;
use crate::connection;
use crate::family::{Flow, Record, V4};
use crate::hook::{Hook, Refused, Route};
use crate::icmp::write4;
use crate::job::{Job, is_available, is_backup_only};
use crate::parse::Segment;
use crate::part::Part;
use crate::related::parse::{Errors, Quoted, link};
use crate::related::translate::is_whole;
use crate::tables::Tables;
use crate::translate::replacement;

/// IANA number of IPv4 in IP.
const IPV4_IN_IP: u8 = 4;
/// Network and ICMP header of the error that the client gets.
const HEADERS: usize = Ipv4::LENGTH + IcmpError::LENGTH;
/// The largest ICMP error (RFC 1812, 4.3.2.3).
const LARGEST: usize = 576;

/// What an error says, and about which packet in the tunnel.
#[derive(Clone, Copy, Default)]
struct Report {
    kind: u8,
    code: u8,
    information: u32,
    /// What wrapping adds.
    overhead: u32,
    /// The packet in the tunnel.
    passenger: Quoted<[u32; 1]>,
}

impl Report {
    /// Whether it says that the packet was too large.
    const fn is_too_big(&self) -> bool {
        self.kind == 3 && self.code == 4
    }

    /// The second word of the error for the client.
    fn forwarded_information(&self) -> u32 {
        // No packet is too large for a link of that size (RFC 791).
        const LEAST: u32 = 68;
        let mtu = self.information & 0xffff;
        if !self.is_too_big() {
            self.information
        } else if mtu > LEAST + self.overhead {
            mtu - self.overhead
        } else {
            mtu
        }
    }
}

/// Decides about one such packet.
#[inline(always)]
pub fn tunnelled<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = reason(hook, tables);
    let are_scheduled = match tables.settings() {
        Some(settings) => adopt::are_scheduled(settings),
        None => false,
    };
    if reason == Reason::Icmp && are_scheduled {
        return hook.go_on(tables, Part::Adopt);
    }
    hook.conclude(reason)
}

#[inline(always)]
fn reason<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    match link(hook) {
        // A tag in the bytes would have to be carried over. TC sees single tags stripped.
        Some((EtherType::Ipv4, Ethernet::LENGTH)) => {}
        Some(_) | None => return Reason::Icmp,
    }
    let Some(settings) = tables.settings() else {
        return Reason::NotOurs;
    };
    if is_backup_only(settings) {
        return Reason::Icmp;
    }
    let mut job = Job::<V4, H, T>::new(hook, tables, settings, Segment::default());
    let mut report = Report::default();
    if let Some(reason) = read(job.hook, tables, &mut job.segment, &mut report) {
        return reason;
    }
    if let Some(reason) = find(&job, &mut report) {
        return reason;
    }
    relay(&mut job, &report)
}

/// Reads an error about a tunnel's packet, or says why not.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read<H: Hook, T: Tables>(
    hook: &H,
    tables: &T,
    segment: &mut Segment<[u32; 1]>,
    report: &mut Report,
) -> Option<Reason> {
    match V4::outer(hook, tables, Ethernet::LENGTH) {
        Ok(outer) => *segment = outer,
        Err(reason) => return Some(reason),
    }
    match hook.header::<IcmpError>(segment.payload as usize) {
        Some(error) if V4::is_error(error.kind()) => {
            report.kind = error.kind();
            report.code = error.code();
            report.information = error.information();
        }
        Some(_) | None => return Some(Reason::Icmp),
    }
    let outer = segment.payload as usize + IcmpError::LENGTH;
    let end = Ethernet::LENGTH + segment.length as usize;
    let Some(begin) = passenger(hook, tables, outer) else {
        return Some(Reason::Icmp);
    };
    report.overhead = (begin - outer) as u32;
    match V4::quoted(hook, tables, begin, end) {
        Some(passenger) => report.passenger = passenger,
        None => return Some(Reason::Icmp),
    }
    None
}

/// Where the packet in a tunnel begins, whose outer network header begins at `outer`, if it is one of
/// our tunnels.
#[inline(always)]
fn passenger<P: Packet, T: Tables>(packet: &P, tables: &T, outer: usize) -> Option<usize> {
    let header = packet.header::<Ipv4>(outer)?;
    let length = header.header_length();
    if header.version() != 4 || length < Ipv4::LENGTH || header.fragment_offset() != 0 {
        return None;
    }
    let at = outer + length;
    let protocol = header.protocol();
    let mut key = ServerKey {
        address: [header.destination()[0], 0, 0, 0],
        port: 0,
        protocol,
        family: FAMILY_V4,
    };
    let (begin, kind) = match protocol {
        IPV4_IN_IP => (at, TUNNEL_IPIP),
        GRE => {
            let gre = packet.header::<Gre>(at)?;
            if !gre.is_plain() || gre.protocol() != EtherType::Ipv4.number() {
                return None;
            }
            let checksum = if gre.has_checksum() {
                GreChecksum::LENGTH
            } else {
                0
            };
            (at + Gre::LENGTH + checksum, TUNNEL_GRE)
        }
        UDP => {
            key.port = packet.header::<Ports>(at)?.destination();
            let gue = packet.header::<Gue>(at + Udp::LENGTH)?;
            if !gue.is_data() || gue.protocol() != IPV4_IN_IP {
                return None;
            }
            (at + Udp::LENGTH + gue.header_length(), TUNNEL_GUE)
        }
        _other => return None,
    };
    let destination = tables.destination(tables.server(&key)?)?;
    let is_ours = destination.address.load().forwarding == FORWARD_TUNNEL
        && destination.tunnel.load().kind == kind;
    is_ours.then_some(begin)
}

/// Finds the connection that the packet in the tunnel is of, or says why not.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn find<H: Hook, T: Tables>(job: &Job<'_, V4, H, T>, report: &mut Report) -> Option<Reason> {
    let answers = &report.passenger.answers;
    // It is a request itself.
    let flow = Flow {
        source: answers.destination,
        destination: answers.source,
        source_port: answers.destination_port,
        destination_port: answers.source_port,
        protocol: answers.protocol,
    };
    let Some(value) = job.tables.search::<V4>(&flow) else {
        return Some(Reason::Icmp);
    };
    if value.direction() != Direction::Request {
        return Some(Reason::Icmp);
    }
    match connection::get::<V4, T>(job.tables, value.slot()) {
        Some(found) if job.now.since(found.word.expires()) < 0 => {}
        Some(_) | None => return Some(Reason::Icmp),
    }
    report.passenger.entry = value.0;
    match is_whole::<V4, H>(job.hook, &job.segment) {
        Ok(true) => None,
        Ok(false) => Some(Reason::IcmpDamaged),
        Err(Refused) => Some(Reason::KernelRefused),
    }
}

/// Makes the error one about the packet in the tunnel, and sends it to the client.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn relay<H: Hook, T: Tables>(job: &mut Job<'_, V4, H, T>, report: &Report) -> Reason {
    let begin = report.passenger.network as usize;
    let slot = FlowValue(report.passenger.entry).slot();
    let Some(found) = connection::get::<V4, T>(job.tables, slot) else {
        return Reason::Icmp;
    };
    let Some(header) = job.hook.header::<Ipv4>(begin) else {
        return Reason::Icmp;
    };
    // The client lets routers cut its packets: it need not hear of it.
    if report.is_too_big() && !header.do_not_fragment() {
        return Reason::IcmpUndeliverable;
    }
    let service = header.type_of_service();
    let quoted = Ethernet::LENGTH + job.segment.length as usize - begin;
    let most = LARGEST - HEADERS;
    let kept = if quoted < most { quoted } else { most };
    let answers = report.passenger.answers;
    job.segment = Segment::without_ports(
        (answers.source, answers.destination),
        ICMP,
        u8::MAX,
        service as u32,
        true,
    );
    job.segment.length = (HEADERS + kept) as u16;
    let end = replacement(&found.record.endpoints().load(), Direction::Reply);
    match job
        .hook
        .route::<V4, T>(job.tables, &job.segment, Direction::Reply, end)
    {
        Route::Known => {}
        Route::NoNeighbour => return Reason::NoNeighbour,
        Route::NotTransmittable => return Reason::NotTransmittable,
        Route::ForwardingDisabled => return Reason::ForwardingDisabled,
        Route::TooBig(_) | Route::Unreachable => return Reason::IcmpUndeliverable,
    }
    if is_available(job.tables.destination(found.destination)) {
        // IPVS counts what it makes the error of, and then the error, which it takes for a reply.
        let sent = HEADERS + kept;
        job.tables.count(found.destination, |counters| {
            counters.out_packets += 2;
            counters.out_bytes += (quoted + sent) as u64;
        });
    }
    let error = (report.kind, report.code, report.forwarded_information());
    let written = job
        .hook
        .strip(begin + kept, begin - Ethernet::LENGTH - HEADERS)
        .and_then(|()| {
            let addresses = (answers.source, answers.destination);
            write4(job.hook, addresses, service, kept, error)
        });
    match written {
        Ok(()) => Reason::IcmpToClient,
        Err(Refused) => Reason::KernelRefused,
    }
}
