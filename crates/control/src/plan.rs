//! From what is there to what is wanted: the fewest changes, in an order in which no service is
//! without real servers on the way if it has some before and after.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use weir_config::model::{RealServer, Service, ServiceKey, Words};

use crate::director::{Director, check_service, check_size};
use crate::error::Error;
use crate::servers::{check_address, check_family};
use crate::tables::Tables;

/// One change, shown as a line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A virtual service is new.
    AddService(Service),
    /// Something else is said of a virtual service.
    EditService {
        /// As it is.
        from: Box<Service>,
        /// As it will be.
        to: Box<Service>,
    },
    /// A virtual service goes, with its real servers.
    DeleteService(Service),
    /// A real server is new.
    AddServer {
        /// Its virtual service.
        service: ServiceKey,
        /// The real server.
        server: RealServer,
    },
    /// Something else is said of a real server.
    EditServer {
        /// Its virtual service.
        service: ServiceKey,
        /// As it is.
        from: RealServer,
        /// As it will be.
        to: RealServer,
    },
    /// A real server goes.
    DeleteServer {
        /// Its virtual service.
        service: ServiceKey,
        /// The real server.
        server: RealServer,
    },
}

/// What makes `current` into `wanted`. Real servers are added in the order in which they are wanted,
/// as if each were a line of ipvsadm; the order of those that are there already stays.
pub fn plan(
    current: &[(Service, Vec<RealServer>)],
    wanted: &[(Service, Vec<RealServer>)],
) -> Vec<Change> {
    let mut changes = plan_named(current, wanted);
    let stay: HashSet<ServiceKey> = wanted.iter().map(|(service, _)| service.key).collect();
    let gone = current
        .iter()
        .filter(|(service, _)| !stay.contains(&service.key));
    changes.extend(gone.map(|(service, _)| Change::DeleteService(*service)));
    changes
}

/// The same, but services that are not in `wanted` stay as they are.
pub fn plan_named(
    current: &[(Service, Vec<RealServer>)],
    wanted: &[(Service, Vec<RealServer>)],
) -> Vec<Change> {
    let there: HashMap<ServiceKey, &(Service, Vec<RealServer>)> =
        current.iter().map(|entry| (entry.0.key, entry)).collect();
    let mut changes = Vec::new();
    for (service, servers) in wanted {
        match there.get(&service.key) {
            Some((from, old)) => {
                if from != service {
                    changes.push(Change::EditService {
                        from: Box::new(*from),
                        to: Box::new(*service),
                    });
                }
                plan_servers(&mut changes, service.key, old, servers);
            }
            None => {
                changes.push(Change::AddService(*service));
                plan_servers(&mut changes, service.key, &[], servers);
            }
        }
    }
    changes
}

fn plan_servers(
    changes: &mut Vec<Change>,
    service: ServiceKey,
    current: &[RealServer],
    wanted: &[RealServer],
) {
    let there: HashMap<SocketAddr, &RealServer> = current
        .iter()
        .map(|server| (server.address, server))
        .collect();
    for server in wanted {
        match there.get(&server.address) {
            None => changes.push(Change::AddServer {
                service,
                server: *server,
            }),
            Some(from) if *from != server => changes.push(Change::EditServer {
                service,
                from: **from,
                to: *server,
            }),
            Some(_) => {}
        }
    }
    let stay: HashSet<SocketAddr> = wanted.iter().map(|server| server.address).collect();
    let gone = current
        .iter()
        .filter(|server| !stay.contains(&server.address));
    changes.extend(gone.map(|server| Change::DeleteServer {
        service,
        server: *server,
    }));
}

