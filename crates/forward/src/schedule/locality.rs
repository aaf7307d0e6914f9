//! Schedulers that send what is for one address to the same real servers: lblc and lblcr.

use core::ops::ControlFlow;

use weir_abi::NONE;
use weir_abi::locality::{Locality, LocalityKey, MEMBERS, Member};
use weir_abi::service::{AVAILABLE, Destination, Service};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::{Tick, Ticks};

use super::least_connection::weighted_least_connection;
use super::overhead;
use super::walk::{self, Search};
use crate::family::{Family, Flow};
use crate::tables::{Step, Tables};

/// `ip_vs_lblc.c`: the address's real server, or by wlc where it has none or that one has more than
/// its share while another has less than half of its own. A function of its own, for its stack; the
/// slot or [`NONE`].
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn locality_based<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    flow: &Flow<F::Address>,
    now: Tick,
) -> u32 {
    let Some(service) = tables.service(slot) else {
        return NONE;
    };
    let key = key::<F>(slot, flow);
    if let Some(locality) = known(tables, service, &key, now) {
        let member = Member(locality.members[0].load());
        if let Some(destination) = member_of(tables, slot, member)
            && is_available(destination)
            && destination.weight.load() > 0
            && !has_too_much(tables, service, destination)
        {
            return member.slot();
        }
    }
    let Some(picked) = weighted_least_connection(tables, service) else {
        return NONE;
    };
    if let Some((locality, member)) = entry(tables, &key, picked)
        && lock(locality)
    {
        renew(locality, service, now);
        locality.members[0].store(member.0);
        locality.length.store(1);
        unlock(locality);
    }
    picked
}

/// `ip_vs_lblcr.c`: the address has several real servers, the least loaded of which takes the
/// connection. Another joins them where that one has too much; the most loaded leaves when nothing
/// has changed for long.
#[cfg_attr(target_arch = "bpf", inline(never))]
pub fn replicated<F: Family, T: Tables>(
    tables: &T,
    slot: u32,
    flow: &Flow<F::Address>,
    now: Tick,
) -> u32 {
    let Some(service) = tables.service(slot) else {
        return NONE;
    };
    let key = key::<F>(slot, flow);
    if let Some(locality) = known(tables, service, &key, now) {
        let least = extreme::<T, false>(tables, slot, locality);
        if locality.length.load() > 1 && is_stale(tables, locality, now) && lock(locality) {
            let most = extreme::<T, true>(tables, slot, locality);
            if most.place != NONE {
                remove(tables, locality, most.place);
                locality.changed.store(now.0);
            }
            unlock(locality);
        }
        if let Some(destination) = tables.destination(least.found)
            && !has_too_much(tables, service, destination)
        {
            return least.found;
        }
    }
    let Some(picked) = weighted_least_connection(tables, service) else {
        return NONE;
    };
    if let Some((locality, member)) = entry(tables, &key, picked)
        && lock(locality)
    {
        if locality.epoch.load() != service.locality_epoch.load() {
            renew(locality, service, now);
        }
        insert(tables, locality, member, now);
        unlock(locality);
    }
    picked
}

#[inline(always)]
fn key<F: Family>(service: u32, flow: &Flow<F::Address>) -> LocalityKey {
    LocalityKey {
        service,
        address: F::widen(flow.destination),
    }
}

/// What is known of the address, now used.
#[inline(always)]
fn known<'t, T: Tables>(
    tables: &'t T,
    service: &Service,
    key: &LocalityKey,
    now: Tick,
) -> Option<&'t Locality> {
    let locality = tables.locality(key)?;
    if locality.epoch.load() != service.locality_epoch.load() || locality.length.load() == 0 {
        return None;
    }
    locality.last_use.store(now.0);
    Some(locality)
}

/// The address's entry, made if need be, and what it shall remember of a real server. Where there is
/// no room nothing is remembered.
#[inline(always)]
fn entry<'t, T: Tables>(
    tables: &'t T,
    key: &LocalityKey,
    picked: u32,
) -> Option<(&'t Locality, Member)> {
    let tenant = tables.destination(picked)?.tenant.load();
    let locality = match tables.locality(key) {
        Some(locality) => locality,
        None => {
            tables.add_locality(key);
            tables.locality(key)?
        }
    };
    Some((locality, Member::new(picked, tenant)))
}

#[inline(always)]
fn lock(locality: &Locality) -> bool {
    locality.lock.replace(0, 1)
}

/// Not a mere store: the changes come before.
#[inline(always)]
fn unlock(locality: &Locality) {
    locality.lock.replace(1, 0);
}

/// Makes an entry of the service as it is now, without members.
#[inline(always)]
fn renew(locality: &Locality, service: &Service, now: Tick) {
    locality.length.store(0);
    locality.last_use.store(now.0);
    locality.changed.store(now.0);
    locality.epoch.store(service.locality_epoch.load());
}

