//! Templates: the records by which a client stays with its real server.

use weir_abi::connection::{
    Endpoints, INACTIVE, LIVE, PROVEN, TEMPLATE, TEMPLATE_ASSURED, Word, template_protocol,
};
use weir_abi::reason::Reason;
use weir_abi::tick::{Tick, Ticks};

use super::free_slot;
use crate::family::{Family, Flow, Record};
use crate::persist::{template_address, template_port};
use crate::tables::Tables;

/// What a new template is about: whose clients, of which service, to which real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateOf {
    /// The service's slot.
    pub service: u32,
    /// The real server's slot.
    pub destination: u32,
}

/// Makes the template for a packet of a service, and says its slot.
#[inline(always)]
pub fn make_template<F: Family, T: Tables>(
    tables: &T,
    flow: &Flow<F::Address>,
    of: TemplateOf,
    now: Tick,
) -> Result<u32, Reason> {
    let (Some(settings), Some(service), Some(destination)) = (
        tables.settings(),
        tables.service(of.service),
        tables.destination(of.destination),
    ) else {
        return Err(Reason::DestinationGone);
    };
    let connection = free_slot::<F, T>(tables, settings).ok_or(Reason::TableFull)?;
    let record = tables
        .connection::<F>(connection)
        .ok_or(Reason::TableFull)?;
    let key = service.key.load();
    let address = destination.address.load();
    let port = template_port(&key, flow.destination_port);
    record.endpoints().store(Endpoints {
        client: F::masked(flow.source, &service.netmask),
        virtual_address: template_address::<F>(&key, flow.destination),
        server: F::narrow(address.address),
        client_port: 0,
        virtual_port: port,
        // As IPVS shows it: no port where the template is for all of them.
        server_port: if port == 0 { 0 } else { address.port },
        protocol: template_protocol(key.protocol),
        forwarding: address.forwarding,
    });
    record.destination().store(of.destination);
    let timeout = Ticks(service.persistence_timeout.load());
    record.company().timeout.store(timeout.0);
    let generation = Word(record.word().load()).generation().wrapping_add(1);
    // Nobody's place in a full table is worth a client's real server: it is never evicted.
    let flags = LIVE | INACTIVE | TEMPLATE | PROVEN;
    let expires = now.after(timeout).after(Ticks::REFRESH);
    record
        .word()
        .store(Word::new(expires, 0, flags, generation).0);
    destination.persistent.add(1);
    F::live(settings).add(1);
    Ok(connection)
}

/// Lets a template live as long again, as each of its new connections does (`ip_vs_conn_put`).
#[inline(always)]
pub fn prolong<F: Family>(record: &F::Record, now: Tick) {
    let word = Word(record.word().load());
    let timeout = Ticks(record.company().timeout.load());
    let expires = now.after(timeout).after(Ticks::REFRESH);
    // Who is in between has prolonged it too, or ended it.
    record
        .word()
        .replace(word.0, Word::of_halves(expires, word.upper()).0);
}

/// Tells a connection's template that the connection has come to be (`ip_vs_control_assure_ct`).
#[inline(always)]
pub(super) fn assure<F: Family, T: Tables>(tables: &T, record: &F::Record) {
    let Some(control) = tables.connection::<F>(record.company().control.load()) else {
        return;
    };
    let word = Word(control.word().load());
    if word.flags() & TEMPLATE != 0 && word.state() != TEMPLATE_ASSURED {
        let assured = Word::new(
            word.expires(),
            TEMPLATE_ASSURED,
            word.flags(),
            word.generation(),
        );
        control.word().replace(word.0, assured.0);
    }
}
