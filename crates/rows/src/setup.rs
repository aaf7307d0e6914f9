//! What the tables hold before the first packet.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use weir_abi::NONE;
use weir_abi::check::CheckKey;
use weir_abi::fragment::AddressKey;
use weir_abi::hash_table::{BUCKETS_PER_PAGE, DH_BUCKETS, HashTable, MH_BUCKETS, SH_BUCKETS};
use weir_abi::keys::{FAMILY_V4, FAMILY_V6, ServerKey, ServiceKey};
use weir_abi::pool::{POOL_ADDRESSES, POOL_PLACES};
use weir_abi::service::{
    AVAILABLE, DestinationAddress, ENGINE_NONE, ENGINE_SIP, FORWARD_FULL_NAT, FORWARD_NAT,
    FORWARD_OTHER_FAMILY, FORWARD_TUNNEL, OBSERVED, ONE_PACKET, PERSISTENT, PRESENT, SCHEDULER_DH,
    SCHEDULER_MH, SCHEDULER_RR, SCHEDULER_SH, TUNNEL_GRE, TUNNEL_GUE, Tunnel,
};
use weir_abi::settings::{
    Settings, USE_CALLS, USE_CHECKS, USE_FULL_NAT, USE_OBSERVATION, USE_OTHER_FAMILY,
    USE_SYNC_BACKUP,
};
use weir_abi::sysctl::Sysctl;
use weir_abi::tick::Ticks;

use crate::bench::Bench;
use crate::calls::TIMEOUT;
use crate::network::{DIRECTOR, Family, Link};

/// TCP's timeouts in seconds, by the kernel's numbers (NONE to LAST).
pub const TCP_TIMEOUTS: [u32; 12] = [2, 900, 120, 60, 120, 120, 10, 60, 30, 120, 120, 2];
/// SCTP's timeouts in seconds, by the kernel's numbers (NONE to CLOSED).
pub const SCTP_TIMEOUTS: [u32; 14] = [2, 4, 61, 61, 61, 61, 61, 61, 900, 61, 61, 61, 4, 61];
/// UDP's timeout in seconds.
pub const UDP_TIMEOUT: u32 = 300;

/// The epochs of lblc's and lblcr's memory that were used.
static EPOCHS: AtomicU32 = AtomicU32::new(1);

/// A virtual service.
#[derive(Clone, Debug)]
pub struct Service {
    /// IANA protocol number.
    pub protocol: u8,
    /// VIP and port.
    pub address: SocketAddr,
    /// A `SCHEDULER_*` number.
    pub scheduler: u32,
    /// wrr: the greatest weight less (step - 1), and the step.
    pub weights: (u32, u32),
    /// Its real servers with their weights, oldest first.
    pub servers: Vec<(SocketAddr, u32)>,
}

/// All services, and the sysctls.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Services; their slots count from 0, and so do those of all real servers together.
    pub services: Vec<Service>,
    /// `expire_nodest_conn`.
    pub expire_without_destination: bool,
    /// `conn_reuse_mode` is 0 instead of 1.
    pub no_reuse: bool,
    /// FULLNAT: the addresses of the director's that stand for clients, and how many ports they have if
    /// not all.
    pub full_nat: (Vec<IpAddr>, u32),
    /// Real servers get packets by such a tunnel.
    pub tunnel: Option<Tunnel>,
    /// FULLNAT to real servers of the other family: the director's addresses of that family.
    pub others: Vec<IpAddr>,
    /// The same without any address.
    pub without_others: bool,
    /// FULLNAT without any address.
    pub empty_pool: bool,
    /// Checks that go the way of the traffic: their protocol, virtual address and port, own port, and who
    /// is checked.
    pub checks: Vec<(u8, SocketAddr, u16, IpAddr)>,
    /// Connections persist by Call-ID, with that netmask.
    pub calls: Option<[u32; 4]>,
    /// How real servers answer is observed.
    pub observed: bool,
    /// Every packet is a connection of its own.
    pub one_packet: bool,
    /// Sysctls beside the defaults.
    pub sysctls: Vec<(Sysctl, u32)>,
    /// A sync daemon runs that is a backup.
    pub sync_backup: bool,
    /// Room for that many connections only.
    pub capacity: Option<u32>,
}

impl Setup {
    /// One service with one real server, on port 80 and 8080.
    pub fn simple(family: Family, protocol: u8) -> Self {
        Self::servers(family, protocol, &[(family.server(1, 8080), 1)])
    }

    /// One service with those real servers, rr.
    pub fn servers(family: Family, protocol: u8, servers: &[(SocketAddr, u32)]) -> Self {
        Self {
            services: vec![Service {
                protocol,
                address: family.vip(80),
                scheduler: SCHEDULER_RR,
                weights: (0, 0),
                servers: servers.to_vec(),
            }],
            ..Self::default()
        }
    }

