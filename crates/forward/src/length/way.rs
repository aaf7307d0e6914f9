//! Where a packet goes, and who remembers it.

use weir_abi::connection::{HopCell, HopTerms};
use weir_abi::keys::Direction;
use weir_abi::service::Destination;
use weir_abi::settings::{Link, USE_FAREWELLS, USE_OWN_TIMEOUTS};
use weir_abi::sysctl::Sysctl;

use crate::connection::{self, Found};
use crate::family::Record;
use crate::farewell;
use crate::hook::{Hook, Route};
use crate::job::Job;
use crate::tables::Tables;
use crate::translate::{End, Translate};
use crate::wrap::Outer;

/// Asks where the packet goes once it is wrapped, and lets the real server remember it: with the size
/// of the largest packet that fits when wrapped.
#[inline(always)]
pub(crate) fn route_outer<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    generation: u32,
    destination: &Destination,
) -> Route {
    if way_to_server(job, &destination.hop, generation).is_some() {
        return Route::Known;
    }
    let outer = Outer::of::<F>(destination);
    let route = job
        .hook
        .route_outer::<F, T>(job.tables, &job.segment, &outer);
    match route {
        Route::Known => {
            if let Some((link, mtu)) = job.hook.learnt() {
                let room = mtu.saturating_sub(outer.overhead);
                destination
                    .hop
                    .remember(link, HopTerms::new(generation, room, 0));
            }
            Route::Known
        }
        Route::TooBig(mtu) => Route::TooBig(mtu.saturating_sub(outer.overhead)),
        other @ (Route::NoNeighbour
        | Route::NotTransmittable
        | Route::Unreachable
        | Route::ForwardingDisabled) => other,
    }
}

/// Asks where the packet goes, and lets the connection remember it. `generation` was in force before the
/// real server was looked at.
#[inline(always)]
pub(crate) fn route<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    (end, delta): (End<F::Address>, u16),
    generation: u32,
    (destination, is_available): (Option<&Destination>, bool),
) -> Route {
    let to_server = match direction {
        Direction::Request => destination.map(|destination| &destination.hop),
        Direction::Reply => None,
    };
    if let Some(hop) = to_server
        && let Some((link, mtu)) = way_to_server(job, hop, generation)
    {
        if is_available {
            learn(job, found, direction, delta, generation, (link, mtu));
        }
        return Route::Known;
    }
    let asked = asked_by(job, direction, end);
    let route = job
        .hook
        .route::<F, T>(job.tables, &job.segment, direction, asked);
    match route {
        Route::Known => {
            // Nothing of a removed real server is remembered: each packet of its asks.
            if is_available && let Some((link, mtu)) = job.hook.learnt() {
                learn(job, found, direction, delta, generation, (link, mtu));
                if let Some(hop) = to_server {
                    hop.remember(link, HopTerms::new(generation, mtu, 0));
                }
            }
        }
        Route::NoNeighbour
        | Route::NotTransmittable
        | Route::Unreachable
        | Route::ForwardingDisabled
        | Route::TooBig(_) => {}
    }
    route
}

/// What routing is asked by: replies go the way of what comes from the VIP, or without `snat_reroute` that of
/// what the real server has sent (`ip_vs_route_me_harder`).
#[inline(always)]
pub(crate) fn asked_by<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    direction: Direction,
    end: End<F::Address>,
) -> End<F::Address> {
    match direction {
        Direction::Reply if job.settings.sysctl(Sysctl::SnatReroute).load() == 0 => End {
            address: job.segment.flow.source,
            port: job.segment.flow.source_port,
        },
        Direction::Reply | Direction::Request => end,
    }
}

/// Goes the way that another connection's packet went to the same real server, if that still holds.
/// As in IPVS, whose real servers keep their route (`ip_vs_dest_dst`), the client does not matter.
#[inline(always)]
pub(crate) fn way_to_server<F: Translate, H: Hook, T: Tables>(
    job: &mut Job<'_, F, H, T>,
    hop: &HopCell,
    generation: u32,
) -> Option<(Link, u16)> {
    let terms = HopTerms(hop.terms.load());
    let link = Link(hop.link.load());
    let goes = terms.generation() == generation
        && job.hook.fits(&job.segment, terms.mtu())
        && job.hook.recall(job.tables, link);
    goes.then_some((link, terms.mtu()))
}

/// Lets a connection remember a hop.
#[inline(always)]
pub(crate) fn learn<F: Translate, H: Hook, T: Tables>(
    job: &Job<'_, F, H, T>,
    found: &Found<'_, F>,
    direction: Direction,
    delta: u16,
    generation: u32,
    (link, mtu): (Link, u16),
) {
    // So that all its packets come here, and go on to be read.
    if connection::speaks_of_addresses(&found.record.endpoints().load()) {
        return;
    }
    // So that all its packets come here, and what they acknowledge is remembered.
    if job.settings.uses(USE_FAREWELLS) && farewell::is_wanted(job.tables, found.destination) {
        return;
    }
    // So that all its packets come here, and its service's own timeouts are asked for.
    if job.settings.uses(USE_OWN_TIMEOUTS)
        && connection::own_timeouts(job.tables, found.destination).is_some()
    {
        return;
    }
    let hop = found.record.hop(direction);
    hop.remember(link, HopTerms::new(generation, mtu, delta));
}
