//! Changes that somebody asks for one by one: ipvsadm, the API.
//!
//! They are made on the tables at once, so that they are refused as IPVS refuses, and remembered as
//! wanted. Only a service whose real servers are watched is seen through health first.

use std::net::SocketAddr;

use api::edit::ServerEdit;
use api::{Change, Error, Peer, time};
use config::model::{RealServer, ServiceKey, Timeouts};
use control::plan::Change as Planned;
use control::wanted::{Alteration, DrainOrder, TimeoutName, Wanted};
use control::{Director, settings};
use host::clock::monotonic;
use weir_api as api;
use weir_config as config;
use weir_control as control;
use weir_host as host;

use super::ledger::{Cause, Ledger};
use super::{Daemon, listing};
use crate::plane::Plane;

const REASON: &str = "by hand";

impl<P: Plane> Daemon<P> {
    /// Makes one change, wholly or not at all.
    pub(super) fn change_by_hand(&self, peer: &Peer, change: &Change) -> Result<(), Error> {
        let mut ledger = self.ledger();
        let cause = Cause::of(peer, REASON);
        let alterations = {
            let mut director = self.director();
            let plane = &*self.plane();
            self.change_tables(&ledger, &mut director, plane, change)?
        };
        if let Change::Zero(key) = change {
            let subject = match key {
                Some(key) => format!("counters of service {key}"),
                None => "all counters".to_owned(),
            };
            let zero = Some(vec![("zeroed".to_owned(), "true".to_owned())]);
            self.record(&cause, None, vec![(subject, (None, zero))]);
        }
        let altered = !alterations.is_empty();
        self.commit(&mut ledger, &cause, alterations);
        if altered {
            self.follow_if_watched(&ledger, change)?;
        }
        drop(ledger);
        if matches!(change, Change::SetSysctls(_)) {
            self.follow_machine();
        }
        if matches!(change, Change::Drain { .. }) {
            // The tables do not say it, so it must not be lost.
            self.save_state();
        } else if altered {
            self.save_by_hand();
        }
        Ok(())
    }

    fn change_tables(
        &self,
        ledger: &Ledger,
        director: &mut Director,
        plane: &P,
        change: &Change,
    ) -> Result<Vec<Alteration>, Error> {
        let wanted = &ledger.wanted;
        let refused = listing::refusal;
        let now = monotonic();
        Ok(match change {
            Change::AddService(service) => {
                director
                    .add_service(plane, *service, now)
                    .map_err(refused)?;
                vec![Alteration::Service(Planned::AddService(*service))]
            }
            Change::EditService { key, edit } => {
                let from = director.service(plane, key).map_err(refused)?.service;
                let to = edit.of(from);
                director.edit_service(plane, to).map_err(refused)?;
                let (from, to) = (Box::new(from), Box::new(to));
                let edited = Alteration::Service(Planned::EditService { from, to });
                differs(edited).into_iter().collect()
            }
            Change::DeleteService(key) => {
                director.delete_service(plane, key, now).map_err(refused)?;
                let service = wanted.service(key);
                let gone = service.map(|one| Planned::DeleteService(one.service));
                gone.map(Alteration::Service).into_iter().collect()
            }
            Change::Flush => {
                director.flush(plane, now).map_err(refused)?;
                let services = wanted.services();
                let gone = services.map(|one| Planned::DeleteService(one.service));
                gone.map(Alteration::Service).collect()
            }
            Change::AddServer { key, server } => {
                self.add_server(wanted, director, plane, *key, *server)?
            }
            Change::EditServer { key, address, edit } => {
                self.edit_server(wanted, director, plane, *key, *address, edit)?
            }
            Change::DeleteServer { key, address } => {
                let old = wanted_server(wanted, director, plane, key, *address)?;
                if director.server(plane, key, *address).is_ok() {
                    let deleted = director.delete_server(plane, key, *address, now);
                    deleted.map_err(refused)?;
                }
                vec![Alteration::Service(Planned::DeleteServer {
                    service: *key,
                    server: old,
                })]
            }
            Change::Zero(key) => {
                director.zero(plane, key.as_ref()).map_err(refused)?;
                Vec::new()
            }
            Change::SetTimeouts(timeouts) => {
                let before = settings::timeouts(plane.settings());
                director.set_timeouts(plane, *timeouts).map_err(refused)?;
                timeouts_altered(before, settings::timeouts(plane.settings()))
            }
            Change::SetSysctls(sysctls) => {
                let altered = sysctls.iter().filter_map(|(name, to)| {
                    let from = settings::sysctl(plane.settings(), name);
                    (from != to).then_some(Alteration::Sysctl { name, from, to })
                });
                let altered = altered.collect();
                director.set_sysctls(plane, sysctls);
                altered
            }
            Change::SetMarks(rules) => {
                let from = wanted.settings().marks.clone();
                self.write_marks(plane, rules)?;
                let to = rules.clone();
                let altered = from != to;
                let alteration = altered.then_some(Alteration::Marks { from, to });
                alteration.into_iter().collect()
            }
            Change::Drain {
                key,
                address,
                timeout,
            } => {
                let old = wanted_server(wanted, director, plane, key, *address)?;
                if director.server(plane, key, *address).is_ok() {
                    let quiesced = RealServer {
                        weight: config::model::Weight::QUIESCED,
                        ..director.server(plane, key, *address).unwrap_or(old)
                    };
                    director
                        .edit_server(plane, key, quiesced)
                        .map_err(refused)?;
                }
                let timeout = timeout.map(u64::from).map(std::time::Duration::from_secs);
                vec![Alteration::Drain {
                    service: *key,
                    server: *address,
                    from: wanted.drain_order(key, *address),
                    to: Some(DrainOrder {
                        until: timeout.map(|timeout| time::now() + timeout),
                    }),
                }]
            }
        })
    }

