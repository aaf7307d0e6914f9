//! Does what was done to the real ipvsadm, and compares every byte and every exit code.

mod arguments;
mod fake;
mod files;
mod machine;
mod replay;
mod table;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use fake::FakeDirector;
use replay::{difference, run};
use table::Entry;
use weir_config::model::{Family, Protocol, ServiceKey};
use weir_ipvsadm::listing::{ConnectionListing, ConnectionProtocol, Counters, Rates};

#[test]
fn options() {
    compare("options", include_str!("recorded/options.txt"));
}

#[test]
fn addresses() {
    compare("addresses", include_str!("recorded/addresses.txt"));
}

#[test]
fn values() {
    compare("values", include_str!("recorded/values.txt"));
}

#[test]
fn restore() {
    compare("restore", include_str!("recorded/restore.txt"));
}

#[test]
fn legality() {
    compare("legality", include_str!("recorded/legality.txt"));
}

#[test]
fn scripts() {
    compare("scripts", include_str!("recorded/scripts.txt"));
}

#[test]
fn proc() {
    compare("proc", include_str!("recorded/proc.txt"));
}

#[test]
fn traffic() {
    compare("traffic", include_str!("recorded/traffic.txt"));
}

#[test]
fn random() {
    compare("random1", include_str!("recorded/random1.txt"));
    compare("random2", include_str!("recorded/random2.txt"));
}

#[test]
fn arguments() {
    let mut director = FakeDirector::default();
    let differences = arguments::differences(include_str!("recorded/arguments.txt"), |recorded| {
        run(&mut director, recorded)
    });
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
}

fn compare(name: &str, text: &str) {
    let entries = table::read(text);
    let mut director = FakeDirector::default();
    let mut differences = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        match entry {
            Entry::Fresh => director = FakeDirector::default(),
            Entry::Moment => {}
            Entry::Connection(line) => director.connections.extend(connection(line)),
            Entry::Invocation(recorded) => {
                learn_traffic(&mut director, &entries[index..]);
                if let Some(difference) = difference(&mut director, recorded) {
                    differences.push(format!("{name}.txt:{}: {difference}", recorded.line));
                }
            }
            Entry::File(recorded) => {
                if let Some(difference) = files::difference(&director, recorded) {
                    differences.push(format!("{name}.txt:{}: {difference}", recorded.line));
                }
            }
        }
    }
    assert!(
        differences.is_empty(),
        "{} differences\n{}",
        differences.len(),
        differences.join("\n")
    );
}

/// The fake director sees no packets: what packets did is taken from the exact listings of the same
/// moment, from which all the other listings of it then follow.
fn learn_traffic(director: &mut FakeDirector, following: &[Entry]) {
    let moment = following
        .iter()
        .take_while(|entry| matches!(entry, Entry::Invocation(_)))
        .filter_map(|entry| match entry {
            Entry::Invocation(recorded) => Some(recorded),
            Entry::Fresh | Entry::Moment | Entry::Connection(_) | Entry::File(_) => None,
        });
    for recorded in moment {
        let columns = match recorded
            .arguments
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()[..]
        {
            ["-L", "-n", "--stats", "--exact"] => Learnt::Counters,
            ["-L", "-n", "--rate", "--exact"] => Learnt::Rates,
            ["-L", "-n", "--persistent-conn"] => Learnt::Connections,
            _ => continue,
        };
        learn(director, columns, &recorded.stdout);
    }
}

#[derive(Clone, Copy)]
enum Learnt {
    Counters,
    Rates,
    Connections,
}

fn learn(director: &mut FakeDirector, columns: Learnt, listing: &str) {
    let mut current = None;
    for line in listing.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(key) = key_of_line(&words) {
            current = director
                .services
                .iter()
                .position(|service| service.key == key);
        }
        let Some(service) = current.and_then(|index| director.services.get_mut(index)) else {
            continue;
        };
        let numbers: Vec<u64> = words
            .iter()
            .skip(2)
            .filter_map(|word| word.parse().ok())
            .collect();
        let server = match words[..] {
            ["->", address, ..] => service
                .servers
                .iter_mut()
                .find(|server| server.address.to_string() == address),
            _ => None,
        };
        match (columns, server, &numbers[..]) {
            (
                Learnt::Counters,
                Some(server),
                &[connections, packets_in, packets_out, bytes_in, bytes_out],
            ) => {
                server.counters = Counters {
                    connections,
                    packets_in,
                    packets_out,
                    bytes_in,
                    bytes_out,
                };
            }
            (
                Learnt::Counters,
                None,
                &[connections, packets_in, packets_out, bytes_in, bytes_out],
            ) => {
                service.counters = Counters {
                    connections,
                    packets_in,
                    packets_out,
                    bytes_in,
                    bytes_out,
                };
            }
            (
                Learnt::Rates,
                Some(server),
                &[connections, packets_in, packets_out, bytes_in, bytes_out],
            ) => {
                server.rates = Rates {
                    connections,
                    packets_in,
                    packets_out,
                    bytes_in,
                    bytes_out,
                };
            }
            (Learnt::Rates, None, &[connections, packets_in, packets_out, bytes_in, bytes_out]) => {
                service.rates = Rates {
                    connections,
                    packets_in,
                    packets_out,
                    bytes_in,
                    bytes_out,
                };
            }
            (Learnt::Connections, Some(server), &[_, persistent, active, inactive]) => {
                let [persistent, active, inactive] =
                    [persistent, active, inactive].map(|number| u32::try_from(number).unwrap());
                server.persistent_connections = persistent;
                server.active_connections = active;
                server.inactive_connections = inactive;
            }
            (Learnt::Counters | Learnt::Rates | Learnt::Connections, _, _) => {}
        }
    }
}

/// The key that the first words of a line of a listing name.
fn key_of_line(words: &[&str]) -> Option<ServiceKey> {
    let protocol = match words {
        ["FWM", mark, ..] => {
            return Some(ServiceKey::FirewallMark {
                family: Family::V4,
                mark: mark.parse().ok()?,
            });
        }
        ["TCP", ..] => Protocol::Tcp,
        ["UDP", ..] => Protocol::Udp,
        ["SCTP", ..] => Protocol::Sctp,
        _ => return None,
    };
    Some(ServiceKey::Address {
        protocol,
        address: words.get(1)?.parse().ok()?,
    })
}

/// A line of `/proc/net/ip_vs_conn`; nothing for its title.
fn connection(line: &str) -> Option<ConnectionListing> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let protocol = match *words.first()? {
        "TCP" => ConnectionProtocol::Transport(Protocol::Tcp),
        "UDP" => ConnectionProtocol::Transport(Protocol::Udp),
        "IP" => ConnectionProtocol::Ip,
        _ => return None,
    };
    Some(ConnectionListing {
        protocol,
        client: hexadecimal(words[1], words[2]),
        virtual_address: hexadecimal(words[3], words[4]),
        destination: hexadecimal(words[5], words[6]),
        state: words[7].to_owned(),
        expires: words[8].parse().unwrap(),
        engine_data: match words[9..] {
            [engine, data] => Some((engine.to_owned(), data.to_owned())),
            _ => None,
        },
        synced: false,
    })
}

fn hexadecimal(address: &str, port: &str) -> SocketAddr {
    let address = address.parse().unwrap_or_else(|_| {
        IpAddr::V4(Ipv4Addr::from_bits(
            u32::from_str_radix(address, 16).unwrap(),
        ))
    });
    SocketAddr::new(address, u16::from_str_radix(port, 16).unwrap())
}
