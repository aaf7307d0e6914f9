//! Connections, filtered and paged, straight from the tables that the packet programs write.

use std::time::Duration;

use abi::call::CallKey;
use abi::keys::{FAMILY_V4, FAMILY_V6};
use abi::tick::Tick;
use api::management::{ConnectionFilter, Cursor};
use api::types;
use config::model::{Engine, Protocol};
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
        let view = describe4(record, plane.destinations(), now);
        page.consider(view, || call_id(plane, slot, FAMILY_V4));
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
        let view = describe6(record, plane.destinations(), now);
        page.consider(view, || call_id(plane, slot, FAMILY_V6));
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

    fn consider(&mut self, view: Option<ConnectionView>, call_id: impl FnOnce() -> Option<String>) {
        if let Some(view) = view.filter(|view| is_wanted(self.filter, view)) {
            let call_id = if view.call { call_id() } else { None };
            self.connections.push(connection(&view, call_id));
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

/// The Call-ID of a template. Its bytes are letters of Latin-1, as far as they are not ASCII.
fn call_id<P: Plane>(plane: &P, slot: usize, family: u8) -> Option<String> {
    let key = CallKey {
        slot: slot as u32,
        family: family.into(),
    };
    Some(plane.call_id(key)?.bytes().map(char::from).collect())
}

fn connection(view: &ConnectionView, call_id: Option<String>) -> types::Connection {
    let protocol = view.protocol.map_or("ip", Protocol::name);
    types::Connection {
        protocol: protocol.to_owned(),
        expires: view.seconds_left,
        state: view.state.name().to_owned(),
        client: view.client,
        r#virtual: view.virtual_address,
        server: view.server,
        forwarding: view.method.name().to_owned(),
        local: view.local,
        template: view.template,
        active: view.active,
        synced: false,
        engine: call_id.map(|data| types::EngineData {
            name: Engine::Sip.name().to_owned(),
            data,
        }),
    }
}

/// The slots that have ever been used.
fn used<T>(records: &[T], high_water: u32) -> &[T] {
    &records[..records.len().min(high_water as usize)]
}
