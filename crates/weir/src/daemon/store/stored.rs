//! What is kept, as it lies in files.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use api::types::{Mark, NewServer, NewService};
use api::{Key, time};
use config::file::Config;
use config::model::{MarkRule, RealServer, Service};
use config::sysctl::Sysctl;
use control::history::{Author, Revision, Through};
use control::plan::Change;
use control::wanted::{Alteration, DrainOrder, Said, Target, TimeoutName, Upkeep, Wanted};
use serde::{Deserialize, Serialize};
use weir_api as api;
use weir_config as config;
use weir_control as control;

use super::super::ledger::Ledger;

/// What is wanted.
#[derive(Serialize, Deserialize)]
pub struct StoredState {
    /// The number that the next revision gets.
    pub next_revision: u64,
    /// What the file said last.
    file: Option<StoredFile>,
    /// What was changed by hand since.
    by_hand: Vec<StoredAlteration>,
}

#[derive(Serialize, Deserialize)]
struct StoredFile {
    source: String,
    text: String,
}

/// One revision.
#[derive(Serialize, Deserialize)]
pub struct StoredRevision {
    pub number: u64,
    /// For people.
    time: String,
    /// Milliseconds since 1970.
    at: u64,
    until: u64,
    through: String,
    user: Option<u32>,
    process: Option<i32>,
    program: Option<String>,
    cause: String,
    alterations: Vec<StoredAlteration>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
enum StoredAlteration {
    AddService {
        service: NewService,
    },
    EditService {
        from: Box<NewService>,
        to: Box<NewService>,
    },
    DeleteService {
        service: NewService,
    },
    AddServer {
        service: Key,
        server: NewServer,
    },
    EditServer {
        service: Key,
        from: NewServer,
        to: NewServer,
    },
    DeleteServer {
        service: Key,
        server: NewServer,
    },
    Timeout {
        name: String,
        from: u32,
        to: u32,
    },
    Sysctl {
        name: String,
        from: i64,
        to: i64,
    },
    Marks {
        from: Vec<Mark>,
        to: Vec<Mark>,
    },
    Upkeep {
        from: String,
        to: String,
    },
    Maintenance {
        address: IpAddr,
        port: Option<u16>,
        service: Option<Key>,
        on: bool,
    },
    Drain {
        service: Key,
        server: SocketAddr,
        from: Option<StoredDrain>,
        to: Option<StoredDrain>,
    },
}

#[derive(Serialize, Deserialize)]
struct StoredDrain {
    /// Milliseconds since 1970.
    until: Option<u64>,
}

impl StoredState {
    pub fn of(ledger: &Ledger) -> Self {
        let wanted = &ledger.wanted;
        let said = wanted.said();
        let base = Wanted::as_said(said.cloned(), wanted.settings().clone());
        let by_hand = base.alterations(wanted);
        Self {
            next_revision: ledger.history.next_number(),
            file: said.map(|said| StoredFile {
                source: said.source.clone(),
                text: config::save::save(&said.config),
            }),
            by_hand: by_hand.iter().map(StoredAlteration::of).collect(),
        }
    }

    /// What the file said, if that can still be read, and what was changed since.
    pub fn read(self) -> (Result<Option<Said>, String>, Vec<Alteration>) {
        let said = self.file.map(|file| {
            let config = parse(&file.text)?;
            Ok::<_, String>(Said {
                source: file.source,
                config: Arc::new(config),
            })
        });
        let by_hand = self.by_hand.into_iter().filter_map(|stored| {
            let read = stored.read();
            read.inspect_err(|error| tracing::error!("a change by hand is forgotten: {error}"))
                .ok()
        });
        (said.transpose(), by_hand.collect())
    }
}

impl StoredRevision {
    pub fn of(revision: &Revision) -> Self {
        let Author {
            through,
            user,
            process,
            program,
        } = &revision.author;
        Self {
            number: revision.number,
            time: time::rfc3339(revision.at),
            at: milliseconds(revision.at),
            until: milliseconds(revision.until),
            through: through.name().to_owned(),
            user: *user,
            process: *process,
            program: program.clone(),
            cause: revision.cause.clone(),
            alterations: revision
                .alterations
                .iter()
                .map(StoredAlteration::of)
                .collect(),
        }
    }

    pub const fn changes(&self) -> usize {
        self.alterations.len()
    }

