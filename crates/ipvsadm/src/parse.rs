//! From an argument list to a [`Command`].

use weir_config::model::{Protocol, ServiceKey, SyncDaemon, SyncRole};

use crate::command::{Columns, Command, Format, List, Service, TimeoutChange};
use crate::command_name::{CommandName, OptionName, OptionSet};
use crate::draft::Draft;
use crate::exit::Exit;
use crate::help;
use crate::legality;
use crate::names::Names;
use crate::number;
use crate::option::{Scanner, Switch};

/// The longest timeout that can be set: 31 days.
const LONGEST_TIMEOUT: i64 = 86_400 * 31;

/// What an argument list asks for, or how the invocation ends without a command.
///
/// `program` is the name under which the program was called; `arguments` are those after it.
/// Of several mistakes the one that ipvsadm names is named: values are read from left to right,
/// then operands are looked at, then what does not go together.
pub fn parse(program: &str, arguments: &[String], names: &dyn Names) -> Result<Command, Exit> {
    if arguments.is_empty() {
        return Ok(Command::List(List::Services(Format::default())));
    }
    let mut scanner = Scanner::new(arguments);
    let (command, role) = first_option(program, &mut scanner)?;
    let mut given = Given::default();
    given.draft.set_role(role);
    loop {
        match scanner.option() {
            Ok(Some((switch, value))) => {
                let known = given.take(switch, value, names)?;
                if !known {
                    let argument = scanner.last_argument();
                    return Err(Exit::usage(format!("invalid option `{argument}'")));
                }
            }
            Ok(None) => break,
            Err(misspelt) => {
                let argument = scanner.last_argument();
                return Err(Exit::refused(format!("{argument}: {}", misspelt.text())));
            }
        }
    }
    let timeouts = read_operands(command, &scanner.into_operands())?;
    given.draft.read_scheduler_flags()?;
    legality::check_command(command, given.options)?;
    given.into_command(command, timeouts)
}

/// The command has to come first; a sync daemon's role is its value.
fn first_option(program: &str, scanner: &mut Scanner<'_>) -> Result<(CommandName, SyncRole), Exit> {
    let Ok(Some((switch, value))) = scanner.option() else {
        return Err(Exit::try_help(program));
    };
    if switch == Switch::Help {
        return Err(Exit::output(help::usage(program)));
    }
    if switch == Switch::Version {
        return Err(Exit::output(help::version()));
    }
    let Switch::Command(command) = switch else {
        return Err(Exit::try_help(program));
    };
    // Only the commands of the sync daemons have a value; to the others the role means nothing.
    let Some(value) = value else {
        return Ok((command, SyncRole::Master));
    };
    match SyncRole::from_name(value) {
        Some(role) => Ok((command, role)),
        None if command == CommandName::StopDaemon => {
            Err(Exit::usage("illegal start_daemon specified"))
        }
        None => Err(Exit::usage("illegal start-daemon parameter specified")),
    }
}

/// Only `--set` takes operands, three of them.
fn read_operands(command: CommandName, operands: &[&str]) -> Result<TimeoutChange, Exit> {
    let mut change = TimeoutChange {
        tcp: 0,
        tcp_fin: 0,
        udp: 0,
    };
    let rest = match (command, operands) {
        (CommandName::Set, [tcp, tcp_fin, udp, rest @ ..]) => {
            change = TimeoutChange {
                tcp: timeout(tcp, 0)?,
                tcp_fin: timeout(tcp_fin, 0)?,
                udp: timeout(udp, 0)?,
            };
            rest
        }
        (CommandName::Set, _) => {
            return Err(Exit::usage("--set option requires 3 timeout values"));
        }
        (_, operands) => operands,
    };
    match rest.first() {
        Some(operand) => Err(Exit::usage(format!("unexpected argument {operand}"))),
        None => Ok(change),
    }
}

/// Reads a timeout in seconds.
pub(crate) fn timeout(text: &str, least: i64) -> Result<u32, Exit> {
    number::bounded(text, least, LONGEST_TIMEOUT)
        .and_then(|seconds| u32::try_from(seconds).ok())
        .ok_or_else(|| Exit::usage(format!("invalid timeout value `{text}' specified")))
}

/// What the options after the command said.
#[derive(Default)]
struct Given {
    options: OptionSet,
    draft: Draft,
}

