//! The packet path finds the Call-ID in any message that is found by reading it as a whole; and services that get or
//! lose their engine.

use std::collections::HashMap;

use proptest::prelude::*;
use weir_abi::reason::Reason;
use weir_abi::service::{ENGINE_NONE, ENGINE_SIP};
use weir_rows::bench::{Bench as _, Hook};
use weir_rows::calls::message;
use weir_rows::calls::reading::{call_id, found};
use weir_rows::cases::from_client;
use weir_rows::host::Host;
use weir_rows::network::{Family, Link};
use weir_rows::packet::{Packet, Transport};
use weir_rows::setup::Setup;

/// Pieces that messages are made of: what matters is likely to meet.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let known: [&[u8]; 27] = [
        b"\r\n",
        b"\r",
        b"\n",
        b" ",
        b"\t",
        b":",
        b"Call-ID",
        b"call-id",
        b"CALL-ID",
        b"i",
        b"I",
        b"@",
        b"a",
        b"xyz",
        b"@host",
        b"Call-ID: one@here\r\n",
        b"\r\nCall-ID: two\r\n",
        b"\r\ni:",
        b"Cal",
        b"\r\nCall-ID :\r\n ",
        b",",
        b";",
        b"\xe9",
        b"\xd7",
        b"\0",
        b"-",
        b"\r\nI: @",
    ];
    prop_oneof![
        9 => prop::sample::select(known.to_vec()).prop_map(<[u8]>::to_vec),
        1 => (240_usize..270).prop_map(|length| vec![b'l'; length]),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

proptest! {
    #[test]
    fn both_readings_agree(pieces in prop::collection::vec(piece(), 0..40)) {
        let message = pieces.concat();
        let read = found(&message).map(|(id, _)| id);
        prop_assert_eq!(read.as_deref(), call_id(&message));
    }
}

/// Ten thousand calls, no two of which have the same hashes; and the same call always has.
#[test]
fn hashes_tell_calls_apart() {
    let mut seen = HashMap::new();
    for number in 0..10_000 {
        for text in [
            format!("x\r\ni: {number}\r\n"),
            format!("x\r\ni:{number}@h\r\n"),
        ] {
            let (id, hashes) = found(text.as_bytes()).expect("a Call-ID");
            assert_eq!(seen.insert(hashes, id), None);
            let again = text.replace("x\r\ni:", "y\nCall-ID: \t");
            assert_eq!(found(again.as_bytes()).expect("a Call-ID").1, hashes);
        }
    }
}

/// Templates by Call-ID are not those by address: who had one of the kind that counts now finds it again.
#[test]
fn a_service_gets_and_loses_its_engine() {
    for family in Family::ALL {
        let servers = [1, 2, 3].map(|number| (family.server(number, 8080), 1));
        let netmask = match family {
            Family::V4 => [u32::MAX, 0, 0, 0],
            Family::V6 => [u32::MAX; 4],
        };
        let mut host = Host::new(Hook::Tc);
        let setup = Setup {
            calls: Some(netmask),
            ..Setup::servers(family, 17, &servers)
        };
        setup.fill(&mut host);
        let mut port = 40_000;
        let mut goes_to = |host: &mut Host, engine, call: &str| {
            host.memory.services[0].engine.store(engine);
            port += 1;
            let packet = Packet {
                source: family.client(1, port),
                payload: message(call),
                ..from_client(family, 1, Transport::Udp)
            };
            let before = [0, 1, 2].map(|slot| host.counters(slot).connections);
            let verdict = host.run(Link::Outside, &packet.frame());
            assert_eq!(verdict.reason, Some(Reason::Request), "{family:?}");
            let after = [0, 1, 2].map(|slot| host.counters(slot).connections);
            (0..3).find(|slot| after[*slot] != before[*slot])
        };
        // rr picks the newest first.
        for (engine, call, expected) in [
            (ENGINE_NONE, "one", 2),
            (ENGINE_NONE, "two", 2),
            (ENGINE_SIP, "one", 1),
            (ENGINE_SIP, "two", 0),
            (ENGINE_SIP, "one", 1),
            (ENGINE_NONE, "two", 2),
            (ENGINE_SIP, "two", 0),
        ] {
            let found = goes_to(&mut host, engine, call);
            assert_eq!(found, Some(expected), "{family:?} {engine} {call}");
        }
    }
}