    /// Fills the bench's empty tables.
    pub fn fill<B: Bench>(&self, bench: &mut B) {
        self.fill_settings(bench.settings());
        self.fill_checks(bench);
        let mut slot = 0;
        for (number, service) in (0..).zip(&self.services) {
            let key = service_key(service.protocol, service.address);
            let mut head = NONE;
            for (address, weight) in &service.servers {
                let record = &bench.destinations()[slot as usize];
                record.flags.store(PRESENT | AVAILABLE);
                record.weight.store(*weight);
                record.hop.forget();
                record.next.store(head);
                record.service.store(number);
                record.address.store(DestinationAddress {
                    address: words(*address),
                    port: address.port().to_be(),
                    family: family_number(*address),
                    forwarding: if self.tunnel.is_some() {
                        FORWARD_TUNNEL
                    } else if family_number(*address) != key.family {
                        FORWARD_OTHER_FAMILY
                    } else if self.full_nat.0.is_empty() {
                        FORWARD_NAT
                    } else {
                        FORWARD_FULL_NAT
                    },
                });
                record.service_key.store(key);
                let link = crate::network::locate(address.ip()).map_or(Link::Inside, |at| at.0);
                let own = SocketAddr::new(link.address(Family::of(address.ip()), DIRECTOR), 0);
                record.tunnel.store(Tunnel {
                    source: words(own),
                    ..self.tunnel.unwrap_or_default()
                });
                if self.full_nat.0.is_empty() {
                    let sent_by = ServerKey {
                        address: words(*address),
                        port: address.port().to_be(),
                        protocol: service.protocol,
                        family: key.family,
                    };
                    let sent_by = self.tunnel.map_or(sent_by, |tunnel| ServerKey {
                        port: tunnel.port,
                        protocol: outer_protocol(tunnel, key.family),
                        family: family_number(*address),
                        ..sent_by
                    });
                    bench.put_server(sent_by, slot);
                }
                head = slot;
                slot += 1;
                bench.put_address(AddressKey {
                    address: words(*address),
                    family: family_number(*address).into(),
                });
            }
            let record = &bench.services()[number as usize];
            record.scheduler.store(service.scheduler);
            record.head.store(head);
            record.length.store(service.servers.len() as u32);
            record
                .memory
                .store(u64::from(service.weights.0) << 32 | u64::from(NONE));
            record.weight_limit.store(service.weights.0);
            record.weight_step.store(service.weights.1);
            record.key.store(key);
            let observed = if self.observed { OBSERVED } else { 0 };
            let one_packet = if self.one_packet { ONE_PACKET } else { 0 };
            record.flags.store(PRESENT | observed | one_packet);
            record.engine.store(ENGINE_NONE);
            if let Some(netmask) = self.calls {
                let flags = record.flags.load();
                record.flags.store(flags | PERSISTENT);
                record.engine.store(ENGINE_SIP);
                record
                    .persistence_timeout
                    .store(Ticks::from_seconds(TIMEOUT).0);
                for (cell, word) in record.netmask.iter().zip(netmask) {
                    cell.store(word);
                }
                let uses = &bench.settings().uses;
                uses.store(uses.load() | USE_CALLS);
            }
            self.fill_pool(bench, number);
            // What the rows before have left in the kernel's table is not this service's.
            let epoch = EPOCHS.fetch_add(1, Ordering::Relaxed);
            record.locality_epoch.store(epoch);
            let buckets = match service.scheduler {
                SCHEDULER_DH => DH_BUCKETS,
                SCHEDULER_SH => SH_BUCKETS,
                SCHEDULER_MH => MH_BUCKETS,
                _ => 0,
            };
            let first = slot - service.servers.len() as u32;
            put_buckets(bench, number, buckets, first..slot);
            bench.put_service(key, number);
            bench.put_address(AddressKey {
                address: key.address,
                family: key.family.into(),
            });
        }
    }

    fn fill_checks<B: Bench>(&self, bench: &mut B) {
        let uses = if self.checks.is_empty() {
            0
        } else {
            USE_CHECKS
        };
        bench.settings().uses.store(uses);
        if self.observed {
            bench.settings().uses.store(uses | USE_OBSERVATION);
        }
        if self.sync_backup {
            let uses = bench.settings().uses.load();
            bench.settings().uses.store(uses | USE_SYNC_BACKUP);
        }
        for (protocol, address, port, server) in &self.checks {
            let key = CheckKey {
                virtual_address: words(*address),
                virtual_port: address.port().to_be(),
                port: port.to_be(),
                protocol: *protocol,
                family: service_key(*protocol, *address).family,
                padding: 0,
            };
            bench.put_check(key, words(SocketAddr::new(*server, 0)));
        }
    }