impl Given {
    /// Takes one option in; false when it has no place after the command.
    fn take(
        &mut self,
        switch: Switch,
        value: Option<&str>,
        names: &dyn Names,
    ) -> Result<bool, Exit> {
        let Some(name) = switch.name() else {
            if switch == Switch::Ipv6 {
                self.draft.firewall_mark_is_ipv6()?;
            }
            return Ok(switch == Switch::Ipv6 || switch == Switch::Sort);
        };
        if !self.options.insert(name) {
            let name = name.text();
            return Err(Exit::usage(format!("multiple '{name}' options specified")));
        }
        self.draft.read(switch, value, names)?;
        Ok(true)
    }

    fn into_command(self, command: CommandName, timeouts: TimeoutChange) -> Result<Command, Exit> {
        Ok(match command {
            CommandName::AddService => Command::AddService(self.service()?),
            CommandName::EditService => Command::EditService(self.service()?),
            CommandName::DeleteService => Command::DeleteService(self.draft.key()),
            CommandName::Flush => Command::Flush,
            CommandName::List => Command::List(self.list()?),
            CommandName::AddServer => {
                Command::AddServer(self.draft.key(), self.draft.real_server(self.options)?)
            }
            CommandName::EditServer => {
                Command::EditServer(self.draft.key(), self.draft.real_server(self.options)?)
            }
            CommandName::DeleteServer => {
                Command::DeleteServer(self.draft.key(), self.draft.server_address())
            }
            CommandName::Set => Command::SetTimeouts(timeouts),
            CommandName::StartDaemon => Command::StartDaemon(self.draft.daemon()),
            CommandName::StopDaemon => {
                let SyncDaemon { role, sync_id, .. } = self.draft.daemon();
                Command::StopDaemon { role, sync_id }
            }
            CommandName::Restore => Command::Restore,
            CommandName::Save => Command::Save {
                numeric: self.options.contains(OptionName::Numeric),
            },
            CommandName::Zero => Command::Zero(self.zeroed()),
        })
    }

    fn service(&self) -> Result<Service, Exit> {
        let service = self.draft.service();
        if let ServiceKey::Address { protocol, address } = service.key {
            if address.port() == 0 && service.persistent.is_none() {
                return Err(Exit::usage(
                    "Zero port specified for non-persistent service",
                ));
            }
            if service.one_packet && protocol != Protocol::Udp {
                return Err(Exit::usage(
                    "One-Packet Scheduling is only for UDP virtual services",
                ));
            }
        }
        Ok(service)
    }

    /// An unspecified address with port 0 means everything, as if none had been named.
    fn zeroed(&self) -> Option<ServiceKey> {
        if !self.options.contains(OptionName::Service) {
            return None;
        }
        match self.draft.key() {
            ServiceKey::Address { address, .. }
                if address.ip().is_unspecified() && address.port() == 0 =>
            {
                None
            }
            key @ (ServiceKey::Address { .. } | ServiceKey::FirewallMark { .. }) => Some(key),
        }
    }

    fn list(&self) -> Result<List, Exit> {
        use OptionName as O;
        let has = |option| self.options.contains(option);
        let counters = self
            .options
            .contains_any(&[O::Stats, O::Rate, O::Thresholds]);
        if self
            .options
            .contains_any(&[O::Connection, O::Timeout, O::Daemon])
            && counters
            || self.options.contains_any(&[O::Timeout, O::Daemon]) && has(O::PersistentConnections)
        {
            return Err(Exit::usage("options conflicts in the list command"));
        }
        let columns = [
            (O::Stats, Columns::Stats),
            (O::Rate, Columns::Rate),
            (O::Thresholds, Columns::Thresholds),
            (O::PersistentConnections, Columns::PersistentConnections),
            (O::TunnelInfo, Columns::TunnelInfo),
        ]
        .into_iter()
        .find(|&(option, _)| has(option))
        .map_or(Columns::Default, |(_, columns)| columns);
        let format = Format {
            columns,
            numeric: has(O::Numeric),
            exact: has(O::Exact),
            unsorted: has(O::NoSort),
        };
        Ok(if has(O::Connection) {
            List::Connections {
                numeric: has(O::Numeric),
                engine_data: has(O::PersistentConnections),
            }
        } else if has(O::Service) {
            List::Service(self.draft.key(), format)
        } else if has(O::Timeout) {
            List::Timeouts
        } else if has(O::Daemon) {
            List::Daemons
        } else {
            List::Services(format)
        })
    }
}
