//! One change of what is wanted, which can be undone.

use std::fmt;
use std::net::SocketAddr;

use weir_config::difference::{self, Difference, Fields};
use weir_config::model::{Forwarding, MarkRule, RealServer, Service, ServiceKey};
use weir_config::sysctl::Sysctl;

use super::hold::{DrainOrder, Target};
use super::service::WantedService;
use super::{Upkeep, Wanted};
use crate::plan::Change;

/// One change of what is wanted, which can be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// Of a service or a real server.
    Service(Change),
    /// Of a timeout.
    Timeout {
        /// Which.
        name: TimeoutName,
        /// As it is, in seconds.
        from: u32,
        /// As it will be.
        to: u32,
    },
    /// Of a sysctl.
    Sysctl {
        /// Which.
        name: Sysctl,
        /// As it is.
        from: i64,
        /// As it will be.
        to: i64,
    },
    /// Of the rules for firewall marks, which are told by their order.
    Marks {
        /// All, as they are.
        from: Vec<MarkRule>,
        /// All, as they will be.
        to: Vec<MarkRule>,
    },
    /// Of health, VRRP or notifications.
    Upkeep {
        /// As it is.
        from: Upkeep,
        /// As it will be.
        to: Upkeep,
    },
    /// Real servers go into maintenance, or come back.
    Maintenance {
        /// Which.
        target: Target,
        /// Whether they go.
        on: bool,
    },
    /// A real server drains, or no more.
    Drain {
        /// Its service.
        service: ServiceKey,
        /// The real server.
        server: SocketAddr,
        /// How it drains.
        from: Option<DrainOrder>,
        /// How it will.
        to: Option<DrainOrder>,
    },
}

/// A timeout that can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeoutName {
    /// TCP ESTABLISHED.
    Tcp,
    /// TCP FIN_WAIT.
    TcpFin,
    /// UDP.
    Udp,
}

/// What is said of a thing, in words; nothing where there is no such thing.
pub type Side = Option<Vec<(String, String)>>;

impl TimeoutName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tcp, Self::TcpFin, Self::Udp];

    /// As plans and logs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::TcpFin => "tcp-fin",
            Self::Udp => "udp",
        }
    }

    /// The timeout of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

impl Alteration {
    /// The lines of a difference.
    pub fn lines(&self) -> Vec<String> {
        let Self::Upkeep { from, to } = self else {
            return vec![self.to_string()];
        };
        let differences = upkeep(from, to);
        differences.iter().map(ToString::to_string).collect()
    }

    /// What it is about, thing by thing, and what is said of each before and after.
    pub fn parts(&self) -> Vec<(String, (Side, Side))> {
        let Self::Upkeep { from, to } = self else {
            return vec![(self.subject(), self.sides())];
        };
        let side = |fields: Option<Fields>| fields.map(|fields| fields.into_iter().collect());
        let differences = upkeep(from, to).into_iter();
        differences
            .map(|one| (one.subject, (side(one.before), side(one.after))))
            .collect()
    }

    /// What undoes it.
    #[must_use]
    pub fn inverse(&self) -> Self {
        match self {
            Self::Service(change) => Self::Service(inverse(change)),
            Self::Timeout { name, from, to } => Self::Timeout {
                name: *name,
                from: *to,
                to: *from,
            },
            Self::Sysctl { name, from, to } => Self::Sysctl {
                name: *name,
                from: *to,
                to: *from,
            },
            Self::Marks { from, to } => Self::Marks {
                from: to.clone(),
                to: from.clone(),
            },
            Self::Upkeep { from, to } => Self::Upkeep {
                from: to.clone(),
                to: from.clone(),
            },
            Self::Maintenance { target, on } => Self::Maintenance {
                target: *target,
                on: !on,
            },
            Self::Drain {
                service,
                server,
                from,
                to,
            } => Self::Drain {
                service: *service,
                server: *server,
                from: *to,
                to: *from,
            },
        }
    }

    /// The service and the real server that it is about, where it is about one.
    pub fn server(&self) -> Option<(ServiceKey, SocketAddr)> {
        match self {
            Self::Service(change) => {
                let (service, server) = subject(change);
                Some((service, server?))
            }
            Self::Drain {
                service, server, ..
            } => Some((*service, *server)),
            Self::Timeout { .. }
            | Self::Sysctl { .. }
            | Self::Marks { .. }
            | Self::Upkeep { .. }
            | Self::Maintenance { .. } => None,
        }
    }

