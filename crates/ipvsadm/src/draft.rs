//! The values of the options, as they come in from left to right.
//!
//! Order matters as in ipvsadm: a real server without a port takes the service's port only if the
//! service came before it, `-6` and the meaning of `-M` look at the service read so far.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use weir_config::model::{Family, Protocol, ServiceKey, SyncDaemon, SyncRole};

use crate::address::{self, Endpoint};
use crate::command::{
    Forwarding, Netmask, RealServer, SchedulerFlags, Service, Tunnel, TunnelChecksum, TunnelKind,
};
use crate::command_name::{OptionName, OptionSet};
use crate::exit::Exit;
use crate::names::Names;
use crate::number;
use crate::option::Switch;
use crate::parse::timeout;
use crate::scheduler_flags;

/// What `-p` means without a value, in seconds.
const PERSISTENT_TIMEOUT: u32 = 360;
/// `IP_VS_SCHEDNAME_MAXLEN`, `IP_VS_PENAME_MAXLEN` and `IP_VS_IFNAME_MAXLEN`, less a terminator
/// where there is one.
const SCHEDULER_NAME_LENGTH: usize = 15;
const ENGINE_NAME_LENGTH: usize = 16;
const INTERFACE_NAME_LENGTH: usize = 15;
const GREATEST_INT: i64 = i32::MAX as i64;

#[derive(Clone, Copy)]
enum Method {
    Nat,
    DirectRouting,
    Tunnel,
}

pub(crate) struct Draft {
    protocol: Option<Protocol>,
    endpoint: Option<Endpoint>,
    mark: u32,
    mark_is_ipv6: bool,
    netmask: Netmask,
    scheduler: String,
    flag_text: String,
    flags: SchedulerFlags,
    persistent: Option<u32>,
    engine: Option<String>,
    one_packet: bool,
    server: SocketAddr,
    method: Method,
    weight: u32,
    upper_threshold: u32,
    lower_threshold: u32,
    tunnel: TunnelKind,
    tunnel_port: u16,
    tunnel_checksum: TunnelChecksum,
    daemon: SyncDaemon,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            protocol: None,
            endpoint: None,
            mark: 0,
            mark_is_ipv6: false,
            netmask: Netmask::V4(Ipv4Addr::BROADCAST),
            scheduler: String::new(),
            flag_text: String::new(),
            flags: SchedulerFlags::default(),
            persistent: None,
            engine: None,
            one_packet: false,
            server: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            method: Method::DirectRouting,
            weight: 1,
            upper_threshold: 0,
            lower_threshold: 0,
            tunnel: TunnelKind::Ipip,
            tunnel_port: 0,
            tunnel_checksum: TunnelChecksum::No,
            daemon: SyncDaemon {
                role: SyncRole::Master,
                sync_id: 0,
                interface: String::new(),
                max_length: None,
                group: None,
                port: None,
                ttl: None,
            },
        }
    }
}

