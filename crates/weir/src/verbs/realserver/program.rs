//! The program that takes packets out of their tunnels, between what is decided and the kernel.

use std::net::IpAddr;
use std::path::Path;

use abi::realserver::{Meaning, Prepared, mapped};
use dataplane::realserver::{self as kernel, Decapsulator};
use host::{bpffs, interface};
use weir_abi as abi;
use weir_dataplane as dataplane;
use weir_host as host;
use weir_realserver::facts::Decapsulation;

use crate::exit::{Code, Failure, Outcome};
use crate::verbs::run::with_causes;

/// What the program there was told; nothing where there is none.
pub fn told(directory: &Path) -> Result<Option<Decapsulation>, Failure> {
    let state = kernel::state(directory).map_err(|error| failed(&error))?;
    Ok(state.map(|state| decapsulation(&state)))
}

/// Tells it that, and attaches it; whatever it was told before is gone.
pub fn tell(directory: &Path, told: &Decapsulation) -> Outcome {
    let held = bpffs::hold(directory).map_err(|error| Failure::new(Code::Machine, error))?;
    if held.fleeting {
        return Err(Failure::new(
            Code::Machine,
            format!(
                "the bpf file system for {} was mounted in a mount namespace that ends with this \
                 command, and the program would end with it: mount one before (`mount -t bpf bpf \
                 /sys/fs/bpf`), and enter the network namespace alone (`nsenter --net=FILE`)",
                directory.display()
            ),
        ));
    }
    let all = interface::all().map_err(|error| Failure::new(Code::Machine, error))?;
    let chosen = interface::select(&told.interfaces, &all)
        .map_err(|error| Failure::new(Code::Machine, error))?;
    if let Some(other) = chosen.iter().find(|one| !one.ethernet) {
        return Err(Failure::new(
            Code::Machine,
            format!(
                "{} is no Ethernet interface, and the program takes packets of no other",
                other.name
            ),
        ));
    }
    let mut program = Decapsulator::open(directory).map_err(|error| failed(&error))?;
    program
        .prepare(&prepared(told))
        .map_err(|error| failed(&error))?;
    for interface in &chosen {
        program
            .attach(interface.index, &interface.name)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Takes it out of the kernel.
pub fn remove(directory: &Path) -> Outcome {
    kernel::remove(directory)
        .map(drop)
        .map_err(|error| failed(&error))
}

fn failed(error: &dataplane::Error) -> Failure {
    Failure::new(Code::Failed, with_causes(error))
}

fn prepared(told: &Decapsulation) -> Vec<Prepared> {
    let virtual_addresses = told.virtual_addresses.iter();
    let here = told.here.iter();
    let ports = told.gue_ports.iter();
    virtual_addresses
        .map(|address| Prepared::virtual_address(words(*address)))
        .chain(here.map(|address| Prepared::here(words(*address))))
        .chain(ports.map(|port| Prepared::gue_port(port.to_be())))
        .collect()
}

/// What a program was told, in order.
pub fn decapsulation(state: &kernel::State) -> Decapsulation {
    let mut told = Decapsulation {
        interfaces: state
            .interfaces
            .iter()
            .filter_map(|one| one.1.clone())
            .collect(),
        ..Decapsulation::default()
    };
    for one in &state.prepared {
        match one.meaning() {
            Some(Meaning::Virtual(words)) => told.virtual_addresses.push(address(words)),
            Some(Meaning::Here(words)) => told.here.push(address(words)),
            Some(Meaning::GuePort(port)) => told.gue_ports.push(u16::from_be(port)),
            None => {}
        }
    }
    told.interfaces.sort();
    told.virtual_addresses.sort();
    told.here.sort();
    told.gue_ports.sort();
    told
}

/// An address as it lies in packets.
fn words(address: IpAddr) -> [u32; 4] {
    match address {
        IpAddr::V4(address) => mapped(u32::from_ne_bytes(address.octets())),
        IpAddr::V6(address) => {
            let octets = address.octets();
            std::array::from_fn(|i| {
                u32::from_ne_bytes(std::array::from_fn(|byte| octets[i * 4 + byte]))
            })
        }
    }
}

fn address(words: [u32; 4]) -> IpAddr {
    let mut octets = [0; 16];
    for (place, word) in octets.chunks_exact_mut(4).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    IpAddr::from(octets).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_can_be_read_again() {
        let told = Decapsulation {
            interfaces: vec![],
            virtual_addresses: ["192.0.2.10", "2001:db8::1:10"]
                .map(|text| text.parse().expect("an address"))
                .into(),
            here: vec!["10.0.0.11".parse().expect("an address")],
            gue_ports: vec![6080, 7000],
        };
        let state = kernel::State {
            interfaces: vec![],
            prepared: prepared(&told),
            decapsulations: vec![],
        };
        assert_eq!(decapsulation(&state), told);
    }

    #[test]
    fn addresses_are_as_they_lie() {
        let address = "192.0.2.10".parse().expect("an address");
        let bytes = words(address).map(u32::to_ne_bytes).concat();
        assert_eq!(
            bytes,
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 10]
        );
    }
}
