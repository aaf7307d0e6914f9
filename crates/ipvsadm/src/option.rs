//! The options by name, and how an argument list is cut into them: popt's way, which ipvsadm uses.

use crate::command_name::{CommandName, OptionName};

/// One option as it can be written, long or short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    Command(CommandName),
    Help,
    Version,
    TcpService,
    UdpService,
    SctpService,
    FirewallMark,
    Ipv6,
    Scheduler,
    SchedulerFlags,
    Persistent,
    PersistenceEngine,
    Netmask,
    OnePacket,
    RealServer,
    Masquerading,
    Tunneling,
    Gatewaying,
    Weight,
    UpperThreshold,
    LowerThreshold,
    TunnelType,
    TunnelPort,
    TunnelNoChecksum,
    TunnelChecksum,
    TunnelRemoteChecksum,
    Numeric,
    Connections,
    Timeouts,
    Daemons,
    Stats,
    Rate,
    Thresholds,
    PersistentConnections,
    TunnelInfo,
    NoSort,
    Sort,
    Exact,
    SyncId,
    SyncMaxLength,
    McastInterface,
    McastGroup,
    McastPort,
    McastTtl,
}

impl Switch {
    /// What messages call it; it can be given once. Nothing for those that are not counted.
    pub(crate) fn name(self) -> Option<OptionName> {
        use OptionName as O;
        Some(match self {
            Self::Command(_) | Self::Help | Self::Version | Self::Ipv6 | Self::Sort => return None,
            Self::TcpService | Self::UdpService | Self::SctpService | Self::FirewallMark => {
                O::Service
            }
            Self::Scheduler => O::Scheduler,
            Self::SchedulerFlags => O::SchedulerFlags,
            Self::Persistent => O::Persistent,
            Self::PersistenceEngine => O::PersistenceEngine,
            Self::Netmask => O::Netmask,
            Self::OnePacket => O::OnePacket,
            Self::RealServer => O::Server,
            Self::Masquerading | Self::Tunneling | Self::Gatewaying => O::Forwarding,
            Self::Weight => O::Weight,
            Self::UpperThreshold => O::UpperThreshold,
            Self::LowerThreshold => O::LowerThreshold,
            Self::TunnelType => O::TunnelType,
            Self::TunnelPort => O::TunnelPort,
            Self::TunnelNoChecksum => O::TunnelNoChecksum,
            Self::TunnelChecksum => O::TunnelChecksum,
            Self::TunnelRemoteChecksum => O::TunnelRemoteChecksum,
            Self::Numeric => O::Numeric,
            Self::Connections => O::Connection,
            Self::Timeouts => O::Timeout,
            Self::Daemons => O::Daemon,
            Self::Stats => O::Stats,
            Self::Rate => O::Rate,
            Self::Thresholds => O::Thresholds,
            Self::PersistentConnections => O::PersistentConnections,
            Self::TunnelInfo => O::TunnelInfo,
            Self::NoSort => O::NoSort,
            Self::Exact => O::Exact,
            Self::SyncId => O::SyncId,
            Self::SyncMaxLength => O::SyncMaxLength,
            Self::McastInterface => O::McastInterface,
            Self::McastGroup => O::McastGroup,
            Self::McastPort => O::McastPort,
            Self::McastTtl => O::McastTtl,
        })
    }
}

/// Whether an option takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// A value unless the next argument starts with `-` or there is none.
    PerhapsValue,
}

struct Entry {
    long: &'static str,
    short: Option<char>,
    takes: Takes,
    switch: Switch,
}

const fn flag(long: &'static str, short: Option<char>, switch: Switch) -> Entry {
    Entry {
        long,
        short,
        takes: Takes::Nothing,
        switch,
    }
}

const fn valued(long: &'static str, short: Option<char>, switch: Switch) -> Entry {
    Entry {
        long,
        short,
        takes: Takes::Value,
        switch,
    }
}