impl Draft {
    /// Takes in the value of one option.
    pub(crate) fn read(
        &mut self,
        switch: Switch,
        value: Option<&str>,
        names: &dyn Names,
    ) -> Result<(), Exit> {
        let text = value.unwrap_or_default();
        match switch {
            Switch::TcpService => self.read_service(Protocol::Tcp, text, names)?,
            Switch::UdpService => self.read_service(Protocol::Udp, text, names)?,
            Switch::SctpService => self.read_service(Protocol::Sctp, text, names)?,
            Switch::FirewallMark => {
                self.mark = read_mark(text)?;
                // Port names of its real servers are looked up as TCP's.
                self.protocol = Some(Protocol::Tcp);
            }
            Switch::Scheduler => self.scheduler = cut(text, SCHEDULER_NAME_LENGTH),
            Switch::SchedulerFlags => self.flag_text = cut(text, scheduler_flags::LONGEST),
            Switch::Persistent => {
                self.persistent = Some(match value {
                    Some(text) => timeout(text, 1)?,
                    None => PERSISTENT_TIMEOUT,
                });
            }
            Switch::PersistenceEngine => {
                self.engine = Some(cut(text, ENGINE_NAME_LENGTH)).filter(|name| !name.is_empty());
            }
            Switch::Netmask => self.netmask = self.read_netmask(text, names)?,
            Switch::OnePacket => self.one_packet = true,
            Switch::RealServer => self.read_server(text, names)?,
            Switch::Masquerading => self.method = Method::Nat,
            Switch::Gatewaying => self.method = Method::DirectRouting,
            Switch::Tunneling => self.method = Method::Tunnel,
            Switch::Weight => {
                self.weight = read(text, 0, GREATEST_INT, "illegal weight specified")?
            }
            Switch::UpperThreshold => {
                self.upper_threshold =
                    read(text, 0, GREATEST_INT, "illegal u_threshold specified")?;
            }
            Switch::LowerThreshold => {
                self.lower_threshold =
                    read(text, 0, GREATEST_INT, "illegal l_threshold specified")?;
            }
            Switch::TunnelType => {
                self.tunnel = TunnelKind::from_name(text)
                    .ok_or_else(|| Exit::usage("illegal tunnel type specified"))?;
            }
            Switch::TunnelPort => {
                self.tunnel_port = read(text, 1, 65_535, "illegal tunnel port specified")?
            }
            Switch::TunnelNoChecksum => self.tunnel_checksum = TunnelChecksum::No,
            Switch::TunnelChecksum => self.tunnel_checksum = TunnelChecksum::Yes,
            Switch::TunnelRemoteChecksum => self.tunnel_checksum = TunnelChecksum::Remote,
            Switch::SyncId => self.daemon.sync_id = read(text, 0, 255, "illegal syncid specified")?,
            Switch::SyncMaxLength => {
                // What a UDP datagram can carry.
                self.daemon.max_length = Some(read(
                    text,
                    1,
                    65_535 - 20 - 8,
                    "illegal sync-maxlen specified",
                )?);
            }
            Switch::McastInterface => self.daemon.interface = cut(text, INTERFACE_NAME_LENGTH),
            Switch::McastGroup => self.daemon.group = Some(read_group(text)?),
            Switch::McastPort => {
                self.daemon.port = Some(read(text, 1, 65_535, "illegal mcast-port specified")?)
            }
            Switch::McastTtl => {
                self.daemon.ttl = Some(read(text, 1, 255, "illegal mcast-ttl specified")?)
            }
            Switch::Command(_)
            | Switch::Help
            | Switch::Version
            | Switch::Ipv6
            | Switch::Numeric
            | Switch::Connections
            | Switch::Timeouts
            | Switch::Daemons
            | Switch::Stats
            | Switch::Rate
            | Switch::Thresholds
            | Switch::PersistentConnections
            | Switch::TunnelInfo
            | Switch::NoSort
            | Switch::Sort
            | Switch::Exact => {}
        }
        Ok(())
    }

    /// `-6`
    pub(crate) fn firewall_mark_is_ipv6(&mut self) -> Result<(), Exit> {
        if self.mark == 0 {
            // The empty line after it is ipvsadm's.
            return Err(Exit::usage("-6 used before -f\n"));
        }
        self.mark_is_ipv6 = true;
        self.netmask = Netmask::V6(128);
        Ok(())
    }

    /// Reads `-b`, once the scheduler is known.
    pub(crate) fn read_scheduler_flags(&mut self) -> Result<(), Exit> {
        self.flags = scheduler_flags::read(&self.flag_text, self.scheduler_or_default())?;
        Ok(())
    }

    pub(crate) fn key(&self) -> ServiceKey {
        match (self.endpoint, self.protocol) {
            (Some(endpoint), Some(protocol)) => ServiceKey::Address {
                protocol,
                address: SocketAddr::from((endpoint.address, self.service_port())),
            },
            _ => ServiceKey::FirewallMark {
                family: self.service_family().unwrap_or(Family::V4),
                mark: self.mark,
            },
        }
    }

    pub(crate) fn service(&self) -> Service {
        Service {
            key: self.key(),
            scheduler: self.scheduler_or_default().to_owned(),
            flags: self.flags,
            persistent: self.persistent,
            netmask: self.netmask,
            persistence_engine: self.engine.clone(),
            one_packet: self.one_packet,
        }
    }

    pub(crate) const fn server_address(&self) -> SocketAddr {
        self.server
    }

    pub(crate) fn real_server(&self, given: OptionSet) -> Result<RealServer, Exit> {
        const TUNNEL_OPTIONS: &[OptionName] = &[
            OptionName::TunnelType,
            OptionName::TunnelPort,
            OptionName::TunnelNoChecksum,
            OptionName::TunnelChecksum,
            OptionName::TunnelRemoteChecksum,
        ];
        let tunnel = matches!(self.method, Method::Tunnel);
        let same_family = Some(family_of(self.server.ip())) == self.service_family();
        if !same_family && !tunnel {
            return Err(Exit::usage(
                "Different address family is allowed only for tunneling servers",
            ));
        }
        if !tunnel && given.contains_any(TUNNEL_OPTIONS) {
            return Err(Exit::usage("Tunnel options conflict with forward method"));
        }
        crate::legality::check_tunnel(self.tunnel, given)?;
        let forwarding = match self.method {
            Method::Nat => Forwarding::Nat,
            Method::DirectRouting => Forwarding::DirectRouting,
            Method::Tunnel => Forwarding::Tunnel(self.tunnel()),
        };
        let mut address = self.server;
        // Only NAT can change the port.
        if self.mark == 0 && forwarding != Forwarding::Nat {
            address.set_port(self.service_port());
        }
        Ok(RealServer {
            address,
            forwarding,
            weight: self.weight,
            upper_threshold: self.upper_threshold,
            lower_threshold: self.lower_threshold,
        })
    }

