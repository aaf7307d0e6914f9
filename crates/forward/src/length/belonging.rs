//! The connection that a packet of the long way belongs to, or begins.

use weir_abi::fragment::AddressKey;
use weir_abi::keys::Direction;
use weir_abi::reason::Reason;
use weir_abi::service::ONE_PACKET;
use weir_abi::settings::{USE_FULL_NAT, USE_OBSERVATION};
use weir_wire::ethernet::Ethernet;
use weir_wire::transport::{TCP, UDP};

use crate::begin::Begun;
use crate::full_nat::claim;
use crate::hook::Hook;
use crate::job::{Job, is_backup_only};
use crate::local::{self, is_no_client};
use crate::meet::{Met, begins};
use crate::observe;
use crate::process::Lookup;
use crate::tables::Tables;
use crate::translate::Translate;

/// The connection that a packet belongs to: its slot.
pub(crate) enum Belongs {
    /// The packet has begun it.
    First(Begun),
    /// It comes from the client.
    Request(u32),
    /// It comes from the real server.
    Reply(u32),
}

/// The connection that the packet belongs to, which it may have begun.
#[inline(always)]
pub(crate) fn connection_of<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    flow: Lookup,
) -> Result<Belongs, Reason> {
    if let Some(reason) = backup_only(job, flow) {
        return Err(reason);
    }
    let mark = mark_of(job);
    let met = match flow {
        // There is nothing to search, nor a function to call for it.
        Lookup::Unknown => begins::<F, T>(job.tables, job.settings, &job.segment, mark),
        Lookup::Perhaps => job.tables.meet::<F>(&job.segment, job.now, mark),
    };
    let is_unknown = match met {
        Met::Connection(_) => false,
        Met::Service(_) | Met::Nothing(_) => true,
    };
    if is_unknown && let Some(slot) = awaiting(job) {
        return Ok(Belongs::Request(slot));
    }
    match met {
        Met::Connection(value) => match value.direction() {
            Direction::Request => Ok(Belongs::Request(value.slot())),
            Direction::Reply => Ok(Belongs::Reply(value.slot())),
        },
        Met::Service(_) if is_for_another(job) => Err(Reason::OtherStation),
        Met::Service(_) if is_no_client(job) => Err(Reason::NotOurs),
        Met::Service(service) if H::MAY_LEAVE && is_for_one_packet::<F, H, T>(job, service) => {
            Err(Reason::NotTransmittable)
        }
        Met::Service(service) => begin_with(job, service),
        Met::Nothing(Reason::NotOurs) if job.hook.is_made_here() => Err(local::unchanged(job)),
        Met::Nothing(reason) => Err(reason),
    }
}

/// Begins a connection of that service.
#[inline(always)]
pub(crate) fn begin_with<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    service: u32,
) -> Result<Belongs, Reason> {
    let begun = job.tables.begin::<F>(&job.segment, service, job.now)?;
    let uses = job.settings.uses.load();
    if uses & (USE_FULL_NAT | USE_OBSERVATION) == 0 {
        return Ok(Belongs::First(begun));
    }
    if uses & USE_FULL_NAT != 0 {
        claim::<F, T>(job.tables, begun.slot)?;
    }
    if uses & USE_OBSERVATION != 0 {
        let is_tcp = job.segment.flow.protocol as u8 == TCP;
        observe::begun::<F, T>(job.tables, begun.slot, is_tcp && job.segment.is_new());
    }
    Ok(Belongs::First(begun))
}

/// Whether the packet is to be a connection of its own (`-o`). The slower hook does not find such, so that one
/// which is left to it would be scheduled twice: always past the real server that cannot be reached yet.
#[inline(always)]
fn is_for_one_packet<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    service: u32,
) -> bool {
    if job.segment.flow.protocol as u8 != UDP {
        return false;
    }
    match job.tables.service(service) {
        Some(service) => service.flags.load() & ONE_PACKET != 0,
        None => false,
    }
}

/// Why a packet is not for us while the director is the backup of a sync master and nothing else
/// (`backup_only`): all are left to the kernel but replies.
#[inline(always)]
fn backup_only<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    flow: Lookup,
) -> Option<Reason> {
    if !is_backup_only(job.settings) {
        return None;
    }
    if flow == Lookup::Perhaps
        && let Some(entry) = job.tables.search::<F>(&job.segment.flow)
        && entry.direction() == Direction::Reply
    {
        return None;
    }
    let address = AddressKey {
        address: F::widen(job.segment.flow.destination),
        family: F::NUMBER as u32,
    };
    Some(if job.tables.is_known_address(&address) {
        Reason::BackupOnly
    } else {
        Reason::NotOurs
    })
}

/// FTP's data connection that waits for this packet, from whatever port it comes.
#[inline(always)]
fn awaiting<F: Translate, H: Hook, T: Tables>(job: &mut Job<'_, F, H, T>) -> Option<u32> {
    let is_tcp = job.segment.flow.protocol as u8 == TCP;
    if job.settings.ftp_services.load() == 0 || !is_tcp || !job.segment.is_new() {
        return None;
    }
    // As it lies in its table until then.
    let port = job.segment.flow.source_port;
    job.segment.flow.source_port = 0;
    let entry = job.tables.search::<F>(&job.segment.flow);
    job.segment.flow.source_port = port;
    let slot = entry?.slot();
    job.tables.fill_client_port::<F>(slot, port).then_some(slot)
}

/// The packet's firewall mark, where services are named by such: of who was before us, or of a rule.
#[inline(always)]
fn mark_of<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> u32 {
    if job.settings.mark_services.load() == 0 {
        return 0;
    }
    let mark = job.hook.mark();
    if mark != 0 || job.settings.marks.load() == 0 {
        return mark;
    }
    job.tables.mark::<F>(&job.segment, job.hook.ingress())
}

/// Whether the frame was sent to another station than the interface that took it.
#[inline(always)]
pub(crate) fn is_for_another<F: Translate, H: Hook, T: Tables>(job: &Job<'_, F, H, T>) -> bool {
    match (job.hook.station(job.tables), job.hook.header::<Ethernet>(0)) {
        (Some(station), Some(link)) => !link.is_for(station.0),
        (None, Some(_) | None) | (Some(_), None) => false,
    }
}
