//! What the kernel is told to do with packets that are not for itself.

use std::fs;
use std::io;
use std::path::PathBuf;

use config::model::Family;
use weir_config as config;

/// Whether the kernel forwards packets of this family that come in by this interface. The packet
/// programs ask the kernel for routes, and it gives none where it does not forward.
pub fn forwards(family: Family, interface: &str) -> io::Result<bool> {
    let path: PathBuf = [
        "/proc/sys/net",
        directory(family),
        "conf",
        interface,
        "forwarding",
    ]
    .iter()
    .collect();
    Ok(fs::read_to_string(path)?.trim() != "0")
}

/// The first port that anybody may listen on.
pub fn unprivileged_port_start() -> io::Result<u32> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")?;
    text.trim().parse().map_err(io::Error::other)
}

/// The processors that are online, as the kernel lists them.
pub fn online_processors() -> io::Result<String> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    Ok(text.trim().to_owned())
}

/// Lets the kernel take packets from this machine's own addresses where it sends them to itself.
pub fn accept_own_addresses_on_loopback() -> io::Result<()> {
    fs::write("/proc/sys/net/ipv4/conf/lo/accept_local", "1")
}

/// The command that makes the kernel forward packets of this family.
pub const fn remedy(family: Family) -> &'static str {
    match family {
        Family::V4 => "sysctl -w net.ipv4.ip_forward=1",
        Family::V6 => "sysctl -w net.ipv6.conf.all.forwarding=1",
    }
}

const fn directory(family: Family) -> &'static str {
    match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_can_be_asked_and_a_missing_interface_is_an_error() {
        forwards(Family::V4, "lo").expect("every namespace has lo");
        forwards(Family::V4, "no such interface").expect_err("there is none");
    }
}
