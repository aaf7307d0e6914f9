//! Bad files and everything that is said about them.

#[path = "diagnostics/services.rs"]
mod services;

use weir_config::file::parse;

fn said(text: &str) -> String {
    match parse(text, "weir.toml") {
        Ok(config) => format!("accepted: {config:?}"),
        Err(diagnostics) => {
            let shown: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
            shown.join("\n\n")
        }
    }
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let (said, expected) = (said(text), expected.trim_start_matches('\n').trim_end());
    assert!(said == expected, "said:\n{said}\n\nexpected:\n{expected}");
}

#[test]
fn a_file_that_is_not_toml() {
    check(
        r#"[director
mode = "auto"

[tables]
connections = 
"#,
        r#"
error: this is not TOML
 --> weir.toml:1:10
  |
1 | [director
  |          ^ unclosed table, expected `]`

error: this is not TOML
 --> weir.toml:5:15
  |
5 | connections = 
  |               ^ string values must be quoted, expected literal string
"#,
    );
}

#[test]
fn a_key_that_is_there_twice() {
    check(
        r#"[director]
mode = "auto"
mode = "tc"
"#,
        r#"
error: this is not TOML
 --> weir.toml:3:1
  |
3 | mode = "tc"
  | ^^^^ duplicate key
"#,
    );
}

#[test]
fn unknown_keys() {
    check(
        r#"[director]
soket = "/run/weir.sock"
frobnicate = 1

[directr]

[[service]]
listen = ["tcp 192.0.2.10:80"]
schedular = "rr"
forward = "nat"
server = [{ adress = "10.0.0.11" }]
"#,
        r#"
error: [director] has no key `soket`
 --> weir.toml:2:1
  |
2 | soket = "/run/weir.sock"
  | ^^^^^ did you mean `socket`?

error: [director] has no key `frobnicate`
 --> weir.toml:3:1
  |
3 | frobnicate = 1
  | ^^^^^^^^^^ expected `interfaces`, `mode`, `socket`, `bpffs`, `state`, `audit`, `by_hand`, `watch` or `local_clients`

error: weir.toml has no key `directr`
 --> weir.toml:5:2
  |
5 | [directr]
  |  ^^^^^^^ did you mean `director`?

error: [[service]] has no key `schedular`
 --> weir.toml:9:1
  |
9 | schedular = "rr"
  | ^^^^^^^^^ did you mean `scheduler`?

error: a real server has no key `adress`
  --> weir.toml:11:13
   |
11 | server = [{ adress = "10.0.0.11" }]
   |             ^^^^^^ did you mean `address`?
"#,
    );
}

#[test]
fn what_does_not_go_together() {
    check(
        r#"[sysctl]
drop_enrty = 1

[[mark]]
destination = "192.0.2.1/24"

[[service]]
listen = ["tcp 192.0.2.10:80", "tcp 192.0.2.10:0"]
flags = ["mh-port"]
netmask = "255.255.255.0"
one_packet = true
forward = "dr"
server = [
  { address = "10.0.0.11:8080" },
  { address = "10.0.0.12", tunnel = { type = "ipip" } },
  { address = "10.0.0.13", forward = "tun", tunnel = { type = "gue" } },
  { address = "10.0.0.14", forward = "tun", tunnel = { type = "gre", checksum = "remote" } },
  { address = "10.0.0.15", upper_threshold = 3, lower_threshold = 4 },
]
"#,
        r#"
error: [sysctl] has no key `drop_enrty`
 --> weir.toml:2:1
  |
2 | drop_enrty = 1
  | ^^^^^^^^^^ did you mean `drop_entry`?

error: this rule has no `mark`
 --> weir.toml:4:1
  |
4 | [[mark]]
  | ^^^^^^^^ expected `mark = 7`

error: `192.0.2.1/24` is no `destination`
 --> weir.toml:5:15
  |
5 | destination = "192.0.2.1/24"
  |               ^^^^^^^^^^^^^^ expected an address or a prefix, like `192.0.2.10` or `2001:db8::/64`

error: a service on all ports (port 0) has to be persistent
 --> weir.toml:8:32
  |
8 | listen = ["tcp 192.0.2.10:80", "tcp 192.0.2.10:0"]
  |                                ^^^^^^^^^^^^^^^^^^ add `persistence = 360`, or name a port from 1 to 65535

error: scheduler `wlc` has no flag `mh-port`
 --> weir.toml:9:10
  |
9 | flags = ["mh-port"]
  |          ^^^^^^^^^ expected `flag-1`, `flag-2` or `flag-3`

error: `netmask` says which clients are one, but this service is not persistent
  --> weir.toml:10:11
   |
10 | netmask = "255.255.255.0"
   |           ^^^^^^^^^^^^^^^ add `persistence = 360`, or leave it out

error: `one_packet` is for UDP, and this service listens on tcp:192.0.2.10:80
  --> weir.toml:11:14
   |
11 | one_packet = true
   |              ^^^^ leave it out, or put that service into a section of its own

error: `dr` changes no port: packets to tcp:192.0.2.10:80 reach 10.0.0.11 at port 80
  --> weir.toml:14:15
   |
14 |   { address = "10.0.0.11:8080" },
   |               ^^^^^^^^^^^^^^^^ leave the port out

error: `dr` changes no port: packets to tcp:192.0.2.10:0 reach 10.0.0.11 at port 0
  --> weir.toml:14:15
   |
14 |   { address = "10.0.0.11:8080" },
   |               ^^^^^^^^^^^^^^^^ leave the port out

error: `tunnel` does not go with `dr`
  --> weir.toml:15:37
   |
15 |   { address = "10.0.0.12", tunnel = { type = "ipip" } },
   |                                     ^^^^^^^^^^^^^^^^^ expected `forward = "tun"` beside it

error: this tunnel of gue has no port
  --> weir.toml:16:54
   |
16 |   { address = "10.0.0.13", forward = "tun", tunnel = { type = "gue" } },
   |                                                      ^^^^^^^^^^^^^^^^ expected `port = 6080`

error: a tunnel of gre has no `remote` checksum
  --> weir.toml:17:81
   |
17 |   { address = "10.0.0.14", forward = "tun", tunnel = { type = "gre", checksum = "remote" } },
   |                                                                                 ^^^^^^^^ only gue has `remote`, and ipip has none

error: the lower threshold is above the upper one, which is 3
  --> weir.toml:18:67
   |
18 |   { address = "10.0.0.15", upper_threshold = 3, lower_threshold = 4 },
   |                                                                   ^ expected a whole number from 0 to 3
"#,
    );
}

#[test]
fn keys_that_are_still_to_come() {
    check(
        r#"[sync]

[[service]]
listen = ["tcp 192.0.2.10:80"]
forward = "nat"
check = { http = "/healthz" }
"#,
        r#"
error: `sync` in weir.toml is known but still to come
 --> weir.toml:1:2
  |
1 | [sync]
  |  ^^^^ this version of Weir cannot do it; leave it out
"#,
    );
}

#[test]
fn wrong_types() {
    check(
        r#"director = 7
service = "web"

[tables]
connections = "many"

[timeouts]
tcp = 1.5
"#,
        r#"
error: [director] is a whole number
 --> weir.toml:1:12
  |
1 | director = 7
  |            ^ expected a table

error: `service` is a string
 --> weir.toml:2:11
  |
2 | service = "web"
  |           ^^^^^ expected sections that begin with [[service]]

error: `connections` is a string
 --> weir.toml:5:15
  |
5 | connections = "many"
  |               ^^^^^^ expected a whole number from 1 to 1073741824

error: `tcp` is a number with a fraction
 --> weir.toml:8:7
  |
8 | tcp = 1.5
  |       ^^^ expected a whole number from 1 to 2678400
"#,
    );
}

#[test]
fn wrong_types_in_a_service() {
    check(
        r#"[[service]]
name = 7
listen = "tcp 192.0.2.10:80"
scheduler = ["rr"]
forward = true
server = { address = "10.0.0.11" }

[[service]]
listen = [80]
forward = "nat"
server = ["10.0.0.11", { address = 7, weight = "1" }]
"#,
        r#"
error: `name` is a whole number
 --> weir.toml:2:8
  |
2 | name = 7
  |        ^ expected a string

error: `listen` is a string
 --> weir.toml:3:10
  |
3 | listen = "tcp 192.0.2.10:80"
  |          ^^^^^^^^^^^^^^^^^^^ expected a list like ["tcp 192.0.2.10:80"]

error: `scheduler` is a list
 --> weir.toml:4:13
  |
4 | scheduler = ["rr"]
  |             ^^^^^^ expected a string

error: `forward` is a truth value
 --> weir.toml:5:11
  |
5 | forward = true
  |           ^^^^ expected a string

error: `server` is a table
 --> weir.toml:6:10
  |
6 | server = { address = "10.0.0.11" }
  |          ^^^^^^^^^^^^^^^^^^^^^^^^^ expected a list of tables like [{ address = "10.0.0.11:8080", weight = 1 }]

error: an entry of `listen` is a whole number
 --> weir.toml:9:11
  |
9 | listen = [80]
  |           ^^ expected a list like ["tcp 192.0.2.10:80"]

error: a real server is a string
  --> weir.toml:11:11
   |
11 | server = ["10.0.0.11", { address = 7, weight = "1" }]
   |           ^^^^^^^^^^^ expected a table

error: `address` is a whole number
  --> weir.toml:11:36
   |
11 | server = ["10.0.0.11", { address = 7, weight = "1" }]
   |                                    ^ expected a string

error: `weight` is a string
  --> weir.toml:11:48
   |
11 | server = ["10.0.0.11", { address = 7, weight = "1" }]
   |                                                ^^^ expected a whole number from 0 to 2147483647
"#,
    );
}

#[test]
fn wrong_values_of_the_director() {
    check(
        r#"[director]
interfaces = ["eth0", "eth0", "", "a/b", "an-interface-with-a-long-name"]
mode = "xpd"
socket = "weir.sock"
"#,
        r#"
error: interface `eth0` is there twice
 --> weir.toml:2:23
  |
2 | interfaces = ["eth0", "eth0", "", "a/b", "an-interface-with-a-long-name"]
  |               ------  ^^^^^^ here again
  |               |
  |               first here

error: `` cannot be the name of an interface
 --> weir.toml:2:31
  |
2 | interfaces = ["eth0", "eth0", "", "a/b", "an-interface-with-a-long-name"]
  |                               ^^ expected 1 to 15 characters, no space and no `/`

error: `a/b` cannot be the name of an interface
 --> weir.toml:2:35
  |
2 | interfaces = ["eth0", "eth0", "", "a/b", "an-interface-with-a-long-name"]
  |                                   ^^^^^ expected 1 to 15 characters, no space and no `/`

error: `an-interface-with-a-long-name` cannot be the name of an interface
 --> weir.toml:2:42
  |
2 | interfaces = ["eth0", "eth0", "", "a/b", "an-interface-with-a-long-name"]
  |                                          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ expected 1 to 15 characters, no space and no `/`

error: there is no mode `xpd`
 --> weir.toml:3:8
  |
3 | mode = "xpd"
  |        ^^^^^ did you mean `xdp`?

error: `socket` is no absolute path
 --> weir.toml:4:10
  |
4 | socket = "weir.sock"
  |          ^^^^^^^^^^^ expected a path that begins with `/`
"#,
    );
}

#[test]
fn numbers_out_of_their_range() {
    check(
        r#"[tables]
services = 0
connections = 1_073_741_825

[timeouts]
tcp = -1
udp = 2678401

[sysctl]
drop_entry = 4
sync_threshold = "50 50"
"#,
        r#"
error: `services` is out of its range
 --> weir.toml:2:12
  |
2 | services = 0
  |            ^ expected a whole number from 1 to 1073741824

error: `connections` is out of its range
 --> weir.toml:3:15
  |
3 | connections = 1_073_741_825
  |               ^^^^^^^^^^^^^ expected a whole number from 1 to 1073741824

error: `tcp` is out of its range
 --> weir.toml:6:7
  |
6 | tcp = -1
  |       ^^ expected a whole number from 1 to 2678400

error: `udp` is out of its range
 --> weir.toml:7:7
  |
7 | udp = 2678401
  |       ^^^^^^^ expected a whole number from 1 to 2678400

error: `drop_entry` cannot be 4
  --> weir.toml:10:14
   |
10 | drop_entry = 4
   |              ^ expected a whole number from 0 to 3

error: `sync_threshold` cannot be 50 50
  --> weir.toml:11:18
   |
11 | sync_threshold = "50 50"
   |                  ^^^^^^^ expected two whole numbers like `3 50`, the first below the second or the second 0
"#,
    );
}

#[test]
fn a_place_behind_letters_of_several_bytes() {
    check(
        r#"[[service]]
name = "größe"; listen = 1
"#,
        r#"
error: this is not TOML
 --> weir.toml:2:15
  |
2 | name = "größe"; listen = 1
  |               ^ unexpected key or value, expected newline, `#`
"#,
    );
}

#[test]
fn a_place_in_a_line_with_letters_of_several_bytes() {
    check(
        r#"[[service]]
listen = ["tcp 192.0.2.10:80"]
forward = "nat"
server = [{ address = "größe" }, { address = "web" }]
"#,
        r#"
error: `größe` is no real server's address
 --> weir.toml:4:23
  |
4 | server = [{ address = "größe" }, { address = "web" }]
  |                       ^^^^^^^ expected an address, with or without a port, like `10.0.0.11:8080` or `[2001:db8::11]:8080`

error: `web` is no real server's address
 --> weir.toml:4:46
  |
4 | server = [{ address = "größe" }, { address = "web" }]
  |                                              ^^^^^ expected an address, with or without a port, like `10.0.0.11:8080` or `[2001:db8::11]:8080`
"#,
    );
}

#[test]
fn a_diagnostic_says_its_place_in_numbers_too() {
    let found = parse("[director]\n  mode = \"größe\"\n", "weir.toml").unwrap_err();
    assert_eq!((found[0].line, found[0].column), (2, 10));
    assert_eq!(found[0].file, "weir.toml");
    assert_eq!(found[0].message, "there is no mode `größe`");
    assert_eq!(
        found[0].expected,
        "expected `auto`, `xdp`, `xdp-generic` or `tc`"
    );
}

/// A generated file is wrong in many places at once: finding each must not mean reading all of it.
#[test]
fn ten_thousand_mistakes_in_a_large_file_are_all_found() {
    let wrong = "[[service]]\nlisten = [\"tcp 192.0.2.10\"]\nforward = \"nat\"\n";
    let found = parse(&wrong.repeat(10_000), "weir.toml").unwrap_err();
    assert_eq!(found.len(), 10_000);
    assert_eq!((found[9_999].line, found[9_999].column), (29_999, 11));
    let shown = found[9_999].to_string();
    assert!(
        shown.contains("29999 | listen = [\"tcp 192.0.2.10\"]"),
        "{shown}"
    );
}