impl Director {
    /// Makes the changes of a [`plan`] that was made from the present [`Director::configuration`].
    /// All are checked before the first is made, so a plan that cannot be carried out changes
    /// nothing.
    pub fn apply<T: Tables>(
        &mut self,
        tables: &T,
        changes: &[Change],
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        self.check(tables, changes, now)?;
        for change in changes {
            match change {
                Change::AddService(service) => self.add_service(tables, *service, now)?,
                Change::EditService { to, .. } => self.edit_service(tables, **to)?,
                Change::DeleteService(service) => {
                    self.delete_service(tables, &service.key, now)?;
                }
                Change::AddServer { service, server } => {
                    self.add_server(tables, service, *server, now)?;
                }
                Change::EditServer { service, to, .. } => {
                    self.edit_server(tables, service, *to)?;
                }
                Change::DeleteServer { service, server } => {
                    self.delete_server(tables, service, server.address, now)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses the first change that cannot be made after those before it.
    fn check<T: Tables>(
        &mut self,
        tables: &T,
        changes: &[Change],
        now: Duration,
    ) -> Result<(), Error<T::Error>> {
        let mut new_services = HashSet::new();
        // Those that change, as they will be.
        let mut wanted: HashMap<ServiceKey, &Service> = HashMap::new();
        let mut new_servers = HashSet::new();
        for change in changes {
            match change {
                Change::AddService(service) => {
                    check_service(service)?;
                    wanted.insert(service.key, service);
                    if self.has_service(&service.key) || !new_services.insert(service.key) {
                        return Err(Error::ServiceExists(service.key));
                    }
                }
                Change::EditService { to: service, .. } => {
                    let held = self.held(&service.key)?;
                    check_service(service)?;
                    check_size(service.scheduler, held.servers.len())?;
                    self.check_pool_change(tables, service)?;
                    wanted.insert(service.key, service);
                }
                Change::DeleteService(service) => {
                    self.held(&service.key)?;
                }
                Change::AddServer { service, server } => {
                    if !new_services.contains(service) {
                        self.held(service)?;
                    }
                    check_family(service, server)?;
                    self.check_wanted_pool(tables, wanted.get(service).copied(), service, server)?;
                    check_address(server.address)?;
                    let is_new = new_servers.insert((*service, server.address));
                    if !is_new || self.server(tables, service, server.address).is_ok() {
                        return Err(Error::ServerExists {
                            service: *service,
                            server: server.address,
                        });
                    }
                }
                Change::EditServer { service, to, .. } => {
                    self.find_server(service, to.address)?;
                    check_family(service, to)?;
                    self.check_wanted_pool(tables, wanted.get(service).copied(), service, to)?;
                }
                Change::DeleteServer { service, server } => {
                    self.find_server(service, server.address)?;
                }
            }
        }
        self.check_room(tables, new_services.len(), &new_servers, now)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddService(service) => {
                write!(f, "+ {}", service.key)?;
                write_words(f, &service.words())
            }
            Self::EditService { from, to } => {
                write!(f, "~ {}", to.key)?;
                write_difference(f, &from.words(), &to.words())
            }
            Self::DeleteService(service) => {
                write!(f, "- {}", service.key)?;
                write_words(f, &service.words())
            }
            Self::AddServer { service, server } => {
                let method = server.forwarding.name();
                write!(f, "+ {service} server {} {method}", server.address)?;
                write_words(f, &server.words())
            }
            Self::EditServer { service, from, to } => {
                write!(f, "~ {service} server {}", to.address)?;
                let (old, new) = (from.forwarding.name(), to.forwarding.name());
                if old != new {
                    write!(f, " {old} -> {new}")?;
                }
                write_difference(f, &from.words(), &to.words())
            }
            Self::DeleteServer { service, server } => {
                let method = server.forwarding.name();
                write!(f, "- {service} server {} {method}", server.address)?;
                write_words(f, &server.words())
            }
        }
    }
}

fn write_words(f: &mut fmt::Formatter<'_>, words: &Words) -> fmt::Result {
    words
        .iter()
        .try_for_each(|(name, value)| write!(f, " {name} {value}"))
}

/// What is said otherwise, and what is said no more or only now.
fn write_difference(f: &mut fmt::Formatter<'_>, from: &Words, to: &Words) -> fmt::Result {
    let find = |words: &Words, name: &str| {
        let mut words = words.iter();
        let found = words.find(|(known, _)| *known == name);
        found.map_or("none".to_owned(), |(_, value)| value.clone())
    };
    let gone = from
        .iter()
        .filter(|(name, _)| to.iter().all(|(known, _)| known != name));
    for (name, _) in to.iter().chain(gone) {
        let (old, new) = (find(from, name), find(to, name));
        if old != new {
            write!(f, " {name} {old} -> {new}")?;
        }
    }
    Ok(())
}
