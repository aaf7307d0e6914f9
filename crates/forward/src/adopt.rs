//! ICMP errors that begin the connection that they are about (`schedule_icmp`): where several directors share
//! a virtual address, one may get the error about another's connection, and schedulers that hash give it to
//! the same real server.

use weir_abi::connection::Word;
use weir_abi::reason::{Outcome, Reason};
use weir_abi::service::FORWARD_FULL_NAT;
use weir_abi::settings::Settings;
use weir_abi::sysctl::Sysctl;
use weir_wire::ethernet::EtherType;
use weir_wire::icmp::IcmpError;

use crate::connection;
use crate::family::{Flow, Record, V4, V6};
use crate::hook::Hook;
use crate::job::{Job, is_backup_only};
use crate::meet::scheduled_for;
use crate::parse::Segment;
use crate::part::Part;
use crate::related::parse::{Errors, link};
use crate::tables::Tables;
use crate::translate::Translate;

/// Whether they do.
#[inline(always)]
pub(crate) fn are_scheduled(settings: &Settings) -> bool {
    settings.sysctl(Sysctl::ScheduleIcmp).load() != 0 && !is_backup_only(settings)
}

/// Begins the connection that such an error is about, and goes on with it as with any other.
#[inline(always)]
pub fn adopt<H: Hook, T: Tables>(hook: &mut H, tables: &T) -> H::Verdict {
    let begun = match link(hook) {
        Some((EtherType::Ipv4, network)) => of_family::<V4, H, T>(hook, tables, network),
        Some((EtherType::Ipv6, network)) => of_family::<V6, H, T>(hook, tables, network),
        Some((EtherType::Vlan | EtherType::Other(_), _)) | None => Err(Reason::Icmp),
    };
    match begun {
        Ok(()) => hook.go_on(tables, Part::Related),
        Err(reason) => hook.conclude(reason),
    }
}

#[cfg_attr(target_arch = "bpf", inline(never))]
fn of_family<F: Translate + Errors, H: Hook, T: Tables>(
    hook: &mut H,
    tables: &T,
    network: usize,
) -> Result<(), Reason> {
    let settings = tables.settings().ok_or(Reason::NotOurs)?;
    let mark = if settings.mark_services.load() != 0 {
        hook.mark()
    } else {
        0
    };
    let mut job = Job::<F, H, T>::new(hook, tables, settings, Segment::default());
    if let Some(reason) = read::<F, H, T>(job.hook, tables, network, &mut job.segment.flow) {
        return Err(reason);
    }
    // One that is over, or that nobody has errors about.
    if tables.search::<F>(&job.segment.flow).is_some() {
        return Err(Reason::Icmp);
    }
    let service = match scheduled_for::<F, T>(tables, settings, &job.segment.flow, mark) {
        Ok(service) => service,
        Err(Reason::DropRate) => return Err(Reason::DropRate),
        Err(_not_ours) => return Err(Reason::Icmp),
    };
    match tables.begin::<F>(&job.segment, service, job.now) {
        Ok(begun) => keep::<F, H, T>(&job, begun.slot, begun.is_only),
        Err(Reason::NotOurs) => Err(Reason::Icmp),
        // What an error quotes has no Call-ID (`ip_vs_sip_fill_param`).
        Err(Reason::Application) => Err(Reason::NoCallId),
        Err(reason) => Err(match reason.outcome() {
            Outcome::Dropped => reason,
            // No error answers an error.
            Outcome::Forwarded | Outcome::Answered | Outcome::Passed | Outcome::Held => {
                Reason::IcmpUndeliverable
            }
        }),
    }
}

/// Lets the connection be as such an error leaves it, or not at all where no error could find it.
#[inline(always)]
fn keep<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    slot: u32,
    is_only: bool,
) -> Result<(), Reason> {
    let found = connection::get::<F, T>(job.tables, slot).ok_or(Reason::Contended)?;
    let forwarding = found.record.endpoints().load().forwarding;
    if is_only || forwarding == FORWARD_FULL_NAT {
        let word = Word(found.record.word().load());
        job.tables.end::<F>(slot, word);
        return Err(Reason::IcmpUndeliverable);
    }
    connection::forget_packet::<F, T>(job.tables, &found, job.now);
    Ok(())
}

/// Reads the flow of the connection that an error is about, or says why not.
#[cfg_attr(target_arch = "bpf", inline(never))]
fn read<F: Errors, H: Hook, T: Tables>(
    hook: &H,
    tables: &T,
    network: usize,
    flow: &mut Flow<F::Address>,
) -> Option<Reason> {
    let outer = match F::outer(hook, tables, network) {
        Ok(outer) => outer,
        Err(reason) => return Some(reason),
    };
    let error = outer.payload as usize;
    match hook.header::<IcmpError>(error) {
        Some(header) if F::is_error(header.kind()) => {}
        Some(_) | None => return Some(Reason::Icmp),
    }
    let end = outer.network as usize + outer.length as usize;
    match F::quoted(hook, tables, error + IcmpError::LENGTH, end) {
        Some(packet) => *flow = packet.answers,
        None => return Some(Reason::Icmp),
    }
    None
}
