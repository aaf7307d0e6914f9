//! `weir proc`: the kernel's files, from a daemon. Their forms are compared with the kernel's own by
//! the tests of the crate `weir-ipvsadm`.

use std::net::Ipv4Addr;

use weir_abi::connection::{Endpoints, LIVE, TEMPLATE, Word, template_protocol};
use weir_abi::counters::Counters;
use weir_abi::tick::Tick;
use weir_control::Tables;

use crate::director::{Director, parts};
use crate::transcript::check;

#[test]
fn the_files_of_the_kernel_are_printed() {
    let director = Director::with(|plane| {
        let address = |text: &str| [u32::from(text.parse::<Ipv4Addr>().expect("one")).to_be()];
        // Long past, so that the listing does not depend on when it is made.
        let past = Tick::from_nanoseconds(0);
        for (record, (client_port, protocol, flags)) in plane.connections4.iter().zip([
            (51_234u16, 6, LIVE),
            (0, template_protocol(6), LIVE | TEMPLATE),
        ]) {
            record.endpoints.store(Endpoints {
                client: address("198.51.100.7"),
                virtual_address: address("192.0.2.10"),
                server: address("10.0.0.11"),
                client_port: client_port.to_be(),
                virtual_port: 21u16.to_be(),
                server_port: 8_080u16.to_be(),
                protocol,
                forwarding: 0,
            });
            record.word.store(Word::new(past, 1, flags, 1).0);
        }
        plane.settings().high_water4.store(2);
    });
    check(
        &director,
        "
        $ -A -t 192.0.2.10:21 -s rr
        = 0
        $ -a -t 192.0.2.10:21 -r 10.0.0.11:8080 -m
        = 0
        ",
    );
    let (slot, _) = director.server("10.0.0.11:8080");
    let counters = Counters {
        connections: 33,
        in_packets: 120,
        out_packets: 90,
        in_bytes: 7_000,
        out_bytes: 123_456_789_012,
    };
    director.tables.count(slot, counters);

    for (file, expected) in [
        (
            "ip_vs",
            "IP Virtual Server version 1.2.1 (size=4096)\n\
             Prot LocalAddress:Port Scheduler Flags\n\
             \x20 -> RemoteAddress:Port Forward Weight ActiveConn InActConn\n\
             TCP  C000020A:0015 rr  \n\
             \x20 -> 0A00000B:1F90      Masq    1      0          0         \n",
        ),
        (
            "ip_vs_conn",
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData\n\
             TCP C6336407 C822 C000020A 0015 0A00000B 1F90 ESTABLISHED       0\n\
             TCP C6336407 0000 C000020A 0015 0A00000B 1F90 ASSURED           0\n",
        ),
        (
            "ip_vs_conn_sync",
            "Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires\n\
             TCP C6336407 C822 C000020A 0015 0A00000B 1F90 ESTABLISHED LOCAL        0\n\
             TCP C6336407 0000 C000020A 0015 0A00000B 1F90 ASSURED     LOCAL        0\n",
        ),
        (
            "ip_vs_stats",
            "   Total Incoming Outgoing         Incoming         Outgoing\n\
             \x20  Conns  Packets  Packets            Bytes            Bytes\n\
             \x20     21       78       5A             1B58       1CBE991A14\n\
             \n\
             \x20Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n\
             \x20      0        0        0                0                0\n",
        ),
        (
            "ip_vs_stats_percpu",
            "       Total Incoming Outgoing         Incoming         Outgoing\n\
             CPU    Conns  Packets  Packets            Bytes            Bytes\n\
             \x20 0       21       78       5A             1B58       1CBE991A14\n\
             \x20 1        0        0        0                0                0\n\
             \x20 ~       21       78       5A             1B58       1CBE991A14\n\
             \n\
             \x20    Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n\
             \x20          0        0        0                0                0\n",
        ),
        (
            "ip_vs_app",
            "prot port    usecnt name\n\
             TCP  21      1      ftp              \n",
        ),
    ] {
        let seen = parts(&director.weir(&["proc", file]));
        assert_eq!(seen, (0, expected.to_owned(), String::new()), "{file}");
    }
    let (code, _, error) = parts(&director.weir(&["proc", "ip_vs_nothing"]));
    assert_eq!(code, 2);
    assert!(error.contains("ip_vs_conn_sync"), "{error}");
}

#[test]
fn what_a_processor_has_counted_is_never_zeroed() {
    let director = Director::new();
    check(
        &director,
        "
        $ -A -t 192.0.2.10:80 -s rr
        = 0
        $ -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m
        = 0
        ",
    );
    let (slot, _) = director.server("10.0.0.11:8080");
    director.tables.count(
        slot,
        Counters {
            connections: 5,
            ..Counters::default()
        },
    );
    check(&director, "$ -Z\n= 0\n$ -C\n= 0\n");
    let (_, text, _) = parts(&director.weir(&["proc", "ip_vs_stats_percpu"]));
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[2].starts_with("  0        5 "), "{text}");
    assert!(lines[4].starts_with("  ~        0 "), "{text}");
}
