//! Virtual services in the records.

use std::net::Ipv4Addr;
use std::num::NonZeroU32;

use weir_abi::service::{
    ENGINE_NONE, ENGINE_SIP, FAREWELL, OBSERVED, ONE_PACKET, PERSISTENT, PRESENT, REFUSE_RESET,
    REFUSE_SILENTLY, REFUSE_UNREACHABLE, SCHEDULER_DH, SCHEDULER_FLAG_1, SCHEDULER_FLAG_2,
    SCHEDULER_FLAG_3, SCHEDULER_FO, SCHEDULER_LBLC, SCHEDULER_LBLCR, SCHEDULER_LC, SCHEDULER_MH,
    SCHEDULER_NONE, SCHEDULER_NQ, SCHEDULER_OVF, SCHEDULER_RR, SCHEDULER_SED, SCHEDULER_SH,
    SCHEDULER_TWOS, SCHEDULER_WLC, SCHEDULER_WRR, Service as Record,
};
use weir_abi::shared::Shared32;
use weir_abi::tick::Ticks;
use weir_config::model::{
    Engine, Family, LocalAddresses, Netmask, Persistence, PrefixLength6, Refusal, Scheduler,
    SchedulerFlags, Service, ServiceTimeouts,
};

use super::read_service_key;

/// Writes what is said of a service, all but its key and its scheduler, where it differs. Whether it
/// does.
pub(crate) fn write_service(record: &Record, wanted: &Service) -> bool {
    let persistence = wanted
        .persistence
        .unwrap_or(Persistence::of(wanted.family()));
    let timeouts = wanted.timeouts;
    let [tcp, tcp_fin, udp] = &record.timeouts;
    let own = |timeout: Option<NonZeroU32>| {
        timeout.map_or(0, |seconds| Ticks::from_seconds(seconds.get()).0)
    };
    let mask = netmask_words(persistence.netmask);
    let [mask0, mask1, mask2, mask3] = &record.netmask;
    let before_flags = [
        (
            &record.persistence_timeout,
            Ticks::from_seconds(persistence.timeout).0,
        ),
        (mask0, mask[0]),
        (mask1, mask[1]),
        (mask2, mask[2]),
        (mask3, mask[3]),
        (&record.engine, engine_number(wanted.engine)),
        (tcp, own(timeouts.tcp)),
        (tcp_fin, own(timeouts.tcp_fin)),
        (udp, own(timeouts.udp)),
        (&record.refusal, refusal_number(wanted.refusal)),
    ];
    // Who wants that says it apart.
    let observed = record.flags.load() & OBSERVED;
    let flags = (&record.flags, flags(wanted) | observed);
    let mut changed = false;
    for (cell, value) in before_flags.into_iter().chain([flags]) {
        changed |= replace(cell, value);
    }
    changed
}

/// The service in a record; nothing when the record was never written.
pub fn read_service(record: &Record) -> Option<Service> {
    let key = read_service_key(record.key.load())?;
    let flags = record.flags.load();
    let [tcp, tcp_fin, udp] = &record.timeouts;
    let seconds = |cell: &Shared32| NonZeroU32::new(Ticks(cell.load()).to_seconds());
    let persistence = Persistence {
        timeout: Ticks(record.persistence_timeout.load()).to_seconds(),
        netmask: read_netmask(record.netmask.each_ref().map(Shared32::load), key.family())?,
    };
    Some(Service {
        key,
        scheduler: read_scheduler(record.scheduler.load())?,
        flags: SchedulerFlags {
            flag1: flags & SCHEDULER_FLAG_1 != 0,
            flag2: flags & SCHEDULER_FLAG_2 != 0,
            flag3: flags & SCHEDULER_FLAG_3 != 0,
        },
        persistence: (flags & PERSISTENT != 0).then_some(persistence),
        engine: match record.engine.load() {
            ENGINE_NONE => None,
            ENGINE_SIP => Some(Engine::Sip),
            _ => return None,
        },
        one_packet: flags & ONE_PACKET != 0,
        farewell: flags & FAREWELL != 0,
        timeouts: ServiceTimeouts {
            tcp: seconds(tcp),
            tcp_fin: seconds(tcp_fin),
            udp: seconds(udp),
        },
        refusal: Refusal::ALL
            .into_iter()
            .find(|refusal| refusal_number(*refusal) == record.refusal.load())?,
        local_addresses: LocalAddresses::default(),
    })
}

fn replace(cell: &Shared32, value: u32) -> bool {
    let differs = cell.load() != value;
    if differs {
        cell.store(value);
    }
    differs
}

fn flags(wanted: &Service) -> u32 {
    [
        (true, PRESENT),
        (wanted.persistence.is_some(), PERSISTENT),
        (wanted.one_packet, ONE_PACKET),
        (wanted.farewell, FAREWELL),
        (wanted.flags.flag1, SCHEDULER_FLAG_1),
        (wanted.flags.flag2, SCHEDULER_FLAG_2),
        (wanted.flags.flag3, SCHEDULER_FLAG_3),
    ]
    .into_iter()
    .filter_map(|(is_set, flag)| is_set.then_some(flag))
    .sum()
}

fn netmask_words(netmask: Netmask) -> [u32; 4] {
    match netmask {
        Netmask::V4(mask) => [u32::from_ne_bytes(mask.octets()), 0, 0, 0],
        Netmask::V6(length) => {
            let host_bits = 128 - u32::from(length.get());
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            let [a, b, c, d] = [mask >> 96, mask >> 64, mask >> 32, mask].map(|word| word as u32);
            [a, b, c, d].map(u32::to_be)
        }
    }
}