static ENTRIES: &[Entry] = &[
    flag(
        "add-service",
        Some('A'),
        Switch::Command(CommandName::AddService),
    ),
    flag(
        "edit-service",
        Some('E'),
        Switch::Command(CommandName::EditService),
    ),
    flag(
        "delete-service",
        Some('D'),
        Switch::Command(CommandName::DeleteService),
    ),
    flag("clear", Some('C'), Switch::Command(CommandName::Flush)),
    flag("list", Some('L'), Switch::Command(CommandName::List)),
    flag("list", Some('l'), Switch::Command(CommandName::List)),
    flag("zero", Some('Z'), Switch::Command(CommandName::Zero)),
    flag(
        "add-server",
        Some('a'),
        Switch::Command(CommandName::AddServer),
    ),
    flag(
        "edit-server",
        Some('e'),
        Switch::Command(CommandName::EditServer),
    ),
    flag(
        "delete-server",
        Some('d'),
        Switch::Command(CommandName::DeleteServer),
    ),
    flag("set", None, Switch::Command(CommandName::Set)),
    flag("restore", Some('R'), Switch::Command(CommandName::Restore)),
    flag("save", Some('S'), Switch::Command(CommandName::Save)),
    valued(
        "start-daemon",
        None,
        Switch::Command(CommandName::StartDaemon),
    ),
    valued(
        "stop-daemon",
        None,
        Switch::Command(CommandName::StopDaemon),
    ),
    flag("help", Some('h'), Switch::Help),
    flag("version", Some('v'), Switch::Version),
    valued("tcp-service", Some('t'), Switch::TcpService),
    valued("udp-service", Some('u'), Switch::UdpService),
    valued("sctp-service", None, Switch::SctpService),
    valued("fwmark-service", Some('f'), Switch::FirewallMark),
    flag("ipv6", Some('6'), Switch::Ipv6),
    valued("scheduler", Some('s'), Switch::Scheduler),
    valued("sched-flags", Some('b'), Switch::SchedulerFlags),
    Entry {
        long: "persistent",
        short: Some('p'),
        takes: Takes::PerhapsValue,
        switch: Switch::Persistent,
    },
    valued("pe", None, Switch::PersistenceEngine),
    valued("netmask", Some('M'), Switch::Netmask),
    flag("ops", Some('o'), Switch::OnePacket),
    valued("real-server", Some('r'), Switch::RealServer),
    flag("masquerading", Some('m'), Switch::Masquerading),
    flag("ipip", Some('i'), Switch::Tunneling),
    flag("gatewaying", Some('g'), Switch::Gatewaying),
    valued("weight", Some('w'), Switch::Weight),
    valued("u-threshold", Some('x'), Switch::UpperThreshold),
    valued("l-threshold", Some('y'), Switch::LowerThreshold),
    valued("tun-type", None, Switch::TunnelType),
    valued("tun-port", None, Switch::TunnelPort),
    flag("tun-nocsum", None, Switch::TunnelNoChecksum),
    flag("tun-csum", None, Switch::TunnelChecksum),
    flag("tun-remcsum", None, Switch::TunnelRemoteChecksum),
    flag("numeric", Some('n'), Switch::Numeric),
    flag("connection", Some('c'), Switch::Connections),
    flag("timeout", None, Switch::Timeouts),
    flag("daemon", None, Switch::Daemons),
    flag("stats", None, Switch::Stats),
    flag("rate", None, Switch::Rate),
    flag("thresholds", None, Switch::Thresholds),
    flag("persistent-conn", None, Switch::PersistentConnections),
    flag("tun-info", None, Switch::TunnelInfo),
    flag("nosort", None, Switch::NoSort),
    flag("sort", None, Switch::Sort),
    flag("exact", Some('X'), Switch::Exact),
    valued("syncid", None, Switch::SyncId),
    valued("sync-maxlen", None, Switch::SyncMaxLength),
    valued("mcast-interface", None, Switch::McastInterface),
    valued("mcast-group", None, Switch::McastGroup),
    valued("mcast-port", None, Switch::McastPort),
    valued("mcast-ttl", None, Switch::McastTtl),
];

