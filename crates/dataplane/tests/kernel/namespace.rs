//! The rows' network, in a namespace of its own that ends with its thread.

use std::fs;
use std::process::Command;
use std::thread;

use weir_rows::network::{DIRECTOR, Family, Link, STATIONS};

/// Runs something in such a namespace.
pub fn inside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = thread::spawn(move || {
        // SAFETY: a call without pointers; it moves this thread alone.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(
            done, 0,
            "these tests need root: they make a network namespace"
        );
        build();
        work()
    });
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// The name of a link of the director.
pub fn name(link: Link) -> &'static str {
    match link {
        Link::Outside => "outside",
        Link::Inside => "inside",
        Link::Narrow => "narrow",
    }
}

/// The index of a link of the director.
pub fn index(link: Link) -> u32 {
    let name = std::ffi::CString::new(name(link)).expect("no zero inside");
    // SAFETY: a terminated string that outlives the call.
    unsafe { libc::if_nametoindex(name.as_ptr()) }
}

fn build() {
    set("net/ipv4/ip_forward", "1");
    set("net/ipv6/conf/all/forwarding", "1");
    // Nobody there speaks of itself.
    set("net/ipv6/conf/default/router_solicitations", "0");
    for link in Link::ALL {
        let (name, mtu) = (name(link), link.mtu().to_string());
        let (mac, peer) = (mac(link.station()), format!("{name}-peer"));
        ip(&[
            "link", "add", name, "address", &mac, "mtu", &mtu, "type", "veth", "peer", "name",
            &peer,
        ]);
        set(&format!("net/ipv6/conf/{peer}/disable_ipv6"), "1");
        for device in [&peer, name] {
            ip(&["link", "set", device, "up"]);
        }
        for family in Family::ALL {
            let length = match family {
                Family::V4 => 24,
                Family::V6 => 64,
            };
            let address = format!("{}/{length}", link.address(family, DIRECTOR));
            ip(&["address", "add", &address, "dev", name, "nodad"]);
            for station in STATIONS {
                let address = link.address(family, station).to_string();
                let neighbour = self::mac(link.neighbour());
                ip(&[
                    "neighbour",
                    "add",
                    &address,
                    "lladdr",
                    &neighbour,
                    "dev",
                    name,
                ]);
            }
        }
    }
}

fn set(name: &str, value: &str) {
    let path = format!("/proc/sys/{name}");
    fs::write(&path, value).unwrap_or_else(|error| panic!("{path}: {error}"));
}

fn ip(arguments: &[&str]) {
    // No nodad for IPv4.
    let is_ipv4 = arguments[0] == "address" && !arguments[2].contains(':');
    let arguments = arguments
        .iter()
        .filter(|argument| !(is_ipv4 && **argument == "nodad"));
    let mut command = Command::new("ip");
    command.args(arguments);
    let status = command.status().expect("the program ip is there");
    assert!(status.success(), "{command:?} failed");
}

fn mac(address: [u8; 6]) -> String {
    address.map(|byte| format!("{byte:02x}")).join(":")
}
