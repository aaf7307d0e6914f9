//! `weir ipvsadm` from end to end: process, socket, API, director, and back.

use std::os::unix::fs::symlink;
use std::path::Path;

use weir_abi::counters::Counters;
use weir_control::Tables;

use crate::director::{BINARY, Director, parts, run};
use crate::transcript::check;

#[test]
fn services_and_real_servers_are_added_listed_edited_and_deleted() {
    check(
        &Director::new(),
        "
        $ -Ln
        = 0
        > IP Virtual Server version 1.2.1 (size=4096)
        > Prot LocalAddress:Port Scheduler Flags
        >   -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
        $ -A -t 192.0.2.10:80 -s rr
        = 0
        $ -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m
        = 0
        $ -a -t 192.0.2.10:80 -r 10.0.0.12:8080 -m -w 3
        = 0
        $ -A -u [2001:db8::10]:53
        = 0
        $ -a -u [2001:db8::10]:53 -r [2001:db8:1::11]:5353 -m -w 0
        = 0
        $ -Ln
        = 0
        > IP Virtual Server version 1.2.1 (size=4096)
        > Prot LocalAddress:Port Scheduler Flags
        >   -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
        > TCP  192.0.2.10:80 rr
        >   -> 10.0.0.11:8080               Masq    1      0          0         
        >   -> 10.0.0.12:8080               Masq    3      0          0         
        > UDP  [2001:db8::10]:53 wlc
        >   -> [2001:db8:1::11]:5353        Masq    0      0          0         
        $ -E -t 192.0.2.10:80 -s wrr
        = 0
        $ -e -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 2147483647
        = 0
        $ -Ln -t 192.0.2.10:80
        = 0
        > Prot LocalAddress:Port Scheduler Flags
        >   -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
        > TCP  192.0.2.10:80 wrr
        >   -> 10.0.0.11:8080               Masq    2147483647 0          0         
        >   -> 10.0.0.12:8080               Masq    3      0          0         
        $ -e -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 7
        = 0
        $ -d -t 192.0.2.10:80 -r 10.0.0.12:8080
        = 0
        $ -Sn
        = 0
        > -A -t 192.0.2.10:80 -s wrr
        > -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 7
        > -A -u [2001:db8::10]:53 -s wlc
        > -a -u [2001:db8::10]:53 -r [2001:db8:1::11]:5353 -m -w 0
        $ -D -t 192.0.2.10:80
        = 0
        $ -C
        = 0
        $ -Sn
        = 0
        ",
    );
}

#[test]
fn what_the_director_refuses_is_said_in_ipvsadms_words() {
    check(
        &Director::new(),
        "
        $ -A -t 192.0.2.10:80 -s rr
        = 0
        $ -A -t 192.0.2.10:80 -s wlc
        = 255
        ! Service already exists
        $ -E -t 192.0.2.11:80 -s rr
        = 255
        ! No such service
        $ -D -t 192.0.2.11:80
        = 255
        ! No such service
        $ -a -t 192.0.2.11:80 -r 10.0.0.1:80 -m
        = 255
        ! Service not defined
        $ -a -t 192.0.2.10:80 -r 10.0.0.1:80 -m
        = 0
        $ -a -t 192.0.2.10:80 -r 10.0.0.1:80 -m
        = 255
        ! Destination already exists
        $ -e -t 192.0.2.10:80 -r 10.0.0.2:80 -m
        = 255
        ! No such destination
        $ -d -t 192.0.2.10:80 -r 10.0.0.2:80
        = 255
        ! No such destination
        $ -A -t 192.0.2.12:80 -s nonsense
        = 255
        ! Scheduler or persistence engine not found
        $ -L -n -t 192.0.2.11:80
        = 1
        ! No such service
        ",
    );
}