/// What is wrong with the way an option is written, in popt's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misspelt {
    Unknown,
    ValueMissing,
    ValueUnwanted,
}

impl Misspelt {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown option",
            Self::ValueMissing => "missing argument",
            Self::ValueUnwanted => "option does not take an argument",
        }
    }
}

/// Reads an argument list from left to right, one option at a time.
///
/// Arguments that are no options are kept aside as operands wherever they stand; after `--`
/// everything is one. Long options cannot be abbreviated.
pub(crate) struct Scanner<'a> {
    arguments: &'a [String],
    next: usize,
    /// What is left of a group of short options, `-Ln`.
    letters: &'a str,
    only_operands: bool,
    operands: Vec<&'a str>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(arguments: &'a [String]) -> Self {
        Self {
            arguments,
            next: 0,
            letters: "",
            only_operands: false,
            operands: Vec::new(),
        }
    }

    /// The next option and its value, or nothing at the end.
    pub(crate) fn option(&mut self) -> Result<Option<(Switch, Option<&'a str>)>, Misspelt> {
        if !self.letters.is_empty() {
            return self.letter().map(Some);
        }
        while let Some(argument) = self.arguments.get(self.next) {
            self.next += 1;
            if self.only_operands || argument == "-" || !argument.starts_with('-') {
                self.operands.push(argument);
            } else if argument == "--" {
                self.only_operands = true;
            } else if let Some(long) = argument.strip_prefix("--") {
                return self.long(long).map(Some);
            } else {
                self.letters = &argument[1..];
                return self.letter().map(Some);
            }
        }
        Ok(None)
    }

    /// The argument that was read last: the one that a complaint names.
    pub(crate) fn last_argument(&self) -> &'a str {
        match self.next.checked_sub(1) {
            Some(last) => &self.arguments[last],
            None => "",
        }
    }

    /// The arguments that were no options, once all options are read.
    pub(crate) fn into_operands(self) -> Vec<&'a str> {
        self.operands
    }

    fn long(&mut self, written: &'a str) -> Result<(Switch, Option<&'a str>), Misspelt> {
        let (name, value) = match written.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (written, None),
        };
        let entry = ENTRIES
            .iter()
            .find(|entry| entry.long == name)
            .ok_or(Misspelt::Unknown)?;
        match (entry.takes, value) {
            (Takes::Nothing, Some(_)) => Err(Misspelt::ValueUnwanted),
            (Takes::Nothing, None) => Ok((entry.switch, None)),
            (Takes::Value | Takes::PerhapsValue, Some(_)) => Ok((entry.switch, value)),
            (Takes::Value | Takes::PerhapsValue, None) => self.value_apart(entry),
        }
    }

    fn letter(&mut self) -> Result<(Switch, Option<&'a str>), Misspelt> {
        let mut rest = self.letters.chars();
        let letter = rest.next();
        let rest = rest.as_str();
        let entry = ENTRIES
            .iter()
            .find(|entry| entry.short.is_some() && entry.short == letter)
            .ok_or(Misspelt::Unknown)?;
        if entry.takes == Takes::Nothing {
            if rest.starts_with('=') {
                return Err(Misspelt::ValueUnwanted);
            }
            self.letters = rest;
            return Ok((entry.switch, None));
        }
        self.letters = "";
        if rest.is_empty() {
            return self.value_apart(entry);
        }
        Ok((entry.switch, Some(rest.strip_prefix('=').unwrap_or(rest))))
    }

    fn value_apart(&mut self, entry: &Entry) -> Result<(Switch, Option<&'a str>), Misspelt> {
        let optional = entry.takes == Takes::PerhapsValue;
        match self.arguments.get(self.next) {
            Some(argument) if optional && argument.starts_with('-') => Ok((entry.switch, None)),
            Some(argument) => {
                self.next += 1;
                Ok((entry.switch, Some(argument)))
            }
            None if optional => Ok((entry.switch, None)),
            None => Err(Misspelt::ValueMissing),
        }
    }
}