    /// What it is about, as logs name it.
    pub fn subject(&self) -> String {
        match self {
            Self::Service(change) => {
                let (service, server) = subject(change);
                match server {
                    Some(server) => format!("server {server} of {service}"),
                    None => format!("service {service}"),
                }
            }
            Self::Timeout { name, .. } => format!("timeout {}", name.name()),
            Self::Sysctl { name, .. } => format!("sysctl {}", name.name()),
            Self::Marks { .. } => "rules for firewall marks".to_owned(),
            Self::Upkeep { .. } => "health, VRRP and notifications".to_owned(),
            Self::Maintenance { target, .. } => format!("server {target}"),
            Self::Drain {
                service, server, ..
            } => format!("server {server} of {service}"),
        }
    }

    /// What is said of it before, and after.
    pub fn sides(&self) -> (Side, Side) {
        let one =
            |name: &str, value: &dyn fmt::Display| Some(vec![(name.to_owned(), value.to_string())]);
        match self {
            Self::Service(change) => sides(change),
            Self::Timeout { from, to, .. } => (one("seconds", from), one("seconds", to)),
            Self::Sysctl { from, to, .. } => (one("value", from), one("value", to)),
            Self::Marks { from, to } => (one("rules", &shown(from)), one("rules", &shown(to))),
            Self::Upkeep { .. } => (None, None),
            Self::Maintenance { on, .. } => (one("maintenance", &!on), one("maintenance", on)),
            Self::Drain { from, to, .. } => {
                (one("drains", &from.is_some()), one("drains", &to.is_some()))
            }
        }
    }
}

/// One line of a difference.
impl fmt::Display for Alteration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(change) => change.fmt(f),
            Self::Timeout { name, from, to } => {
                write!(f, "~ timeout {} {from} -> {to}", name.name())
            }
            Self::Sysctl { name, from, to } => write!(f, "~ {} {from} -> {to}", name.name()),
            Self::Marks { from, to } => write!(
                f,
                "~ rules for firewall marks {} -> {}",
                from.len(),
                to.len()
            ),
            Self::Upkeep { .. } => f.write_str("~ health, VRRP and notifications"),
            Self::Maintenance { target, on: true } => write!(f, "~ server {target} to maintenance"),
            Self::Maintenance { target, on: false } => {
                write!(f, "~ server {target} back from maintenance")
            }
            Self::Drain {
                service,
                server,
                to,
                ..
            } => {
                let word = if to.is_some() {
                    "drains"
                } else {
                    "drains no more"
                };
                write!(f, "~ {service} server {server} {word}")
            }
        }
    }
}

impl Wanted {
    /// Changes of this, with all that goes with what goes: the real servers of a service, the draining
    /// of a real server. So they can be undone.
    pub fn whole(&self, alterations: Vec<Alteration>) -> Vec<Alteration> {
        let mut whole = Vec::with_capacity(alterations.len());
        for alteration in alterations {
            match &alteration {
                Alteration::Service(Change::DeleteService(service)) => {
                    let servers = self.service(&service.key);
                    for server in servers.into_iter().flat_map(WantedService::servers) {
                        whole.extend(self.calling_off(service.key, server.address));
                        whole.push(Alteration::Service(Change::DeleteServer {
                            service: service.key,
                            server: *server,
                        }));
                    }
                }
                Alteration::Service(Change::DeleteServer { service, server }) => {
                    whole.extend(self.calling_off(*service, server.address));
                }
                Alteration::Service(_)
                | Alteration::Timeout { .. }
                | Alteration::Sysctl { .. }
                | Alteration::Marks { .. }
                | Alteration::Upkeep { .. }
                | Alteration::Maintenance { .. }
                | Alteration::Drain { .. } => {}
            }
            whole.push(alteration);
        }
        whole
    }

    /// What lets a real server drain no more, if it does.
    pub fn calling_off(&self, service: ServiceKey, server: SocketAddr) -> Option<Alteration> {
        let from = self.drain_order(&service, server)?;
        Some(Alteration::Drain {
            service,
            server,
            from: Some(from),
            to: None,
        })
    }

    /// Makes one change. What it says of a thing that is not there any more is forgotten.
    pub(super) fn alter(&mut self, alteration: &Alteration) {
        match alteration {
            Alteration::Service(change) => self.alter_service(change),
            Alteration::Timeout { name, to, .. } => {
                let timeouts = &mut self.settings.timeouts;
                match name {
                    TimeoutName::Tcp => timeouts.tcp = *to,
                    TimeoutName::TcpFin => timeouts.tcp_fin = *to,
                    TimeoutName::Udp => timeouts.udp = *to,
                }
            }
            Alteration::Sysctl { name, to, .. } => {
                self.settings.sysctls.put(*name, *to);
            }
            Alteration::Marks { to, .. } => self.settings.marks.clone_from(to),
            Alteration::Upkeep { to, .. } => self.upkeep = to.clone(),
            Alteration::Maintenance { target, on: true } => {
                self.holds.maintenance.insert(*target);
            }
            Alteration::Maintenance { target, on: false } => {
                self.holds.maintenance.remove(target);
            }
            Alteration::Drain {
                service,
                server,
                to,
                ..
            } => match to {
                Some(order) => {
                    self.holds.drains.insert((*service, *server), *order);
                }
                None => {
                    self.holds.drains.remove(&(*service, *server));
                }
            },
        }
    }