    fn fill_pool<B: Bench>(&self, bench: &B, service: u32) {
        let (addresses, ports) = &self.full_nat;
        let first = service * POOL_PLACES;
        let places = &bench.pools()[first as usize..];
        for (place, address) in places.iter().zip(addresses) {
            for (cell, word) in place.words.iter().zip(words(SocketAddr::new(*address, 0))) {
                cell.store(word);
            }
        }
        let record = &bench.services()[service as usize];
        record.pool.store(first);
        if !addresses.is_empty() {
            let uses = &bench.settings().uses;
            uses.store(uses.load() | USE_FULL_NAT);
        }
        let length = if self.empty_pool { 0 } else { addresses.len() };
        record.pool_length.store(length as u32);
        record.pool_ports.store(*ports);
        record.pool_hand.store(0);
        self.fill_others(bench, service);
    }

    /// The addresses of the other family that stand for clients, from the last place on downwards.
    fn fill_others<B: Bench>(&self, bench: &B, service: u32) {
        let last = service * POOL_PLACES + POOL_ADDRESSES - 1;
        for (number, address) in (0..).zip(&self.others) {
            let place = &bench.pools()[(last - number) as usize];
            for (cell, word) in place.words.iter().zip(words(SocketAddr::new(*address, 0))) {
                cell.store(word);
            }
        }
        if !self.others.is_empty() {
            let uses = &bench.settings().uses;
            uses.store(uses.load() | USE_OTHER_FAMILY);
        }
        let record = &bench.services()[service as usize];
        let length = if self.without_others {
            0
        } else {
            self.others.len()
        };
        record.pool_others.store(length as u32);
        record.pool_others_hand.store(0);
    }

    fn fill_settings(&self, settings: &Settings) {
        settings
            .sysctl(Sysctl::ConnReuseMode)
            .store(u32::from(!self.no_reuse));
        settings.sysctl(Sysctl::LblcrExpiration).store(86_400);
        let expire = u32::from(self.expire_without_destination);
        settings.sysctl(Sysctl::ExpireNodestConn).store(expire);
        for (cell, seconds) in settings.tcp_timeouts.iter().zip(TCP_TIMEOUTS) {
            cell.store(Ticks::from_seconds(seconds).0);
        }
        for (cell, seconds) in settings.sctp_timeouts.iter().zip(SCTP_TIMEOUTS) {
            cell.store(Ticks::from_seconds(seconds).0);
        }
        settings
            .udp_timeout
            .store(Ticks::from_seconds(UDP_TIMEOUT).0);
        let is_ftp = |service: &&Service| service.protocol == 6 && service.address.port() == 21;
        let ftp_services = self.services.iter().filter(is_ftp).count();
        settings.ftp_services.store(ftp_services as u32);
        settings.unprivileged_port.store(1024);
        for (sysctl, value) in [
            (Sysctl::NatIcmpSend, 0),
            (Sysctl::ScheduleIcmp, 0),
            (Sysctl::BackupOnly, 0),
            (Sysctl::SnatReroute, 1),
        ] {
            settings.sysctl(sysctl).store(value);
        }
        for (sysctl, value) in &self.sysctls {
            settings.sysctl(*sysctl).store(*value);
        }
        if let Some(capacity) = self.capacity {
            settings.capacity4.store(capacity);
            settings.capacity6.store(capacity);
        }
    }
}

/// Gives a service a table that goes round its servers, newest first.
fn put_buckets<B: Bench>(bench: &B, number: u32, buckets: u32, servers: std::ops::Range<u32>) {
    if buckets == 0 {
        return;
    }
    let first = number * MH_BUCKETS.div_ceil(BUCKETS_PER_PAGE);
    let table = HashTable::new(first, buckets);
    let pages = &bench.bucket_pages()[first as usize..(first + table.pages()) as usize];
    let cells = pages.iter().flat_map(|page| &page.buckets);
    for (bucket, server) in cells.zip(servers.rev().cycle()) {
        bucket.store(server);
    }
    bench.services()[number as usize].hash_table.store(table.0);
}

/// The number of what carries packets of that family in a tunnel.
fn outer_protocol(tunnel: Tunnel, within: u8) -> u8 {
    match tunnel.kind {
        TUNNEL_GUE => 17,
        TUNNEL_GRE => 47,
        _ipip if within == FAMILY_V4 => 4,
        _ipip => 41,
    }
}

/// The key of a service.
pub fn service_key(protocol: u8, address: SocketAddr) -> ServiceKey {
    ServiceKey {
        address: words(address),
        port: address.port().to_be(),
        protocol,
        family: family_number(address),
    }
}

fn family_number(address: SocketAddr) -> u8 {
    match Family::of(address.ip()) {
        Family::V4 => FAMILY_V4,
        Family::V6 => FAMILY_V6,
    }
}

/// An address as tables hold it.
pub(crate) fn words(address: SocketAddr) -> [u32; 4] {
    let mut bytes = [0; 16];
    match address {
        SocketAddr::V4(address) => bytes[..4].copy_from_slice(&address.ip().octets()),
        SocketAddr::V6(address) => bytes.copy_from_slice(&address.ip().octets()),
    }
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(bytes.chunks(4)) {
        *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    words
}
