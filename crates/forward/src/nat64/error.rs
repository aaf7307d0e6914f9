//! ICMP errors about connections between the families (RFC 7915, 4.2, 4.3, 5.2, 5.3): the error becomes one of
//! the other family, and the packet that it quotes what whoever is told has sent.

use weir_abi::keys::{Direction, Flow, FlowValue};
use weir_abi::reason::Reason;
use weir_wire::bytes::Be16;
use weir_wire::checksum::Delta;
use weir_wire::ethernet::Ethernet;
use weir_wire::icmp::IcmpError;
use weir_wire::ipv4::Ipv4;
use weir_wire::ipv6::Ipv6;
use weir_wire::packet::Packet;
use weir_wire::transport::{ICMP, ICMP6, Ports, TCP, Tcp, UDP, Udp};

use crate::connection;
use crate::family::{Record, V4, V6};
use crate::hook::{Hook, Refused};
use crate::job::Job;
use crate::nat64::header::{Heading, Side, difference};
use crate::nat64::{Way, count, twin, way};
use crate::parse::Segment;
use crate::related::parse::Quoted;
use crate::related::read;
use crate::tables::Tables;

/// The longest error that is sent: what IPv6 allows (RFC 4443, 2.4).
const LONGEST: usize = 1280;

/// Translates an error of IPv4.
#[inline(always)]
pub fn cross4<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = of::<V4, V6, H, T>(hook, tables);
    hook.conclude(reason)
}

/// Translates an error of IPv6.
#[inline(always)]
pub fn cross6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let reason = of::<V6, V4, H, T>(hook, tables);
    hook.conclude(reason)
}

/// Decides about an error of family `I` about a connection that the part before has found.
#[inline(always)]
fn of<I: Cross, O: Cross, H: Hook, T: Tables>(hook: &mut H, tables: &T) -> Reason {
    let (Some(settings), Some(handover)) = (tables.settings(), tables.handover()) else {
        return Reason::NotOurs;
    };
    let mut quoted = Quoted::default();
    let mut job = Job::<I, H, T>::new(hook, tables, settings, Segment::default());
    let segment = &mut job.segment;
    if let Some(reason) = read::<I, H, T>(job.hook, tables, Ethernet::LENGTH, segment, &mut quoted)
    {
        return reason;
    }
    let mut out = Segment::<O::Address>::default();
    let entry = FlowValue(handover.entry.load());
    let left = match entry.direction() {
        Direction::Request => to_server::<I, O, H, T>(&mut job, entry.slot(), &mut out),
        Direction::Reply => to_client::<I, O, H, T>(&mut job, entry.slot(), &mut out),
    };
    if !matches!(left, Reason::IcmpToServer | Reason::IcmpToClient) {
        return left;
    }
    match turn::<I, O, H, T>(&mut job, &quoted, &out) {
        Ok(true) => left,
        Ok(false) => Reason::IcmpUndeliverable,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// An error about a reply, on its way to the real server.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn to_server<I: Cross, O: Cross, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    slot: u32,
    out: &mut Segment<O::Address>,
) -> Reason {
    let Some(found) = connection::get::<I, T>(job.tables, slot) else {
        return Reason::Icmp;
    };
    let Some(twin) = job.tables.connection::<O>(found.record.twin().load()) else {
        return Reason::Icmp;
    };
    out.flow = twin::to_server::<O>(twin);
    count(
        job,
        found.destination,
        Direction::Request,
        job.segment.length as u64,
    );
    goes::<I, O, H, T>(job, out, Reason::IcmpToServer)
}

/// An error about a request, on its way to the client.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn to_client<I: Cross, O: Cross, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    slot: u32,
    out: &mut Segment<O::Address>,
) -> Reason {
    let Some(found) = twin::connection_of::<I, O, T>(job.tables, slot, job.now) else {
        return Reason::Icmp;
    };
    out.flow = twin::to_client::<O>(found.record);
    count(
        job,
        found.destination,
        Direction::Reply,
        job.segment.length as u64,
    );
    goes::<I, O, H, T>(job, out, Reason::IcmpToClient)
}

/// Whether an error can go there.
#[inline(always)]
fn goes<I: Cross, O: Cross, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    out: &mut Segment<O::Address>,
    reason: Reason,
) -> Reason {
    out.length = LONGEST as u16;
    out.flow_information = O::information(I::class(job.segment.flow_information));
    if job.segment.hops <= 1 {
        return Reason::IcmpUndeliverable;
    }
    match way::<I, O, H, T>(job, out, None, 0, false) {
        Way::Goes => reason,
        Way::Disabled => Reason::ForwardingDisabled,
        Way::TooBig | Way::Nowhere => Reason::IcmpUndeliverable,
    }
}

