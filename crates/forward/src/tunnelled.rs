//! ICMP errors about the outer packets of tunnels: the client hears of them as of errors about its own
//! packet (`ip_vs_in_icmp`).
//!
//! So it does of the size of the largest packet that gets through: what a router says of the outer
//! packet, less what wrapping adds. IPVS does so for IPv4 in IPv4; here every family may be within every
//! other. What has crossed from one family to the other is said in the words of the client's (RFC 7915).

mod passenger;
mod said;

use weir_abi::keys::{Direction, FAMILY_V6, FlowValue};
use weir_abi::reason::Reason;
use weir_abi::settings::Settings;
use weir_wire::ethernet::Ethernet;
use weir_wire::icmp::IcmpError;

use self::passenger::{Passenger, passenger};
use self::said::Saying;
use crate::adopt;
use crate::connection;
use crate::family::{Flow, Record, V4, V6};
use crate::hook::{Hook, Refused, Route};
use crate::job::{Job, is_available, is_backup_only};
use crate::nat64::error::Said;
use crate::nat64::header::name_family;
use crate::parse::{Segment, is_ipv6};
use crate::part::Part;
use crate::related::parse::{Quoted, link};
use crate::related::translate::is_whole;
use crate::tables::Tables;
use crate::translate::replacement;

/// What an error says, and about which packet in the tunnel.
#[derive(Clone, Copy)]
struct Report {
    said: Said,
    passenger: Passenger,
    /// What wrapping adds.
    overhead: u16,
    /// Where the error ends.
    end: u16,
}

/// Decides about one such packet, of either family.
#[inline(always)]
pub fn tunnelled<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    if is_ipv6(hook, H::TAGS) {
        hook.go_on(tables, Part::Tunnelled6)
    } else {
        decide::<V4, H, T>(hook, tables)
    }
}

/// Decides about one of IPv6.
#[inline(always)]
pub fn tunnelled6<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    decide::<V6, H, T>(hook, tables)
}

/// Decides about one about an outer packet of family `O`.
#[inline(always)]
fn decide<O: Saying, H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let Some(settings) = tables.settings() else {
        return hook.conclude(Reason::NotOurs);
    };
    let reason = reason::<O, H, T>(hook, tables, settings);
    if reason == Reason::Icmp && adopt::are_scheduled(settings) {
        return hook.go_on(tables, Part::Adopt);
    }
    hook.conclude(reason)
}

#[inline(always)]
fn reason<O: Saying, H: Hook, T: Tables>(hook: &mut H, tables: &T, settings: &Settings) -> Reason {
    match link(hook) {
        // A tag in the bytes would have to be carried over. TC sees single tags stripped.
        Some((family, Ethernet::LENGTH)) if family == O::ETHER_TYPE => {}
        Some(_) | None => return Reason::Icmp,
    }
    if is_backup_only(settings) {
        return Reason::Icmp;
    }
    let mut report = Report {
        said: Said {
            kind: 0,
            code: 0,
            information: 0,
        },
        passenger: Passenger::NONE,
        overhead: 0,
        end: 0,
    };
    if let Some(reason) = read::<O, H, T>(hook, tables, &mut report) {
        return reason;
    }
    if report.passenger.family == FAMILY_V6 {
        tell::<O, V6, H, T>(hook, tables, settings, &mut report)
    } else {
        tell::<O, V4, H, T>(hook, tables, settings, &mut report)
    }
}

/// Reads an error about a tunnel's packet, or says why not.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read<O: Saying, H: Hook, T: Tables>(
    hook: &H,
    tables: &T,
    report: &mut Report,
) -> Option<Reason> {
    let segment = match O::outer(hook, tables, Ethernet::LENGTH) {
        Ok(segment) => segment,
        Err(reason) => return Some(reason),
    };
    match hook.header::<IcmpError>(segment.payload as usize) {
        Some(error) if O::is_error(error.kind()) => {
            report.said = Said {
                kind: error.kind(),
                code: error.code(),
                information: error.information(),
            };
        }
        Some(_) | None => return Some(Reason::Icmp),
    }
    let outer = segment.payload as usize + IcmpError::LENGTH;
    let Some(passenger) = passenger::<O, H, T>(hook, tables, outer) else {
        return Some(Reason::Icmp);
    };
    report.passenger = passenger;
    report.overhead = passenger.begin - outer as u16;
    report.end = (Ethernet::LENGTH as u16).saturating_add(segment.length);
    match is_whole::<O, H>(hook, &segment) {
        Ok(true) => None,
        Ok(false) => Some(Reason::IcmpDamaged),
        Err(Refused) => Some(Reason::KernelRefused),
    }
}