    fn alter_service(&mut self, change: &Change) {
        match change {
            Change::AddService(service) => {
                let new = WantedService::new(*service, Vec::new());
                self.services.put(service.key, new);
            }
            Change::EditService { to, .. } => {
                if let Some(service) = self.services.get_mut(&to.key) {
                    service.service = **to;
                }
            }
            Change::DeleteService(service) => {
                self.services.remove(&service.key);
                self.holds.drains.retain(|(key, _), _| *key != service.key);
            }
            Change::AddServer { service, server } => {
                if let Some(service) = self.services.get_mut(service) {
                    service.put(*server);
                }
            }
            Change::EditServer { service, to, .. } => {
                if let Some(service) = self.services.get_mut(service) {
                    service.put(*to);
                }
            }
            Change::DeleteServer { service, server } => {
                if let Some(service) = self.services.get_mut(service) {
                    service.remove(server.address);
                }
                self.holds.drains.remove(&(*service, server.address));
            }
        }
    }
}

/// Something differs, or there would be no alteration: where the words of a file are the same for
/// both, it is said that it does.
fn upkeep(from: &Upkeep, to: &Upkeep) -> Vec<Difference> {
    let mut differences = difference::upkeep(from.config(), to.config());
    if differences.is_empty() {
        differences.push(Difference {
            subject: "health, VRRP and notifications".to_owned(),
            before: Some(Fields::new()),
            after: Some(Fields::new()),
        });
    }
    differences
}

fn inverse(change: &Change) -> Change {
    match change {
        Change::AddService(service) => Change::DeleteService(*service),
        Change::EditService { from, to } => Change::EditService {
            from: to.clone(),
            to: from.clone(),
        },
        Change::DeleteService(service) => Change::AddService(*service),
        Change::AddServer { service, server } => Change::DeleteServer {
            service: *service,
            server: *server,
        },
        Change::EditServer { service, from, to } => Change::EditServer {
            service: *service,
            from: *to,
            to: *from,
        },
        Change::DeleteServer { service, server } => Change::AddServer {
            service: *service,
            server: *server,
        },
    }
}

/// The service and, where it is about one, the real server.
fn subject(change: &Change) -> (ServiceKey, Option<SocketAddr>) {
    match change {
        Change::AddService(service) | Change::DeleteService(service) => (service.key, None),
        Change::EditService { to, .. } => (to.key, None),
        Change::AddServer { service, server } | Change::DeleteServer { service, server } => {
            (*service, Some(server.address))
        }
        Change::EditServer { service, to, .. } => (*service, Some(to.address)),
    }
}

fn sides(change: &Change) -> (Side, Side) {
    match change {
        Change::AddService(service) => (None, service_side(service)),
        Change::EditService { from, to } => (service_side(from), service_side(to)),
        Change::DeleteService(service) => (service_side(service), None),
        Change::AddServer { server, .. } => (None, server_side(server)),
        Change::EditServer { from, to, .. } => (server_side(from), server_side(to)),
        Change::DeleteServer { server, .. } => (server_side(server), None),
    }
}

fn service_side(service: &Service) -> Side {
    let words = service.words().into_iter();
    Some(
        words
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

fn server_side(server: &RealServer) -> Side {
    let method = match server.forwarding {
        Forwarding::Nat | Forwarding::Direct | Forwarding::Tunnel(_) | Forwarding::FullNat => {
            server.forwarding.name()
        }
    };
    let words = server.words().into_iter();
    let words = words.map(|(name, value)| (name.to_owned(), value));
    Some(
        std::iter::once(("forwarding".to_owned(), method.to_owned()))
            .chain(words)
            .collect(),
    )
}

fn shown(rules: &[MarkRule]) -> String {
    let rules = rules.iter().map(|rule| {
        let mut text = format!("{} for {}", rule.mark, rule.destination);
        if let Some(protocol) = rule.protocol {
            text += &format!(" {}", protocol.name());
        }
        text += &format!(" ports {}", rule.ports);
        if let Some(interface) = &rule.interface {
            text += &format!(" on {}", interface.as_str());
        }
        text
    });
    rules.collect::<Vec<_>>().join("; ")
}