fn read_netmask(words: [u32; 4], family: Family) -> Option<Netmask> {
    match family {
        Family::V4 => Some(Netmask::V4(Ipv4Addr::from(words[0].to_ne_bytes()))),
        Family::V6 => {
            let ones: u32 = words.map(u32::count_ones).iter().sum();
            PrefixLength6::new(u8::try_from(ones).ok()?).map(Netmask::V6)
        }
    }
}

const fn engine_number(engine: Option<Engine>) -> u32 {
    match engine {
        None => ENGINE_NONE,
        Some(Engine::Sip) => ENGINE_SIP,
    }
}

const fn refusal_number(refusal: Refusal) -> u32 {
    match refusal {
        Refusal::Unreachable => REFUSE_UNREACHABLE,
        Refusal::Reset => REFUSE_RESET,
        Refusal::Silent => REFUSE_SILENTLY,
    }
}

/// The number of a scheduler.
pub const fn scheduler_number(scheduler: Scheduler) -> u32 {
    match scheduler {
        Scheduler::RoundRobin => SCHEDULER_RR,
        Scheduler::WeightedRoundRobin => SCHEDULER_WRR,
        Scheduler::LeastConnection => SCHEDULER_LC,
        Scheduler::WeightedLeastConnection => SCHEDULER_WLC,
        Scheduler::DestinationHashing => SCHEDULER_DH,
        Scheduler::ShortestExpectedDelay => SCHEDULER_SED,
        Scheduler::NeverQueue => SCHEDULER_NQ,
        Scheduler::WeightedFailover => SCHEDULER_FO,
        Scheduler::WeightedOverflow => SCHEDULER_OVF,
        Scheduler::LocalityBasedLeastConnection => SCHEDULER_LBLC,
        Scheduler::LocalityBasedLeastConnectionWithReplication => SCHEDULER_LBLCR,
        Scheduler::SourceHashing => SCHEDULER_SH,
        Scheduler::MaglevHashing => SCHEDULER_MH,
        Scheduler::WeightedRandomTwosChoice => SCHEDULER_TWOS,
        Scheduler::None => SCHEDULER_NONE,
    }
}

/// The scheduler of a number.
pub fn read_scheduler(number: u32) -> Option<Scheduler> {
    Scheduler::ALL
        .into_iter()
        .find(|scheduler| scheduler_number(*scheduler) == number)
}

#[cfg(test)]
mod tests {
    use super::super::service_key;
    use super::*;

    fn written(service: &Service) -> Record {
        let record = Record::default();
        record.key.store(service_key(&service.key));
        record.scheduler.store(scheduler_number(service.scheduler));
        assert!(write_service(&record, service));
        record
    }

    #[test]
    fn a_service_survives_the_tables() {
        let plain = Service::new("tcp:192.0.2.10:80".parse().unwrap());
        let full = Service {
            scheduler: Scheduler::MaglevHashing,
            flags: SchedulerFlags {
                flag1: true,
                flag2: false,
                flag3: true,
            },
            persistence: Some(Persistence {
                timeout: 1,
                netmask: Netmask::V4(Ipv4Addr::new(255, 0, 255, 0)),
            }),
            engine: Some(Engine::Sip),
            one_packet: true,
            farewell: true,
            timeouts: ServiceTimeouts {
                tcp: NonZeroU32::new(7),
                tcp_fin: None,
                udp: NonZeroU32::new(2_678_400),
            },
            refusal: Refusal::Silent,
            ..plain
        };
        let of_a_mark = Service {
            persistence: Some(Persistence {
                timeout: Persistence::MAX_TIMEOUT,
                netmask: Netmask::V6(PrefixLength6::new(48).unwrap()),
            }),
            ..Service::new("fwmark6:7".parse().unwrap())
        };
        for service in [plain, full, of_a_mark] {
            let record = written(&service);
            assert_eq!(read_service(&record), Some(service));
            assert!(!write_service(&record, &service));
        }
    }

    #[test]
    fn netmasks_lie_as_packets_are_masked() {
        let mut service = Service::new("tcp:192.0.2.10:80".parse().unwrap());
        assert_eq!(written(&service).netmask[0].load(), u32::MAX);
        service.persistence = Some(Persistence {
            timeout: 360,
            netmask: Netmask::V4(Ipv4Addr::new(255, 255, 0, 0)),
        });
        let mask = written(&service).netmask[0].load();
        assert_eq!(mask.to_ne_bytes(), [255, 255, 0, 0]);
        let service = Service::new("tcp:[2001:db8::10]:80".parse().unwrap());
        assert_eq!(netmask_words(Netmask::V6(PrefixLength6::WHOLE)), [!0; 4]);
        assert_eq!(written(&service).netmask[3].load(), !0);
        let length = PrefixLength6::new(36).unwrap();
        let [.., second, third, _] = netmask_words(Netmask::V6(length));
        assert_eq!((second.to_ne_bytes(), third), ([0xf0, 0, 0, 0], 0));
    }

    #[test]
    fn every_persistence_timeout_reads_back_as_it_was_set() {
        let record = Record::default();
        let mut service = Service::new("tcp:192.0.2.10:80".parse().unwrap());
        record.key.store(service_key(&service.key));
        for timeout in (1..100_000).step_by(7).chain([Persistence::MAX_TIMEOUT]) {
            service.persistence = Some(Persistence {
                timeout,
                ..Persistence::of(Family::V4)
            });
            write_service(&record, &service);
            let read = read_service(&record).unwrap().persistence.unwrap();
            assert_eq!(read.timeout, timeout);
        }
    }
}
