//! A whole invocation, given a director.

use std::net::SocketAddr;

use weir_config::model::{ServiceKey, SyncDaemon, SyncRole, Timeouts};

use crate::command::{Command, List, RealServer, Service, TimeoutChange};
use crate::exit::{Exit, RestoreGoes};
use crate::listing::{self, ConnectionListing, Header, ServiceListing};
use crate::message::{Operation, Refused, refusal};
use crate::names::Names;
use crate::parse::parse;
use crate::restore;

/// What ipvsadm asks of a director.
pub trait Director {
    /// `-A`. That the service exists is told before that its scheduler does not.
    fn add_service(&mut self, service: &Service) -> Result<(), Refused>;
    /// `-E`. That the service does not exist is told before that its scheduler does not.
    fn edit_service(&mut self, service: &Service) -> Result<(), Refused>;
    /// `-D`
    fn delete_service(&mut self, key: &ServiceKey) -> Result<(), Refused>;
    /// `-C`
    fn flush(&mut self) -> Result<(), Refused>;
    /// `-Z`, of one service or of all.
    fn zero(&mut self, key: Option<&ServiceKey>) -> Result<(), Refused>;
    /// `-a`
    fn add_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused>;
    /// `-e`
    fn edit_server(&mut self, key: &ServiceKey, server: &RealServer) -> Result<(), Refused>;
    /// `-d`
    fn delete_server(&mut self, key: &ServiceKey, server: SocketAddr) -> Result<(), Refused>;
    /// `--set`
    fn set_timeouts(&mut self, change: TimeoutChange) -> Result<(), Refused>;
    /// What the first line of a listing says.
    fn header(&mut self) -> Result<Header, Refused>;
    /// All services with their real servers.
    fn services(&mut self) -> Result<Vec<ServiceListing>, Refused>;
    /// One service with its real servers.
    fn service(&mut self, key: &ServiceKey) -> Result<ServiceListing, Refused>;
    /// All connections.
    fn connections(&mut self) -> Result<Vec<ConnectionListing>, Refused>;
    /// The three timeouts.
    fn timeouts(&mut self) -> Result<Timeouts, Refused>;
    /// The sync daemons that run, the master first.
    fn daemons(&mut self) -> Result<Vec<SyncDaemon>, Refused>;
    /// `--start-daemon`
    fn start_daemon(&mut self, daemon: &SyncDaemon) -> Result<(), Refused>;
    /// `--stop-daemon`
    fn stop_daemon(&mut self, role: SyncRole) -> Result<(), Refused>;
}

/// Where text is printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// An invocation: the program's name and what it is connected to.
pub struct Invocation<'a> {
    /// The name under which the program was called.
    pub program: &'a str,
    /// Host and service names.
    pub names: &'a dyn Names,
    /// The director.
    pub director: &'a mut dyn Director,
    /// Takes what is printed, as it comes.
    pub print: &'a mut dyn FnMut(Stream, &str),
}

impl Invocation<'_> {
    /// Does what the arguments say and returns the exit code. `input` are the lines of standard
    /// input; only `-R` reads them.
    pub fn run(&mut self, arguments: &[String], input: &mut dyn Iterator<Item = String>) -> u8 {
        match parse(self.program, arguments, self.names) {
            Ok(Command::Restore) => self.restore(input),
            Ok(command) => {
                let exit = self.execute(&command);
                self.end(&exit)
            }
            Err(exit) => self.end(&exit),
        }
    }

    /// The exit code is that of the last line, or of the one that ended it.
    fn restore(&mut self, input: &mut dyn Iterator<Item = String>) -> u8 {
        let mut code = 0;
        for line in input {
            let arguments = restore::arguments(&line);
            if arguments.is_empty() {
                continue;
            }
            let exit = match parse(self.program, &arguments, self.names) {
                Ok(command) => self.execute(&command),
                Err(exit) => exit,
            };
            code = self.end(&exit);
            if exit.restore == RestoreGoes::NoFurther {
                break;
            }
        }
        code
    }

    pub(crate) fn end(&mut self, exit: &Exit) -> u8 {
        for (stream, text) in [
            (Stream::Output, &exit.stdout),
            (Stream::Error, &exit.stderr),
        ] {
            if !text.is_empty() {
                (self.print)(stream, text);
            }
        }
        exit.code
    }

    fn execute(&mut self, command: &Command) -> Exit {
        let director = &mut *self.director;
        let (operation, done) = match command {
            Command::AddService(service) => (Operation::AddService, director.add_service(service)),
            Command::EditService(service) => {
                (Operation::EditService, director.edit_service(service))
            }
            Command::DeleteService(key) => (Operation::DeleteService, director.delete_service(key)),
            Command::Flush => (Operation::Flush, director.flush()),
            Command::AddServer(key, server) => {
                (Operation::AddServer, director.add_server(key, server))
            }
            Command::EditServer(key, server) => {
                (Operation::EditServer, director.edit_server(key, server))
            }
            Command::DeleteServer(key, server) => (
                Operation::DeleteServer,
                director.delete_server(key, *server),
            ),
            Command::Zero(key) => (Operation::Zero, director.zero(key.as_ref())),
            Command::SetTimeouts(change) => {
                (Operation::SetTimeouts, director.set_timeouts(*change))
            }
            Command::StartDaemon(daemon) => (Operation::StartDaemon, director.start_daemon(daemon)),
            Command::StopDaemon { role, .. } => {
                (Operation::StopDaemon, director.stop_daemon(*role))
            }
            // Only on a line of standard input does it come here: it does not nest.
            Command::Restore => return Exit::try_help(self.program),
            Command::List(list) => return listed(self.list(*list)),
            Command::Save { numeric } => return listed(self.save(*numeric)),
        };
        match done {
            Ok(()) => Exit::done(String::new()),
            Err(refused) => refusal(operation, &refused),
        }
    }

    fn list(&mut self, list: List) -> Result<String, Refused> {
        let director = &mut *self.director;
        Ok(match list {
            List::Services(format) => listing::services(
                director.header()?,
                &director.services()?,
                format,
                self.names,
            ),
            List::Service(key, format) => {
                listing::service(&director.service(&key)?, format, self.names)
            }
            List::Connections {
                numeric,
                engine_data,
            } => listing::connections(&director.connections()?, numeric, engine_data, self.names),
            List::Timeouts => listing::timeouts(director.timeouts()?),
            List::Daemons => listing::daemons(&director.daemons()?),
        })
    }

    fn save(&mut self, numeric: bool) -> Result<String, Refused> {
        Ok(listing::save(
            &self.director.services()?,
            numeric,
            self.names,
        ))
    }
}

fn listed(text: Result<String, Refused>) -> Exit {
    match text {
        Ok(text) => Exit::done(text),
        Err(refused) => refusal(Operation::List, &refused),
    }
}