/// Makes the error one of the other family; whether there is such a one. All in front of what the quoted packet
/// carries is written anew, so nothing has to be moved but that.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn turn<I: Cross, O: Cross, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    quoted: &Quoted<I::Address>,
    out: &Segment<O::Address>,
) -> Result<bool, Refused> {
    let segment = &job.segment;
    let (network, error) = (segment.network as usize, segment.payload as usize);
    if network != Ethernet::LENGTH {
        return Err(Refused);
    }
    let header = job.hook.header::<IcmpError>(error).ok_or(Refused)?;
    let said = Said {
        kind: header.kind(),
        code: header.code(),
        information: header.information(),
    };
    let inner =
        I::heading(job.hook, quoted.network as usize, quoted.ports as usize).ok_or(Refused)?;
    let inner = Heading {
        protocol: quoted.answers.protocol as u8,
        ..inner
    };
    let Some(said) = I::say(said, inner.payload) else {
        return Ok(false);
    };
    let heading = Heading {
        class: I::class(segment.flow_information),
        hops: segment.hops.wrapping_sub(1),
        protocol: O::ICMP,
        payload: 0,
        identification: job.tables.identification(),
        forbids: false,
    };
    let removed = quoted.ports as usize - network;
    let carried = (segment.length as usize).saturating_sub(removed);
    let added = O::HEADER + IcmpError::LENGTH + O::HEADER;
    job.hook.change_family(O::NUMBER, removed, added)?;
    let whole = added + carried;
    let whole = if whole < LONGEST { whole } else { LONGEST };
    job.hook.resize(Ethernet::LENGTH + whole)?;

    // As whoever is told has sent it.
    let flow = Flow {
        source: out.flow.destination,
        destination: out.flow.source,
        source_port: out.flow.destination_port,
        destination_port: out.flow.source_port,
        protocol: out.flow.protocol,
    };
    let error = Ethernet::LENGTH + O::HEADER;
    let packet = error + IcmpError::LENGTH;
    O::put(job.hook, packet, &inner, &flow)?;
    let transport = packet + O::HEADER;
    correct_quoted::<I, O, H>(job.hook, transport, &quoted.answers, &flow)?;
    job.hook.put(
        transport,
        &Ports::new(flow.source_port, flow.destination_port),
    )?;

    let length = whole - O::HEADER;
    let mut header = IcmpError::new(said.kind, said.code, said.information);
    job.hook.put(error, &header)?;
    let sum = job.hook.sum(error, length)?;
    let sum = sum.and(O::pseudo_of(&out.flow, length));
    header.set_checksum(sum.complement());
    job.hook.put(error, &header)?;
    let heading = Heading {
        payload: length as u16,
        ..heading
    };
    O::put(job.hook, Ethernet::LENGTH, &heading, &out.flow)?;
    Ok(true)
}

/// Lets the quoted transport's checksum, if it is quoted, be that of the packet as it was sent.
#[inline(always)]
fn correct_quoted<I: Cross, O: Cross, H: Hook>(
    hook: &mut H,
    transport: usize,
    answers: &Flow<I::Address>,
    sent: &Flow<O::Address>,
) -> Result<(), Refused> {
    let offset = match sent.protocol as u8 {
        TCP => Tcp::CHECKSUM,
        UDP => Udp::CHECKSUM,
        _other => return Ok(()),
    };
    let Some(old) = hook.header::<Be16>(transport + offset).map(Be16::raw) else {
        return Ok(());
    };
    if old == 0 && sent.protocol as u8 == UDP {
        return Ok(());
    }
    // The quoted packet's flow is that of its answers, turned round.
    let quoted = Flow {
        source: answers.destination,
        destination: answers.source,
        source_port: answers.destination_port,
        destination_port: answers.source_port,
        protocol: answers.protocol,
    };
    let (addresses, ports) = difference::<I, O>(&quoted, sent);
    let new = addresses.and(ports).apply(old);
    hook.put(transport + offset, &Be16::from_raw(new))
}

/// What an error says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// The word behind the checksum: an MTU, or where in the packet the problem is.
    pub information: u32,
}

/// A family whose errors become the other's.
pub trait Cross: Side {
    /// Its ICMP's number.
    const ICMP: u8;
    /// What the other family says in its place, of a packet with so many bytes behind its header; nothing where
    /// there is no word for it.
    fn say(said: Said, payload: u16) -> Option<Said>;
    /// What the header there says that the other family's says too, of a packet whose transport begins there.
    fn heading<P: Packet>(packet: &P, at: usize, transport: usize) -> Option<Heading>;
    /// What the pseudo header adds to the checksum of an error that has so many bytes.
    fn pseudo_of(flow: &Flow<Self::Address>, length: usize) -> Delta;
}

const UNREACHABLE4: u8 = 3;
const EXCEEDED4: u8 = 11;
const PARAMETER4: u8 = 12;
const UNREACHABLE6: u8 = 1;
const TOO_BIG6: u8 = 2;
const EXCEEDED6: u8 = 3;
const PARAMETER6: u8 = 4;

#[inline(always)]
const fn said(kind: u8, code: u8, information: u32) -> Option<Said> {
    Some(Said {
        kind,
        code,
        information,
    })
}