#[test]
fn every_attribute_comes_back() {
    check(
        &Director::new(),
        "
        $ -A -u 192.0.2.10:5060 -s sh -b sh-port -p 60 -M 255.255.255.0 --pe sip
        = 0
        $ -a -u 192.0.2.10:5060 -r 10.0.0.1
        = 0
        $ -A -f 7 -6 -s mh -o
        = 0
        $ -a -f 7 -6 -r [2001:db8::1]:99 -i --tun-type gue --tun-port 6080 --tun-remcsum -x 9 -y 3
        = 0
        $ -A --sctp-service 192.0.2.10:3868 -s nothing
        = 255
        ! Scheduler or persistence engine not found
        $ -a -f 7 -6 -r [2001:db8::2]:99 -m -x 1 -y 2
        = 255
        ! Numerical result out of range
        $ -Sn
        = 0
        > -A -u 192.0.2.10:5060 -s sh -p 60 -M 255.255.255.0 --pe sip -b sh-port
        > -a -u 192.0.2.10:5060 -r 10.0.0.1:5060 -g -w 1
        > -A -f 7 -6 -s mh -o
        > -a -f 7 -6 -r [2001:db8::1]:99 -i -w 1 --tun-type gue --tun-port 6080 --tun-remcsum
        $ -L -n --thresholds
        = 0
        > IP Virtual Server version 1.2.1 (size=4096)
        > Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn 
        >   -> RemoteAddress:Port
        > UDP  192.0.2.10:5060 sh (sh-port) persistent 60 mask 255.255.255.0 pe sip
        >   -> 10.0.0.1:5060                0          0          0          0         
        > FWM  7 IPv6 mh ops
        >   -> [2001:db8::1]:99             9          3          0          0         
        ",
    );
}

#[test]
fn a_full_table_is_told_as_memory_that_is_lacking() {
    check(
        &Director::new(),
        "
        $ -A -t 192.0.2.10:1
        = 0
        $ -A -t 192.0.2.10:2
        = 0
        $ -A -t 192.0.2.10:3
        = 0
        $ -A -t 192.0.2.10:4
        = 0
        $ -A -t 192.0.2.10:5
        = 255
        ! Memory allocation problem
        ",
    );
}

#[test]
fn timeouts_are_set_and_zero_keeps_them() {
    check(
        &Director::new(),
        "
        $ -L --timeout
        = 0
        > Timeout (tcp tcpfin udp): 900 120 300
        $ --set 7200 0 60
        = 0
        $ -L --timeout
        = 0
        > Timeout (tcp tcpfin udp): 7200 120 60
        ",
    );
}

#[test]
fn counters_are_listed_and_zeroed() {
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
    let (slot, record) = director.server("10.0.0.11:8080");
    record.active.store(2);
    record.inactive.store(31);
    let counters = Counters {
        connections: 33,
        in_packets: 120,
        out_packets: 90,
        in_bytes: 7_000,
        out_bytes: 123_456_789_012,
    };
    director.tables.count(slot, counters);
    check(
        &director,
        "
        $ -L -n --stats
        = 0
        > IP Virtual Server version 1.2.1 (size=4096)
        > Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
        >   -> RemoteAddress:Port
        > TCP  192.0.2.10:80                      33      120       90     7000     123G
        >   -> 10.0.0.11:8080                     33      120       90     7000     123G
        $ -Ln
        = 0
        > IP Virtual Server version 1.2.1 (size=4096)
        > Prot LocalAddress:Port Scheduler Flags
        >   -> RemoteAddress:Port           Forward Weight ActiveConn InActConn
        > TCP  192.0.2.10:80 rr
        >   -> 10.0.0.11:8080               Masq    1      2          31        
        $ -Z
        = 0
        $ -L -n --stats --exact
        = 0
        > IP Virtual Server version 1.2.1 (size=4096)
        > Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes
        >   -> RemoteAddress:Port
        > TCP  192.0.2.10:80                       0        0        0        0        0
        >   -> 10.0.0.11:8080                      0        0        0        0        0
        ",
    );
    // Whether a connection is open is no counter: it stays.
    assert_eq!(record.active.load(), 2);
}

#[test]
fn a_saved_configuration_is_restored() {
    let director = Director::new();
    check(
        &director,
        "
        $ -R
        < -A -t 192.0.2.10:80 -s dh
        < -a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1
        < -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 2
        = 0
        $ -Sn
        = 0
        > -A -t 192.0.2.10:80 -s dh
        > -a -t 192.0.2.10:80 -r 10.0.0.11:80 -m -w 1
        > -a -t 192.0.2.10:80 -r 10.0.0.12:80 -m -w 2
        $ -R
        < -A -t 192.0.2.10:80 -s dh
        < -A -t 192.0.2.11:80 -s lc
        = 0
        ! Service already exists
        ",
    );
    assert_eq!(director.tables.index().len(), 2);
}

#[test]
fn a_line_that_is_not_text_does_not_end_a_restore_unseen() {
    let director = Director::new();
    let lines = b"-A -t 192.0.2.10:80 -s rr\n-A -t \xff\xfe:80\n-A -t 192.0.2.11:80\n";
    let (code, _, error) = parts(&director.ipvsadm(&["-R"], lines));
    assert_eq!(code, 2, "{error}");
    assert!(!error.is_empty());
    assert_eq!(director.tables.index().len(), 1);
}

