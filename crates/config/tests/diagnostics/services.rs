//! What is wrong in services and real servers.

use super::check;

#[test]
fn names_that_nothing_has() {
    check(
        r#"[[service]]
listen = ["tcp 192.0.2.10:80"]
scheduler = "wlcc"
forward = "masq"
"#,
        r#"
error: there is no scheduler `wlcc`
 --> weir.toml:3:13
  |
3 | scheduler = "wlcc"
  |             ^^^^^^ did you mean `wlc`?

error: there is no forwarding method `masq`
 --> weir.toml:4:11
  |
4 | forward = "masq"
  |           ^^^^^^ expected `nat`, `dr`, `tun` or `fullnat`
"#,
    );
}

#[test]
fn wrong_virtual_addresses() {
    check(
        r#"[[service]]
forward = "nat"
listen = [
  "192.0.2.10:80",
  "tcp 192.0.2.10",
  "tcp 192.0.2.300:80",
  "tcp 192.0.2.10:65536",
  "tcp 2001:db8::10:80",
  "tcp 192.0.2.10:80 rr",
  "udp 192.0.2.10:0",
  "icmp 192.0.2.10:80",
  "fwmark 0",
]
"#,
        r#"
error: `192.0.2.10:80` is no virtual service
 --> weir.toml:4:3
  |
4 |   "192.0.2.10:80",
  |   ^^^^^^^^^^^^^^^ expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`

error: `tcp 192.0.2.10` has no port
 --> weir.toml:5:3
  |
5 |   "tcp 192.0.2.10",
  |   ^^^^^^^^^^^^^^^^ expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`

error: `tcp 192.0.2.300:80` is no virtual service
 --> weir.toml:6:3
  |
6 |   "tcp 192.0.2.300:80",
  |   ^^^^^^^^^^^^^^^^^^^^ expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`

error: `tcp 192.0.2.10:65536` is no virtual service
 --> weir.toml:7:3
  |
7 |   "tcp 192.0.2.10:65536",
  |   ^^^^^^^^^^^^^^^^^^^^^^ expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`

error: `tcp 2001:db8::10:80` has no port
 --> weir.toml:8:3
  |
8 |   "tcp 2001:db8::10:80",
  |   ^^^^^^^^^^^^^^^^^^^^^ expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`

error: `tcp 192.0.2.10:80 rr` is no virtual service
 --> weir.toml:9:3
  |
9 |   "tcp 192.0.2.10:80 rr",
  |   ^^^^^^^^^^^^^^^^^^^^^^ expected protocol, address and port, like `tcp 192.0.2.10:80` or `udp [2001:db8::1]:53`, or `fwmark 7`

error: a service on all ports (port 0) has to be persistent
  --> weir.toml:10:3
   |
10 |   "udp 192.0.2.10:0",
   |   ^^^^^^^^^^^^^^^^^^ add `persistence = 360`, or name a port from 1 to 65535

error: there is no protocol `icmp`
  --> weir.toml:11:3
   |
11 |   "icmp 192.0.2.10:80",
   |   ^^^^^^^^^^^^^^^^^^^^ expected `tcp`, `udp` or `sctp`, or `fwmark`

error: `0` is no firewall mark
  --> weir.toml:12:3
   |
12 |   "fwmark 0",
   |   ^^^^^^^^^^ expected a whole number from 1 to 4294967295
"#,
    );
}

#[test]
fn wrong_real_servers() {
    check(
        r#"[[service]]
listen = ["tcp 192.0.2.10:80"]
forward = "nat"
server = [
  { address = "web1" },
  { address = "10.0.0.11:0" },
  { address = "224.0.0.1:80" },
  { address = "2001:db8::11" },
  { weight = 3 },
  { address = "10.0.0.12", weight = 2147483648 },
]
"#,
        r#"
error: `web1` is no real server's address
 --> weir.toml:5:15
  |
5 |   { address = "web1" },
  |               ^^^^^^ expected an address, with or without a port, like `10.0.0.11:8080` or `[2001:db8::11]:8080`

error: `10.0.0.11:0` has port 0
 --> weir.toml:6:15
  |
6 |   { address = "10.0.0.11:0" },
  |               ^^^^^^^^^^^^^ leave the port out for the port of the service

error: 224.0.0.1 cannot be a real server
 --> weir.toml:7:15
  |
7 |   { address = "224.0.0.1:80" },
  |               ^^^^^^^^^^^^^^ expected the address of one host, not link-local

error: 2001:db8::11 has no virtual service of its family
 --> weir.toml:8:15
  |
8 |   { address = "2001:db8::11" },
  |               ^^^^^^^^^^^^^^ expected an IPv4 address, or an IPv6 address in `listen`

error: this real server has no address
 --> weir.toml:9:3
  |
9 |   { weight = 3 },
  |   ^^^^^^^^^^^^^^ expected `address = "10.0.0.11:8080"`

error: `weight` is out of its range
  --> weir.toml:10:37
   |
10 |   { address = "10.0.0.12", weight = 2147483648 },
   |                                     ^^^^^^^^^^ expected a whole number from 0 to 2147483647
"#,
    );
}

#[test]
fn services_and_servers_that_are_there_twice() {
    check(
        r#"[[service]]
listen = ["tcp 192.0.2.10:80", "udp 192.0.2.10:80"]
forward = "nat"
server = [
  { address = "10.0.0.11" },
  { address = "10.0.0.11:80" },
]

[[service]]
listen = ["tcp 192.0.2.10:80"]
forward = "nat"
"#,
        r#"
error: real server 10.0.0.11:80 is there twice
 --> weir.toml:6:15
  |
5 |   { address = "10.0.0.11" },
  |               ----------- first here
6 |   { address = "10.0.0.11:80" },
  |               ^^^^^^^^^^^^^^ here again

error: virtual service tcp:192.0.2.10:80 is there twice
  --> weir.toml:10:11
   |
 2 | listen = ["tcp 192.0.2.10:80", "udp 192.0.2.10:80"]
   |           ------------------- first here
...
10 | listen = ["tcp 192.0.2.10:80"]
   |           ^^^^^^^^^^^^^^^^^^^ here again
"#,
    );
}

#[test]
fn services_that_lack_something() {
    check(
        r#"[[service]]

[[service]]
listen = []
forward = "nat"
"#,
        r#"
error: this service does not say how packets reach its real servers
 --> weir.toml:1:1
  |
1 | [[service]]
  | ^^^^^^^^^^^ expected `forward = "nat"`

error: this service listens nowhere
 --> weir.toml:1:1
  |
1 | [[service]]
  | ^^^^^^^^^^^ expected `listen = ["tcp 192.0.2.10:80"]`

error: this service listens nowhere
 --> weir.toml:4:10
  |
4 | listen = []
  |          ^^ expected `listen = ["tcp 192.0.2.10:80"]`
"#,
    );
}
