//! What a service wants for itself: what refused clients are told, and its own timeouts.

use weir_abi::connection::Word;
use weir_abi::reason::Reason;
use weir_abi::service::{FAREWELL, FORWARD_DIRECT, PRESENT, REFUSE_RESET, REFUSE_SILENTLY};
use weir_abi::settings::{USE_FAREWELLS, USE_OWN_TIMEOUTS};
use weir_abi::tick::Ticks;
use weir_rows::bench::{Bench as _, Hook, Verdict};
use weir_rows::cases::{from_client, handshake};
use weir_rows::host::Host;
use weir_rows::network::{Family, Link};
use weir_rows::packet::{ACK, FIN, Packet, SYN, Transport};
use weir_rows::row::{Row, play};
use weir_rows::setup::Setup;

/// A client's packet at a service whose real server is quiesced.
fn refused(
    family: Family,
    hook: Hook,
    refusal: u32,
    transport: Transport,
    protocol: u8,
) -> Verdict {
    let mut host = Host::new(hook);
    Setup::simple(family, protocol).fill(&mut host);
    host.memory.destinations[0].weight.store(0);
    host.memory.services[0].refusal.store(refusal);
    host.run(Link::Outside, &from_client(family, 1, transport).frame())
}

#[test]
fn a_reset_answers_a_syn_that_no_real_server_takes() {
    for family in Family::ALL {
        for hook in [Hook::Xdp, Hook::Tc] {
            let verdict = refused(family, hook, REFUSE_RESET, Transport::Tcp(SYN), 6);
            assert_eq!(verdict.reason, Some(Reason::Reset), "{family:?} {hook:?}");
            let syn = from_client(family, 1, Transport::Tcp(SYN));
            let frame = &verdict.frame;
            let network = match family {
                Family::V4 => 20,
                Family::V6 => 40,
            };
            assert_eq!(frame.len(), 14 + network + 20);
            let tcp = &frame[14 + network..];
            let sent = syn.frame();
            let asked = &sent[14 + network..];
            // Ports swapped; of the SYN the next number is acknowledged; RST and ACK.
            assert_eq!((&tcp[..2], &tcp[2..4]), (&asked[2..4], &asked[..2]));
            let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
            let data = sent.len() - 14 - network - 20;
            assert_eq!(number(&tcp[4..8]), 0);
            assert_eq!(
                number(&tcp[8..12]),
                number(&asked[4..8]).wrapping_add(1 + data as u32)
            );
            assert_eq!(tcp[13], 0x14);
            assert_eq!(sum(frame, network), 0xffff, "the checksum");
        }
    }
}

/// The one's complement sum of the pseudo header and the segment: 0xffff where the checksum is right.
fn sum(frame: &[u8], network: usize) -> u16 {
    let addresses = match network {
        20 => &frame[14 + 12..14 + 20],
        _ipv6 => &frame[14 + 8..14 + 40],
    };
    let segment = &frame[14 + network..];
    let words = addresses.chunks(2).chain(segment.chunks(2));
    let mut sum = 6 + segment.len() as u32;
    for word in words {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[test]
fn datagrams_are_answered_by_icmp_and_silence_is_silent() {
    for family in Family::ALL {
        for hook in [Hook::Xdp, Hook::Tc] {
            for (refusal, transport, protocol, reason) in [
                (REFUSE_RESET, Transport::Udp, 17, Reason::NoDestination),
                (REFUSE_SILENTLY, Transport::Udp, 17, Reason::Refused),
                (REFUSE_SILENTLY, Transport::Tcp(SYN), 6, Reason::Refused),
            ] {
                let verdict = refused(family, hook, refusal, transport, protocol);
                assert_eq!(verdict.reason, Some(reason), "{family:?} {hook:?}");
            }
        }
    }
}

#[test]
fn a_service_has_its_own_timeouts() {
    let own = [30, 5, 0].map(|seconds| Ticks::from_seconds(seconds).0);
    for family in Family::ALL {
        let mut host = Host::new(Hook::Xdp);
        let setup = Setup::simple(family, 6);
        play(&mut host, &Row::new("before", setup, handshake(family))).unwrap();
        for (cell, timeout) in host.memory.services[0].timeouts.iter().zip(own) {
            cell.store(timeout);
        }
        // As the director does with the change.
        host.memory.settings.uses.store(USE_OWN_TIMEOUTS);
        host.memory.settings.routes_generation.add(1);
        for _ in 0..2 {
            host.wait(Ticks::REFRESH.0);
            let packet = from_client(family, 1, Transport::Tcp(ACK)).frame();
            assert_eq!(
                host.run(Link::Outside, &packet).reason,
                Some(Reason::Request)
            );
            let word = Word(match family {
                Family::V4 => host.memory.connections4[0].word.load(),
                Family::V6 => host.memory.connections6[0].word.load(),
            });
            let left = word.expires().since(host.now()) as u32;
            assert_eq!(left, own[0] + Ticks::REFRESH.0, "{family:?}");
        }
    }
}

/// By direct routing the real server is not heard: what the client has sent says what the server waits for, however
/// often it is sent again.
#[test]
fn of_an_end_that_is_not_heard_what_it_was_sent_counts() {
    for family in Family::ALL {
        let mut host = Host::new(Hook::Tc);
        Setup::simple(family, 6).fill(&mut host);
        let server = &host.memory.destinations[0];
        let mut address = server.address.load();
        address.forwarding = FORWARD_DIRECT;
        server.address.store(address);
        host.memory.services[0].flags.store(PRESENT | FAREWELL);
        host.memory.settings.uses.store(USE_FAREWELLS);
        let network = match family {
            Family::V4 => 20,
            Family::V6 => 40,
        };
        let number = |frame: &[u8], at: usize| {
            let bytes = &frame[14 + network + at..][..4];
            u32::from_be_bytes(bytes.try_into().unwrap())
        };
        let mut send = |flags, payload: usize| {
            let packet = Packet {
                payload: vec![b'x'; payload],
                ..from_client(family, 1, Transport::Tcp(flags))
            };
            let frame = packet.frame();
            let reason = host.run(Link::Outside, &frame).reason;
            assert_eq!(reason, Some(Reason::Request));
            let cells = match family {
                Family::V4 => &host.memory.connections4[0].acknowledged,
                Family::V6 => &host.memory.connections6[0].acknowledged,
            };
            let [client, server] = cells.each_ref().map(|cell| cell.load());
            (number(&frame, 4), number(&frame, 8), client, server)
        };
        assert_eq!(send(SYN, 0).3, 0);
        let (sequence, acknowledgement, client, server) = send(ACK, 100);
        assert_eq!((client, server), (acknowledgement, sequence + 100));
        // Sent again, and less.
        assert_eq!(send(ACK, 10).3, sequence + 100);
        assert_eq!(send(ACK | FIN, 100).3, sequence + 101);
    }
}
