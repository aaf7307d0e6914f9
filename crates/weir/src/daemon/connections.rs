//! Connections, filtered and paged, straight from the tables that the packet programs write.

use std::time::Duration;

use abi::tick::Tick;
use api::management::{ConnectionFilter, Cursor};
use api::types;
use config::model::Protocol;
use control::connection::{ConnectionView, describe4, describe6};
use weir_abi as abi;
use weir_api as api;
use weir_config as config;
use weir_control as control;

use crate::plane::Plane;

/// The connections that `filter` asks for, from its cursor on, and where the next page begins.
///
/// A page is a walk over slots, so a connection that lives throughout is on exactly one page.
pub fn page<P: Plane>(
    plane: &P,
    filter: &ConnectionFilter,
    now: Duration,
) -> types::ConnectionPage {
    let now = Tick::from_nanoseconds(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX));
    let settings = plane.settings();
    let mut page = Page {
        filter,
        connections: Vec::new(),
    };

    let records = used(plane.connections4(), settings.high_water4.load());
    let start = match filter.cursor {
        Cursor::Start => 0,
        Cursor::V4(slot) => slot as usize,
        Cursor::V6(_) => records.len(),
    };
    for (slot, record) in records.iter().enumerate().skip(start) {
        if page.is_full() {
            return page.until(Some(Cursor::V4(slot as u32)));
        }
        page.consider(describe4(record, plane.destinations(), now));
    }

    let records = used(plane.connections6(), settings.high_water6.load());
    let start = match filter.cursor {
        Cursor::Start | Cursor::V4(_) => 0,
        Cursor::V6(slot) => slot as usize,
    };
    for (slot, record) in records.iter().enumerate().skip(start) {
        if page.is_full() {
            return page.until(Some(Cursor::V6(slot as u32)));
        }
        page.consider(describe6(record, plane.destinations(), now));
    }
    page.until(None)
}

struct Page<'a> {
    filter: &'a ConnectionFilter,
    connections: Vec<types::Connection>,
}

impl Page<'_> {
    fn is_full(&self) -> bool {
        self.connections.len() >= self.filter.limit
    }

    fn consider(&mut self, view: Option<ConnectionView>) {
        if let Some(view) = view.filter(|view| is_wanted(self.filter, view)) {
            self.connections.push(connection(&view));
        }
    }

    fn until(self, next: Option<Cursor>) -> types::ConnectionPage {
        types::ConnectionPage {
            connections: self.connections,
            next: next.map(Cursor::to_text),
        }
    }
}

fn is_wanted(filter: &ConnectionFilter, view: &ConnectionView) -> bool {
    filter.protocol.is_none_or(|one| Some(one) == view.protocol)
        && filter.client.is_none_or(|one| one.matches(view.client))
        && filter
            .virtual_address
            .is_none_or(|one| one.matches(view.virtual_address))
        && filter.server.is_none_or(|one| one.matches(view.server))
        && filter
            .state
            .as_deref()
            .is_none_or(|name| name == view.state.name())
}

fn connection(view: &ConnectionView) -> types::Connection {
    let protocol = view.protocol.map_or("ip", Protocol::name);
    types::Connection {
        protocol: protocol.to_owned(),
        expires: view.seconds_left,
        state: view.state.name().to_owned(),
        client: view.client,
        r#virtual: view.virtual_address,
        server: view.server,
        forwarding: view.method.name().to_owned(),
        template: view.template,
        active: view.active,
        synced: false,
        engine: None,
    }
}

/// The slots that have ever been used.
fn used<T>(records: &[T], high_water: u32) -> &[T] {
    &records[..records.len().min(high_water as usize)]
}
