//! The names of the machine on which the tables were recorded: see `recorded/record.sh`.

use std::net::{IpAddr, Ipv4Addr};

use weir_config::model::Protocol;
use weir_ipvsadm::Names;

/// The `/etc/hosts` and `/etc/services` of the machine on which the tables were recorded.
pub struct RecordedNames;

const HOSTS: &[(&str, &[&str])] = &[
    ("127.0.0.1", &["localhost"]),
    ("::1", &["localhost6"]),
    ("192.0.2.10", &["web.example", "web"]),
    (
        "198.51.100.7",
        &["a-real-server-with-a-very-long-name.example.net"],
    ),
    (
        "198.51.100.8",
        &["a-name-that-is-longer-than-the-fifty-nine-bytes-that-ipvsadm-has.example.net"],
    ),
    (
        "2001:db8::81",
        &["a-name-that-is-longer-than-the-fifty-nine-bytes-that-ipvsadm-has6.example.net"],
    ),
    ("192.0.2.33", &["exactly-twenty-one.ab"]),
    ("2001:db8::80", &["six.example"]),
];

const SERVICES: &[(&str, u16, Protocol)] = &[
    ("ssh", 22, Protocol::Tcp),
    ("domain", 53, Protocol::Tcp),
    ("domain", 53, Protocol::Udp),
    ("http", 80, Protocol::Tcp),
    ("https", 443, Protocol::Tcp),
    ("https", 443, Protocol::Udp),
    ("ntp", 123, Protocol::Udp),
    ("diameter", 3868, Protocol::Sctp),
];

impl Names for RecordedNames {
    fn address_of(&self, host: &str) -> Option<Ipv4Addr> {
        HOSTS
            .iter()
            .filter(|(_, names)| names.iter().any(|name| name.eq_ignore_ascii_case(host)))
            .find_map(|(address, _)| address.parse().ok())
    }

    fn port_of(&self, service: &str, protocol: Protocol) -> Option<u16> {
        SERVICES
            .iter()
            .find(|(name, _, of)| *name == service && *of == protocol)
            .map(|&(_, port, _)| port)
    }

    fn host_of(&self, address: IpAddr) -> Option<String> {
        HOSTS
            .iter()
            .find(|(text, _)| text.parse() == Ok(address))
            .map(|(_, names)| names[0].to_owned())
    }

    fn service_of(&self, port: u16, protocol: Protocol) -> Option<String> {
        SERVICES
            .iter()
            .find(|&&(_, number, of)| number == port && of == protocol)
            .map(|&(name, ..)| name.to_owned())
    }
}