    fn add_server(
        &self,
        wanted: &Wanted,
        director: &mut Director,
        plane: &P,
        service: ServiceKey,
        server: RealServer,
    ) -> Result<Vec<Alteration>, Error> {
        let there = wanted.service(&service);
        let there = there.and_then(|one| one.server(server.address));
        if there.is_some() && director.server(plane, &service, server.address).is_err() {
            let exists = control::Error::<P::Error>::ServerExists {
                service,
                server: server.address,
            };
            return Err(listing::refusal(exists));
        }
        let held = wanted.held(&service, server);
        director
            .add_server(plane, &service, held, monotonic())
            .map_err(listing::refusal)?;
        Ok(vec![Alteration::Service(Planned::AddServer {
            service,
            server,
        })])
    }

    /// What is given for the first time is on top of what is wanted, not of what health has made of it.
    fn edit_server(
        &self,
        wanted: &Wanted,
        director: &mut Director,
        plane: &P,
        service: ServiceKey,
        address: SocketAddr,
        edit: &ServerEdit,
    ) -> Result<Vec<Alteration>, Error> {
        let from = wanted_server(wanted, director, plane, &service, address)?;
        let to = edit.of(from)?;
        let has_weight = edit.weight.is_some_and(|weight| weight.get() > 0);
        let called_off = wanted.calling_off(service, address).filter(|_| has_weight);
        if director.server(plane, &service, address).is_ok() {
            let effective = match called_off {
                Some(_) => to,
                None => wanted.held(&service, to),
            };
            director
                .edit_server(plane, &service, effective)
                .map_err(listing::refusal)?;
        }
        let edited = Alteration::Service(Planned::EditServer { service, from, to });
        Ok(called_off.into_iter().chain(differs(edited)).collect())
    }

    /// Health may see it otherwise.
    fn follow_if_watched(&self, ledger: &Ledger, change: &Change) -> Result<(), Error> {
        let key = match change {
            Change::AddService(service) => &service.key,
            Change::EditService { key, .. }
            | Change::DeleteService(key)
            | Change::AddServer { key, .. }
            | Change::EditServer { key, .. }
            | Change::DeleteServer { key, .. }
            | Change::Drain { key, .. } => key,
            Change::Flush => return self.follow_wanted(&ledger.wanted),
            Change::Zero(_)
            | Change::SetTimeouts(_)
            | Change::SetSysctls(_)
            | Change::SetMarks(_) => return Ok(()),
        };
        if self.watched().watches(key) {
            return self.follow_wanted(&ledger.wanted);
        }
        Ok(())
    }
}

/// A real server as it is wanted, or IPVS's refusal.
fn wanted_server<P: Plane>(
    wanted: &Wanted,
    director: &Director,
    plane: &P,
    service: &ServiceKey,
    address: SocketAddr,
) -> Result<RealServer, Error> {
    let found = wanted.service(service).and_then(|one| one.server(address));
    match found {
        Some(server) => Ok(*server),
        // A sorry server, perhaps: it is in the tables all the same.
        None => director
            .server(plane, service, address)
            .map_err(listing::refusal),
    }
}

fn differs(alteration: Alteration) -> Option<Alteration> {
    let (from, to) = alteration.sides();
    (from != to).then_some(alteration)
}

fn timeouts_altered(from: Timeouts, to: Timeouts) -> Vec<Alteration> {
    [
        (TimeoutName::Tcp, from.tcp, to.tcp),
        (TimeoutName::TcpFin, from.tcp_fin, to.tcp_fin),
        (TimeoutName::Udp, from.udp, to.udp),
    ]
    .into_iter()
    .filter(|(_, from, to)| from != to)
    .map(|(name, from, to)| Alteration::Timeout { name, from, to })
    .collect()
}
