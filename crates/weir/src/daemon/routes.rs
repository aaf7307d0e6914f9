//! What connections remember of routes and neighbours, and when they must not any more.

use std::io;
use std::net::IpAddr;
use std::sync::PoisonError;

use abi::settings::{USE_LOCAL_CLIENTS, USE_LOCAL_REPLIES};
use abi::tick::Tick;
use host::clock::monotonic;
use host::neighbour;
use host::route::{self, Route};
use weir_abi as abi;
use weir_control::{Way, settings};
use weir_host as host;

use super::Daemon;
use crate::plane::Plane;

impl<P: Plane> Daemon<P> {
    /// Lets connections learn their next hops anew.
    pub(super) fn forget_routes(&self) {
        settings::forget_routes(self.plane().settings());
    }

    /// Asks the kernel for the ways to all real servers: which of them are this machine, and where
    /// tunnels to them begin.
    pub(super) fn learn_ways(&self) {
        let servers = self.director().server_addresses();
        self.learn_ways_to(servers);
    }

    /// The same for some of them.
    pub(super) fn learn_ways_to(&self, servers: impl IntoIterator<Item = IpAddr>) {
        match route::to(servers) {
            Ok(routes) => {
                let way = |route: Option<Route>| {
                    route.map_or(Way::default(), |route| Way {
                        local: route.local,
                        source: route.source,
                    })
                };
                let ways = routes.into_iter();
                let ways = ways.map(|(address, route)| (address, way(route))).collect();
                self.director().learn_ways(&*self.plane(), &ways);
                self.settle_local_replies();
            }
            Err(error) => {
                tracing::warn!("the kernel cannot be asked for the ways to real servers: {error}");
            }
        }
    }

    /// Translates the replies of real servers that are this machine, where there are such.
    fn settle_local_replies(&self) {
        let are_local = self.director().has_local_servers(&*self.plane());
        if are_local == self.plane().settings().uses(USE_LOCAL_REPLIES) {
            return;
        }
        if let Err(error) = self.plane_to_attach().translate_local_replies(are_local) {
            tracing::error!("replies of real servers on the director itself: {error}");
        }
    }

    /// Serves clients on this machine, or no more. Answers of real servers reach them by the loopback interface,
    /// from the virtual address, which may be this machine's own: so the kernel has to take such there.
    pub fn serve_local_clients(&self, wanted: bool) -> Result<(), P::Error> {
        if !wanted && !self.plane().settings().uses(USE_LOCAL_CLIENTS) {
            return Ok(());
        }
        if wanted && let Err(error) = host::sysctl::accept_own_addresses_on_loopback() {
            tracing::warn!(
                "net.ipv4.conf.lo.accept_local cannot be set, so clients on this machine get no answers over \
                 IPv4 from virtual addresses that are its own: {error}"
            );
        }
        self.plane_to_attach().serve_local_clients(wanted)
    }

    /// All changes until now have been told to the packet programs. When this is not said for two
    /// seconds, they distrust what they remember.
    pub(super) fn watches_routes(&self) {
        if self.blind().take().is_some() {
            tracing::info!("changes of routes and interfaces are noticed again");
        }
        let now = Tick::from_nanoseconds(monotonic().as_nanos() as u64);
        self.plane().settings().routes_watched.store(now.0);
    }

    /// Changes go unnoticed now. It is tried again every second, and said once.
    pub(super) fn lost_sight_of_routes(&self, error: &io::Error) {
        let why = error.to_string();
        let before = self.blind().replace(why.clone());
        if before.as_ref() != Some(&why) {
            tracing::error!(
                "changes of routes and interfaces go unnoticed until they can be watched again: {why}"
            );
        }
    }

    /// Why changes of routes go unnoticed, if they do.
    pub(super) fn why_blind(&self) -> Option<String> {
        self.blind().clone()
    }

    /// The real servers of which the kernel would make sure if it saw what is sent to them.
    pub(super) fn stale_neighbours(&self) -> io::Result<Vec<neighbour::Name>> {
        let servers = self.director().server_addresses();
        let all = neighbour::all()?.into_iter();
        Ok(all
            .filter(|one| one.stale && servers.contains(&one.name.1))
            .map(|one| one.name)
            .collect())
    }

    fn blind(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.blind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
