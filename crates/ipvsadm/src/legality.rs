//! Which option goes with which command, and with which tunnel type.

use crate::command::TunnelKind;
use crate::command_name::{CommandName, OptionName, OptionSet};
use crate::exit::Exit;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Optional,
    Compulsory,
    /// At most one of those that are exclusive.
    Exclusive,
    Illegal,
}

/// Checks the options given against the command.
pub(crate) fn check_command(command: CommandName, given: OptionSet) -> Result<(), Exit> {
    check(
        OptionName::ALL,
        given,
        |option| command_rule(command, option),
        &format!("'{}' command", command.text()),
    )
}

/// Checks the tunnel options given against the tunnel type.
pub(crate) fn check_tunnel(kind: TunnelKind, given: OptionSet) -> Result<(), Exit> {
    const OPTIONS: &[OptionName] = &[
        OptionName::TunnelPort,
        OptionName::TunnelNoChecksum,
        OptionName::TunnelChecksum,
        OptionName::TunnelRemoteChecksum,
    ];
    check(
        OPTIONS,
        given,
        |option| tunnel_rule(kind, option),
        &format!("'{}' tunnel type", kind.name()),
    )
}

fn check(
    options: &[OptionName],
    given: OptionSet,
    rule: impl Fn(OptionName) -> Rule,
    whose: &str,
) -> Result<(), Exit> {
    let mut exclusive: Option<OptionName> = None;
    for &option in options {
        let name = option.text();
        match (rule(option), given.contains(option)) {
            (Rule::Compulsory, false) => {
                return Err(Exit::usage(format!(
                    "You need to supply the '{name}' option for the {whose}"
                )));
            }
            (Rule::Illegal, true) => {
                return Err(Exit::usage(format!(
                    "Illegal '{name}' option with the {whose}"
                )));
            }
            (Rule::Exclusive, true) => {
                if let Some(earlier) = exclusive {
                    let earlier = earlier.text();
                    return Err(Exit::usage(format!(
                        "The option '{name}' conflicts with the '{earlier}' option in the {whose}"
                    )));
                }
                exclusive = Some(option);
            }
            (Rule::Optional, _)
            | (Rule::Compulsory, true)
            | (Rule::Illegal | Rule::Exclusive, false) => {}
        }
    }
    Ok(())
}

fn command_rule(command: CommandName, option: OptionName) -> Rule {
    use OptionName as O;
    let (compulsory, exclusive, optional): (&[O], &[O], &[O]) = match command {
        CommandName::AddService | CommandName::EditService => (
            &[O::Service],
            &[],
            &[
                O::Scheduler,
                O::Persistent,
                O::Netmask,
                O::OnePacket,
                O::PersistenceEngine,
                O::SchedulerFlags,
            ],
        ),
        CommandName::DeleteService => (&[O::Service], &[], &[]),
        CommandName::List => (
            &[],
            &[O::Connection, O::Service, O::Timeout, O::Daemon],
            &[
                O::Numeric,
                O::Stats,
                O::Rate,
                O::Thresholds,
                O::PersistentConnections,
                O::NoSort,
                O::SyncId,
                O::Exact,
                O::TunnelInfo,
            ],
        ),
        CommandName::AddServer | CommandName::EditServer => (
            &[O::Service, O::Server],
            &[],
            &[
                O::Forwarding,
                O::Weight,
                O::UpperThreshold,
                O::LowerThreshold,
                O::TunnelType,
                O::TunnelPort,
                O::TunnelNoChecksum,
                O::TunnelChecksum,
                O::TunnelRemoteChecksum,
            ],
        ),
        CommandName::DeleteServer => (&[O::Service, O::Server], &[], &[]),
        CommandName::StartDaemon => (
            &[],
            &[],
            &[
                O::McastInterface,
                O::SyncId,
                O::McastGroup,
                O::McastPort,
                O::McastTtl,
                O::SyncMaxLength,
            ],
        ),
        CommandName::StopDaemon => (&[], &[], &[O::SyncId]),
        CommandName::Save => (&[], &[], &[O::Numeric]),
        CommandName::Zero => (&[], &[], &[O::Service]),
        CommandName::Flush | CommandName::Set | CommandName::Restore => (&[], &[], &[]),
    };
    if compulsory.contains(&option) {
        Rule::Compulsory
    } else if exclusive.contains(&option) {
        Rule::Exclusive
    } else if optional.contains(&option) {
        Rule::Optional
    } else {
        Rule::Illegal
    }
}

fn tunnel_rule(kind: TunnelKind, option: OptionName) -> Rule {
    let (port, checksum, remote_checksum) = match kind {
        TunnelKind::Ipip => (Rule::Illegal, Rule::Illegal, Rule::Illegal),
        TunnelKind::Gue => (Rule::Compulsory, Rule::Exclusive, Rule::Exclusive),
        TunnelKind::Gre => (Rule::Illegal, Rule::Exclusive, Rule::Illegal),
    };
    if option == OptionName::TunnelPort {
        port
    } else if option == OptionName::TunnelRemoteChecksum {
        remote_checksum
    } else {
        checksum
    }
}