    /// Takes in the value of the command that starts or stops a sync daemon.
    pub(crate) const fn set_role(&mut self, role: SyncRole) {
        self.daemon.role = role;
    }

    pub(crate) fn daemon(self) -> SyncDaemon {
        let mut daemon = self.daemon;
        if daemon.interface.is_empty() {
            "eth0".clone_into(&mut daemon.interface);
        }
        daemon
    }

    fn tunnel(&self) -> Tunnel {
        let checksum = self.tunnel_checksum;
        match self.tunnel {
            TunnelKind::Ipip => Tunnel::Ipip,
            TunnelKind::Gue => Tunnel::Gue {
                port: self.tunnel_port,
                checksum,
            },
            TunnelKind::Gre => Tunnel::Gre { checksum },
        }
    }

    fn scheduler_or_default(&self) -> &str {
        if self.scheduler.is_empty() {
            "wlc"
        } else {
            &self.scheduler
        }
    }

    fn service_port(&self) -> u16 {
        self.endpoint
            .and_then(|endpoint| endpoint.port)
            .unwrap_or(0)
    }

    /// The family of the service read so far.
    fn service_family(&self) -> Option<Family> {
        match self.endpoint {
            Some(endpoint) => Some(family_of(endpoint.address)),
            None if self.mark_is_ipv6 => Some(Family::V6),
            None if self.mark != 0 => Some(Family::V4),
            None => None,
        }
    }

    fn read_service(
        &mut self,
        protocol: Protocol,
        text: &str,
        names: &dyn Names,
    ) -> Result<(), Exit> {
        let endpoint = address::endpoint(text, Some(protocol), names)
            .ok_or_else(|| Exit::usage("illegal virtual server address[:port] specified"))?;
        self.protocol = Some(protocol);
        self.endpoint = Some(endpoint);
        if endpoint.address.is_ipv6() {
            self.netmask = Netmask::V6(128);
        }
        Ok(())
    }

    fn read_server(&mut self, text: &str, names: &dyn Names) -> Result<(), Exit> {
        let endpoint = address::endpoint(text, self.protocol, names)
            .ok_or_else(|| Exit::usage("illegal real server address[:port] specified"))?;
        let port = endpoint.port.unwrap_or(self.service_port());
        self.server = SocketAddr::from((endpoint.address, port));
        Ok(())
    }

    fn read_netmask(&self, text: &str, names: &dyn Names) -> Result<Netmask, Exit> {
        if self.service_family() == Some(Family::V6) {
            u8::try_from(number::leading(text))
                .ok()
                .filter(|length| (1..=128).contains(length))
                .map(Netmask::V6)
                .ok_or_else(|| Exit::usage("illegal ipv6 netmask specified"))
        } else {
            address::ipv4_or_name(text, names)
                .map(Netmask::V4)
                .ok_or_else(|| Exit::usage("illegal virtual server persistent mask specified"))
        }
    }
}

const fn family_of(address: IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

fn read<N: TryFrom<i64>>(text: &str, least: i64, most: i64, complaint: &str) -> Result<N, Exit> {
    number::bounded(text, least, most)
        .and_then(|value| N::try_from(value).ok())
        .ok_or_else(|| Exit::usage(complaint))
}

fn read_mark(text: &str) -> Result<u32, Exit> {
    number::bounded(text, 1, i64::from(u32::MAX))
        .and_then(|mark| u32::try_from(mark).ok())
        .ok_or_else(|| Exit::usage(format!("invalid fwmark value `{text}' specified")))
}

fn read_group(text: &str) -> Result<IpAddr, Exit> {
    if text.contains(':') {
        text.parse::<Ipv6Addr>()
            .ok()
            .filter(Ipv6Addr::is_multicast)
            .map(IpAddr::V6)
            .ok_or_else(|| Exit::usage(format!("invalid IPv6 mcast-group `{text}'")))
    } else {
        text.parse::<Ipv4Addr>()
            .ok()
            .filter(Ipv4Addr::is_multicast)
            .map(IpAddr::V4)
            .ok_or_else(|| Exit::usage(format!("invalid IPv4 mcast-group `{text}'")))
    }
}

fn cut(text: &str, longest: usize) -> String {
    let mut text = text.to_owned();
    address::shorten(&mut text, longest);
    text
}
