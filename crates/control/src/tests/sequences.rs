//! Random sequences of operations, against the reference and against what must always be true.

use proptest::prelude::*;
use weir_config::model::Scheduler;

use crate::testing::operations::{Operation, SERVERS, SERVICES, follow_ipvs, fuzz, stay_whole};

fn operation() -> impl Strategy<Value = Operation> {
    use Operation::*;
    let service = 0..SERVICES.len();
    let scheduler = prop::sample::select(&Scheduler::ALL[..]);
    let pair = (service.clone(), 1..=SERVERS);
    prop_oneof![
        3 => (service.clone(), scheduler.clone()).prop_map(|(s, how)| AddService(s, how)),
        2 => (service.clone(), scheduler).prop_map(|(s, how)| EditService(s, how)),
        1 => service.clone().prop_map(DeleteService),
        1 => Just(Flush),
        8 => (pair.clone(), 0..9u32).prop_map(|((s, a), weight)| AddServer(s, a, weight)),
        3 => (pair.clone(), 0..9u32).prop_map(|((s, a), weight)| EditServer(s, a, weight)),
        6 => pair.clone().prop_map(|(s, a)| DeleteServer(s, a)),
        1 => prop::option::of(service).prop_map(Zero),
        8 => (pair.clone(), 1..100u64).prop_map(|((s, a), number)| Packets(s, a, number)),
        4 => (pair.clone(), 0..3u32).prop_map(|((s, a), number)| Connections(s, a, number)),
        3 => pair.prop_map(|(s, a)| Pick(s, a)),
        4 => prop::sample::select(vec![0u64, 1, 30, 61, 121, 300]).prop_map(Wait),
        1 => Just(Estimate),
        1 => Just(Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_director_is_ipvs(operations in prop::collection::vec(operation(), 1..60)) {
        follow_ipvs(&operations);
    }

    #[test]
    fn full_tables_stay_whole(operations in prop::collection::vec(operation(), 1..80)) {
        stay_whole(&operations);
    }
}

#[test]
fn any_bytes_are_operations() {
    let bytes: Vec<u8> = (0..4000u32).map(|n| (n * n / 7 % 251) as u8).collect();
    fuzz(&bytes);
}