impl Cross for V4 {
    const ICMP: u8 = ICMP;

    #[inline(always)]
    fn say(this: Said, payload: u16) -> Option<Said> {
        match (this.kind, this.code) {
            (UNREACHABLE4, 0 | 1 | 5..=8 | 11 | 12) => said(UNREACHABLE6, 0, 0),
            // Protocol unreachable: a next header that is not known.
            (UNREACHABLE4, 2) => said(PARAMETER6, 1, 6),
            (UNREACHABLE4, 3) => said(UNREACHABLE6, 4, 0),
            (UNREACHABLE4, 4) => said(TOO_BIG6, 0, mtu_of(this.information, payload)),
            (UNREACHABLE4, 9 | 10 | 13 | 15) => said(UNREACHABLE6, 1, 0),
            (EXCEEDED4, code) => said(EXCEEDED6, code, 0),
            (PARAMETER4, 0 | 2) => {
                let pointer = match this.information >> 24 {
                    0 => 0,
                    1 => 1,
                    2 | 3 => 4,
                    8 => 7,
                    9 => 6,
                    12..=15 => 8,
                    16..=19 => 24,
                    _nowhere => return None,
                };
                said(PARAMETER6, 0, pointer)
            }
            _no_word_for_it => None,
        }
    }

    #[inline(always)]
    fn heading<P: Packet>(packet: &P, at: usize, transport: usize) -> Option<Heading> {
        let header = packet.header::<Ipv4>(at)?;
        let before = (transport - at) as u16;
        Some(Heading {
            class: header.type_of_service(),
            hops: header.time_to_live(),
            protocol: header.protocol(),
            payload: header.total_length().saturating_sub(before),
            identification: header.identification(),
            forbids: header.do_not_fragment(),
        })
    }

    #[inline(always)]
    fn pseudo_of(_flow: &Flow<[u32; 1]>, _length: usize) -> Delta {
        Delta::ZERO
    }
}

/// What a router of IPv4 that takes packets of that size takes of those of IPv6. One that does not say it is
/// taken to have the largest usual link below the packet (RFC 1191, 7.1).
#[inline(always)]
fn mtu_of(information: u32, payload: u16) -> u32 {
    const PLATEAUS: [u16; 6] = [32_000, 17_914, 8166, 4352, 2002, 1492];
    let mut mtu = information as u16;
    let mut at = 0;
    while mtu == 0 && at < PLATEAUS.len() {
        if PLATEAUS[at] < payload.saturating_add(Ipv4::LENGTH as u16) {
            mtu = PLATEAUS[at];
        }
        at += 1;
    }
    V6::mtu_here(mtu) as u32
}

impl Cross for V6 {
    const ICMP: u8 = ICMP6;

    #[inline(always)]
    fn say(this: Said, _payload: u16) -> Option<Said> {
        match (this.kind, this.code) {
            (UNREACHABLE6, 0 | 2 | 3) => said(UNREACHABLE4, 1, 0),
            (UNREACHABLE6, 1) => said(UNREACHABLE4, 10, 0),
            (UNREACHABLE6, 4) => said(UNREACHABLE4, 3, 0),
            (TOO_BIG6, _) => {
                let mtu = if this.information > u16::MAX as u32 {
                    u16::MAX
                } else {
                    this.information as u16
                };
                said(UNREACHABLE4, 4, V4::mtu_here(mtu) as u32)
            }
            (EXCEEDED6, code) => said(EXCEEDED4, code, 0),
            (PARAMETER6, 0) => {
                let pointer: u32 = match this.information {
                    0 => 0,
                    1 => 1,
                    4 | 5 => 2,
                    6 => 9,
                    7 => 8,
                    8..=23 => 12,
                    24..=39 => 16,
                    _nowhere => return None,
                };
                said(PARAMETER4, 0, pointer << 24)
            }
            (PARAMETER6, 1) => said(UNREACHABLE4, 2, 0),
            _no_word_for_it => None,
        }
    }

    #[inline(always)]
    fn heading<P: Packet>(packet: &P, at: usize, transport: usize) -> Option<Heading> {
        let header = packet.header::<Ipv6>(at)?;
        let before = (transport - at - Ipv6::LENGTH) as u16;
        let payload = header.payload_length().saturating_sub(before);
        let length = (Ipv4::LENGTH as u16).saturating_add(payload);
        Some(Heading {
            class: Self::class(header.flow_information()),
            hops: header.hop_limit(),
            protocol: header.next_header(),
            payload,
            identification: 0,
            forbids: !V4::may_be_cut(length),
        })
    }

    #[inline(always)]
    fn pseudo_of(flow: &Flow<[u32; 4]>, length: usize) -> Delta {
        Delta::ZERO
            .add((length as u32).to_be())
            .add((ICMP6 as u32).to_be())
            .replace_address(&[0; 4], &flow.source)
            .replace_address(&[0; 4], &flow.destination)
    }
}