/// Tells the client, whose packets are of family `I`.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn tell<O: Saying, I: Saying, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    settings: &Settings,
    report: &mut Report,
) -> Reason {
    let mut job = Job::<I, H, T>::new(hook, tables, settings, Segment::default());
    let (begin, end) = (report.passenger.begin as usize, report.end as usize);
    let Some(mut quoted) = I::quoted(job.hook, tables, begin, end) else {
        return Reason::Icmp;
    };
    if let Some(reason) = find(&job, &mut quoted) {
        return reason;
    }
    match in_words_of_client::<O, I, H>(job.hook, report) {
        Some(said) => report.said = said,
        None => return Reason::IcmpUndeliverable,
    }
    if let Some(reason) = goes(&mut job, report, &quoted) {
        return reason;
    }
    match become_error::<O, I, H, T>(&mut job, report) {
        Ok(()) => Reason::IcmpToClient,
        Err(Refused) => Reason::KernelRefused,
    }
}

/// Finds the connection that the packet in the tunnel is of, or says why not.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn find<I: Saying, H: Hook, T: Tables>(
    job: &Job<'_, I, H, T>,
    passenger: &mut Quoted<I::Address>,
) -> Option<Reason> {
    let answers = &passenger.answers;
    // It is a request itself.
    let flow = Flow {
        source: answers.destination,
        destination: answers.source,
        source_port: answers.destination_port,
        destination_port: answers.source_port,
        protocol: answers.protocol,
    };
    let Some(value) = job.tables.search::<I>(&flow) else {
        return Some(Reason::Icmp);
    };
    if value.direction() != Direction::Request {
        return Some(Reason::Icmp);
    }
    match connection::get::<I, T>(job.tables, value.slot()) {
        Some(found) if job.now.since(found.word.expires()) < 0 => {}
        Some(_) | None => return Some(Reason::Icmp),
    }
    passenger.entry = value.0;
    None
}

/// What the client is told; nothing where it need not hear of it.
#[inline(always)]
fn in_words_of_client<O: Saying, I: Saying, H: Hook>(hook: &H, report: &Report) -> Option<Said> {
    if !O::is_too_big(report.said) {
        return O::in_words_of::<I>(report.said);
    }
    // Of an outer packet of IPv4 the client lets routers cut what it lets them cut within. Those of IPv6
    // nobody cuts.
    if O::NUMBER != FAMILY_V6 && I::lets_cut(hook, report.passenger.begin as usize) {
        return None;
    }
    let mtu = O::mtu(report.said);
    Some(I::too_big(mtu, report.overhead as u32))
}

/// Asks for the way of the error to the client, and counts it; why not, if it does not go.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn goes<I: Saying, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    report: &Report,
    passenger: &Quoted<I::Address>,
) -> Option<Reason> {
    let begin = report.passenger.begin as usize;
    let slot = FlowValue(passenger.entry).slot();
    let Some(found) = connection::get::<I, T>(job.tables, slot) else {
        return Some(Reason::Icmp);
    };
    let Some(service) = I::service(job.hook, begin) else {
        return Some(Reason::Icmp);
    };
    let quoted = report.end as usize - begin;
    let most = I::LONGEST - I::HEADERS;
    let kept = if quoted < most { quoted } else { most };
    let answers = &passenger.answers;
    job.segment = Segment::without_ports(
        (answers.source, answers.destination),
        I::ICMP,
        u8::MAX,
        service as u32,
        true,
    );
    job.segment.length = (I::HEADERS + kept) as u16;
    let end = replacement(&found.record.endpoints().load(), Direction::Reply);
    match job
        .hook
        .route::<I, T>(job.tables, &job.segment, Direction::Reply, end)
    {
        Route::Known => {}
        Route::NoNeighbour => return Some(Reason::NoNeighbour),
        Route::NotTransmittable => return Some(Reason::NotTransmittable),
        Route::ForwardingDisabled => return Some(Reason::ForwardingDisabled),
        Route::TooBig(_) | Route::Unreachable => return Some(Reason::IcmpUndeliverable),
    }
    if is_available(job.tables.destination(found.destination)) {
        // IPVS counts what it makes the error of, and then the error, which it takes for a reply.
        let sent = I::HEADERS + kept;
        job.tables.count(found.destination, |counters| {
            counters.out_packets += 2;
            counters.out_bytes += (quoted + sent) as u64;
        });
    }
    None
}

/// Makes the error one about the packet in the tunnel, which goes as the segment says.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn become_error<O: Saying, I: Saying, H: Hook, T: Tables>(
    job: &mut Job<'_, I, H, T>,
    report: &Report,
) -> Result<(), Refused> {
    let begin = report.passenger.begin as usize;
    let kept = job.segment.length as usize - I::HEADERS;
    let before = begin - Ethernet::LENGTH;
    if O::NUMBER == I::NUMBER {
        job.hook.strip(begin + kept, before - I::HEADERS)?;
    } else {
        job.hook.change_family(I::NUMBER, before, I::HEADERS)?;
        job.hook.resize(Ethernet::LENGTH + I::HEADERS + kept)?;
        name_family(job.hook, I::ETHER_TYPE)?;
    }
    let flow = &job.segment.flow;
    let addresses = (flow.source, flow.destination);
    let service = job.segment.flow_information as u8;
    let said = report.said;
    let error = (said.kind, said.code, said.information);
    I::write(job.hook, addresses, service, kept, error)
}