/// The record of a member, in the list or in the trash, if its slot is still its own.
#[inline(always)]
fn member_of<T: Tables>(tables: &T, slot: u32, member: Member) -> Option<&Destination> {
    let destination = tables.destination(member.slot())?;
    let is_its_own =
        destination.service.load() == slot && destination.tenant.load() == member.tenant();
    is_its_own.then_some(destination)
}

#[inline(always)]
fn is_available(destination: &Destination) -> bool {
    destination.flags.load() & AVAILABLE != 0
}

/// Whether a real server has more active connections than its weight, while another has less than
/// half as many as its own.
#[inline(always)]
fn has_too_much<T: Tables>(tables: &T, service: &Service, destination: &Destination) -> bool {
    destination.active.load() > destination.weight.load()
        && walk::walk(tables, service, Idle(NONE)).0 != NONE
}

#[derive(Clone, Copy)]
struct Idle(u32);

impl Search for Idle {
    #[inline(always)]
    fn look(&mut self, slot: u32, destination: &Destination) -> ControlFlow<()> {
        if destination.active.load() as u64 * 2 < destination.weight.load() as u64 {
            self.0 = slot;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// Whether the members have not changed for longer than `lblcr_expiration`.
#[inline(always)]
fn is_stale<T: Tables>(tables: &T, locality: &Locality, now: Tick) -> bool {
    let Some(settings) = tables.settings() else {
        return false;
    };
    let seconds = settings.sysctl(Sysctl::LblcrExpiration).load();
    now.since(Tick(locality.changed.load())) > Ticks::from_seconds(seconds).0 as i32
}

/// The least loaded member that takes connections, or the most loaded one that is not quiesced; the
/// newest of equals.
#[inline(always)]
fn extreme<'l, T: Tables, const MOST: bool>(
    tables: &T,
    slot: u32,
    locality: &'l Locality,
) -> Extreme<'l, MOST> {
    let length = locality.length.load();
    let mut extreme = Extreme {
        locality,
        slot,
        left: length,
        found: NONE,
        place: NONE,
        load: 0,
        weight: 0,
    };
    tables.repeat(MEMBERS as u32, &mut extreme);
    extreme
}

struct Extreme<'l, const MOST: bool> {
    locality: &'l Locality,
    slot: u32,
    left: u32,
    found: u32,
    place: u32,
    load: u64,
    weight: u64,
}

impl<T: Tables, const MOST: bool> Step<T> for Extreme<'_, MOST> {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        if self.left == 0 {
            return ControlFlow::Break(());
        }
        self.left -= 1;
        let place = self.left;
        let member = Member(self.locality.members[place as usize % MEMBERS].load());
        let Some(destination) = member_of(tables, self.slot, member) else {
            return ControlFlow::Continue(());
        };
        let weight = destination.weight.load() as u64;
        let can_be = MOST || is_available(destination) && destination.overloaded.load() == 0;
        if weight == 0 || !can_be {
            return ControlFlow::Continue(());
        }
        let load = overhead(destination);
        let (mine, its) = (self.load * weight, load * self.weight);
        if self.found == NONE || if MOST { mine < its } else { mine > its } {
            self.found = member.slot();
            self.place = place;
            self.load = load;
            self.weight = weight;
        }
        ControlFlow::Continue(())
    }
}

/// Takes the member at a place away. Only with the lock.
#[inline(always)]
fn remove<T: Tables>(tables: &T, locality: &Locality, place: u32) {
    let length = locality.length.load();
    let mut close = CloseUp { locality, place };
    tables.repeat(length.wrapping_sub(place).wrapping_sub(1), &mut close);
    locality.length.store(length.wrapping_sub(1));
}

/// Moves the members after a place down by one.
struct CloseUp<'l> {
    locality: &'l Locality,
    place: u32,
}

impl<T: Tables> Step<T> for CloseUp<'_> {
    #[inline(always)]
    fn step(&mut self, _tables: &T) -> ControlFlow<()> {
        let members = &self.locality.members;
        let place = self.place as usize;
        let next = members[(place + 1) % MEMBERS].load();
        members[place % MEMBERS].store(next);
        self.place += 1;
        ControlFlow::Continue(())
    }
}

/// Adds a member unless it is one. Only with the lock.
#[inline(always)]
fn insert<T: Tables>(tables: &T, locality: &Locality, member: Member, now: Tick) {
    let length = locality.length.load();
    let mut find = Find {
        locality,
        member,
        left: length,
        found: false,
    };
    tables.repeat(MEMBERS as u32, &mut find);
    if find.found || length >= MEMBERS as u32 {
        return;
    }
    locality.members[length as usize % MEMBERS].store(member.0);
    locality.length.store(length + 1);
    locality.changed.store(now.0);
}

struct Find<'l> {
    locality: &'l Locality,
    member: Member,
    left: u32,
    found: bool,
}

impl<T: Tables> Step<T> for Find<'_> {
    #[inline(always)]
    fn step(&mut self, _tables: &T) -> ControlFlow<()> {
        if self.left == 0 {
            return ControlFlow::Break(());
        }
        self.left -= 1;
        let member = self.locality.members[self.left as usize % MEMBERS].load();
        if member == self.member.0 {
            self.found = true;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}