    pub fn read(self) -> Result<Revision, String> {
        let through = Through::from_name(&self.through)
            .ok_or_else(|| format!("nothing is changed through {:?}", self.through))?;
        let alterations = self.alterations.into_iter().map(StoredAlteration::read);
        Ok(Revision {
            number: self.number,
            at: Duration::from_millis(self.at),
            until: Duration::from_millis(self.until),
            author: Author {
                through,
                user: self.user,
                process: self.process,
                program: self.program,
            },
            cause: self.cause,
            alterations: alterations.collect::<Result<_, _>>()?,
        })
    }
}

impl StoredAlteration {
    fn of(alteration: &Alteration) -> Self {
        match alteration {
            Alteration::Service(change) => Self::of_change(change),
            Alteration::Timeout { name, from, to } => Self::Timeout {
                name: name.name().to_owned(),
                from: *from,
                to: *to,
            },
            Alteration::Sysctl { name, from, to } => Self::Sysctl {
                name: name.name().to_owned(),
                from: *from,
                to: *to,
            },
            Alteration::Marks { from, to } => Self::Marks {
                from: from.iter().map(Mark::from).collect(),
                to: to.iter().map(Mark::from).collect(),
            },
            Alteration::Upkeep { from, to } => Self::Upkeep {
                from: upkeep_text(from),
                to: upkeep_text(to),
            },
            Alteration::Maintenance { target, on } => Self::Maintenance {
                address: target.address,
                port: target.port,
                service: target.service.map(Key),
                on: *on,
            },
            Alteration::Drain {
                service,
                server,
                from,
                to,
            } => Self::Drain {
                service: Key(*service),
                server: *server,
                from: from.map(StoredDrain::of),
                to: to.map(StoredDrain::of),
            },
        }
    }

    fn of_change(change: &Change) -> Self {
        match change {
            Change::AddService(service) => Self::AddService {
                service: service.into(),
            },
            Change::EditService { from, to } => Self::EditService {
                from: Box::new((&**from).into()),
                to: Box::new((&**to).into()),
            },
            Change::DeleteService(service) => Self::DeleteService {
                service: service.into(),
            },
            Change::AddServer { service, server } => Self::AddServer {
                service: Key(*service),
                server: server.into(),
            },
            Change::EditServer { service, from, to } => Self::EditServer {
                service: Key(*service),
                from: from.into(),
                to: to.into(),
            },
            Change::DeleteServer { service, server } => Self::DeleteServer {
                service: Key(*service),
                server: server.into(),
            },
        }
    }

    fn read(self) -> Result<Alteration, String> {
        let service = |new: &NewService| Service::try_from(new).map_err(|error| error.message);
        let server = |new: &NewServer| RealServer::try_from(new).map_err(|error| error.message);
        Ok(match self {
            Self::AddService { service: new } => {
                Alteration::Service(Change::AddService(service(&new)?))
            }
            Self::EditService { from, to } => Alteration::Service(Change::EditService {
                from: Box::new(service(&from)?),
                to: Box::new(service(&to)?),
            }),
            Self::DeleteService { service: old } => {
                Alteration::Service(Change::DeleteService(service(&old)?))
            }
            Self::AddServer {
                service,
                server: new,
            } => Alteration::Service(Change::AddServer {
                service: service.0,
                server: server(&new)?,
            }),
            Self::EditServer { service, from, to } => Alteration::Service(Change::EditServer {
                service: service.0,
                from: server(&from)?,
                to: server(&to)?,
            }),
            Self::DeleteServer {
                service,
                server: old,
            } => Alteration::Service(Change::DeleteServer {
                service: service.0,
                server: server(&old)?,
            }),
            Self::Timeout { name, from, to } => Alteration::Timeout {
                name: TimeoutName::from_name(&name).ok_or("no such timeout")?,
                from,
                to,
            },
            Self::Sysctl { name, from, to } => {
                let mut all = Sysctl::ALL.iter();
                let found = all.find(|one| one.name() == name).ok_or("no such sysctl")?;
                Alteration::Sysctl {
                    name: *found,
                    from,
                    to,
                }
            }
            Self::Marks { from, to } => Alteration::Marks {
                from: rules(&from)?,
                to: rules(&to)?,
            },
            Self::Upkeep { from, to } => Alteration::Upkeep {
                from: Upkeep::of(Arc::new(parse(&from)?)),
                to: Upkeep::of(Arc::new(parse(&to)?)),
            },
            Self::Maintenance {
                address,
                port,
                service,
                on,
            } => Alteration::Maintenance {
                target: Target {
                    address,
                    port,
                    service: service.map(|key| key.0),
                },
                on,
            },
            Self::Drain {
                service,
                server,
                from,
                to,
            } => Alteration::Drain {
                service: service.0,
                server,
                from: from.map(StoredDrain::read),
                to: to.map(StoredDrain::read),
            },
        })
    }
}

impl StoredDrain {
    fn of(order: DrainOrder) -> Self {
        Self {
            until: order.until.map(milliseconds),
        }
    }

    fn read(self) -> DrainOrder {
        DrainOrder {
            until: self.until.map(Duration::from_millis),
        }
    }
}

fn rules(marks: &[Mark]) -> Result<Vec<MarkRule>, String> {
    let rules = marks.iter().map(MarkRule::try_from);
    rules
        .collect::<Result<_, _>>()
        .map_err(|error: api::Error| error.message)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// As a file says it: all of it, since services are what is watched.
fn upkeep_text(upkeep: &Upkeep) -> String {
    config::save::save(upkeep.config())
}

fn parse(text: &str) -> Result<Config, String> {
    config::file::parse(text, "what was kept").map_err(|diagnostics| {
        let first = diagnostics.first();
        first.map_or_else(String::new, ToString::to_string)
    })
}