#[test]
fn a_wrong_command_line_is_refused_without_asking_the_director() {
    let nowhere = Path::new("/nonexistent/weir.sock");
    let rows: &[(&[&str], i32, &str)] = &[
        (
            &["-A"],
            2,
            "You need to supply the 'service-address' option for the 'add-service' command\n",
        ),
        (
            &["-A", "-t", "192.0.2.10:99999"],
            2,
            "illegal virtual server address[:port] specified\n",
        ),
    ];
    for (arguments, code, message) in rows {
        let arguments = [&["ipvsadm"], *arguments].concat();
        let (seen_code, output, error) = parts(&run(Path::new(BINARY), nowhere, &arguments, ""));
        assert_eq!(
            (seen_code, output.as_str()),
            (*code, ""),
            "{arguments:?}: {error}"
        );
        assert!(error.contains(message.trim_end()), "{arguments:?}: {error}");
    }
}

#[test]
fn nobody_on_the_socket_is_said_with_what_to_do() {
    let nowhere = Path::new("/nonexistent/weir.sock");
    for arguments in [&["-Ln"][..], &["-C"], &["-A", "-t", "192.0.2.10:80"]] {
        let arguments = [&["ipvsadm"], arguments].concat();
        let (code, output, error) = parts(&run(Path::new(BINARY), nowhere, &arguments, ""));
        assert_eq!((code, output.as_str()), (2, ""), "{arguments:?}");
        assert!(error.starts_with("Can't initialize ipvs: "), "{error}");
        assert!(error.contains("/nonexistent/weir.sock"), "{error}");
        assert!(error.contains("weir run"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn a_restore_into_nowhere_says_so_once() {
    let nowhere = Path::new("/nonexistent/weir.sock");
    let lines = "-A -t 192.0.2.10:80\n-A -t 192.0.2.11:80\n";
    let (code, _, error) = parts(&run(Path::new(BINARY), nowhere, &["ipvsadm", "-R"], lines));
    assert_eq!(code, 2);
    assert_eq!(error.lines().count(), 1, "{error}");
    let (code, _, error) = parts(&run(
        Path::new(BINARY),
        nowhere,
        &["ipvsadm-restore"],
        lines,
    ));
    assert_eq!(code, 2);
    assert_eq!(error.lines().count(), 1, "{error}");
}

#[test]
fn the_binary_is_the_scripts_under_their_names() {
    let director = Director::new();
    let named = |name: &str, arguments: &[&str], input: &str| {
        let link = director.directory().join(name);
        let _ = symlink(BINARY, &link);
        parts(&run(&link, &director.socket(), arguments, input))
    };
    let nothing = String::new;

    let lines = "# mine\n-A -t 192.0.2.10:80 -s rr\n";
    let restored = named("ipvsadm-restore", &["-n"], lines);
    assert_eq!(restored, (0, nothing(), nothing()));
    let lines = "-A -t 192.0.2.11:80 -s rr\n";
    let replaced = named("ipvsadm-restore", &[], lines);
    assert_eq!(replaced, (0, nothing(), nothing()));
    let saved = named("ipvsadm-save", &["-n"], "");
    assert_eq!(saved, (0, lines.to_owned(), nothing()));
    let (code, output, help) = named("ipvsadm-save", &["-h"], "");
    assert_eq!((code, output), (1, nothing()));
    assert!(help.starts_with("ipvsadm-save: "), "{help}");
}

#[test]
fn the_binary_is_ipvsadm_under_that_name() {
    let director = Director::new();
    let link = director.directory().join("ipvsadm");
    symlink(BINARY, &link).expect("a link");
    let ipvsadm = |arguments: &[&str]| parts(&run(&link, &director.socket(), arguments, ""));

    assert_eq!(
        ipvsadm(&["-A", "-t", "192.0.2.10:80", "-s", "rr"]),
        (0, String::new(), String::new())
    );
    assert_eq!(
        ipvsadm(&["-Sn"]),
        (0, "-A -t 192.0.2.10:80 -s rr\n".to_owned(), String::new())
    );
    let (code, help, _) = ipvsadm(&["-h"]);
    assert_eq!(code, 0);
    assert!(help.starts_with("ipvsadm v1.31"), "{help}");
    assert_eq!(director.tables.services().len(), 4);
}
