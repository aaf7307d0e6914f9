//! Which hook takes the packets of an interface, and why: a decision without effects.
//!
//! XDP is for network cards. It pays only where frames can be sent out of every other interface of
//! the director by XDP too, since what XDP cannot send it leaves to TC, having looked at it in vain.
//! TC is for everything that hands over big offloaded segments: veth, virtual machines' cards,
//! bridges, VLANs.

use std::fmt;

use config::file::Mode;
use weir_config as config;

use crate::interface::{Interface, Kind};

/// The hook that takes the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// XDP in the driver, with TC behind it.
    Xdp,
    /// XDP in the kernel's generic hook, with TC behind it.
    XdpGeneric,
    /// TC alone.
    Tc,
}

/// What was chosen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The hook.
    pub hook: Hook,
    /// Why, as `weir status` shows it.
    pub reason: String,
}

/// Why what was asked for is impossible.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{interface}: {reason}")]
pub struct Refusal {
    /// Which interface.
    pub interface: String,
    /// Why, and what to do.
    pub reason: String,
}

/// Chooses the hook for `interface`, one of `all` interfaces of the director.
pub fn choose(wanted: Mode, interface: &Interface, all: &[Interface]) -> Result<Choice, Refusal> {
    if !interface.ethernet {
        return Err(refusal(
            interface,
            "its packets have no Ethernet header, which Weir needs",
        ));
    }
    match wanted {
        Mode::Auto => Ok(automatic(interface, all)),
        Mode::Xdp => match without_native_xdp(interface) {
            Some(why) => Err(refusal(
                interface,
                &format!("{why}: use mode xdp-generic, tc or auto"),
            )),
            None => Ok(choice(Hook::Xdp, "told so".to_owned())),
        },
        Mode::XdpGeneric => Ok(choice(Hook::XdpGeneric, "told so".to_owned())),
        Mode::Tc => Ok(choice(Hook::Tc, "told so".to_owned())),
    }
}

/// Whether XDP frames can be sent out of this interface, as the packet programs have to know it.
pub fn transmits_now(interface: &Interface) -> bool {
    match interface.transmits_xdp {
        Some(transmits) => transmits,
        None => is_network_card(interface) && has_transmitting_driver(interface),
    }
}

fn automatic(interface: &Interface, all: &[Interface]) -> Choice {
    let name = &interface.name;
    if let Some(why) = better_with_tc(interface) {
        return choice(Hook::Tc, format!("{name} is {why}"));
    }
    if let Some(why) = without_native_xdp(interface) {
        return choice(Hook::Tc, format!("{name}: {why}"));
    }
    let mute = all.iter().find(|other| !will_transmit(other));
    match mute {
        Some(other) if other.index == interface.index => choice(
            Hook::Tc,
            format!(
                "the driver of {name} ({}) cannot send XDP frames",
                driver(interface)
            ),
        ),
        Some(other) => choice(
            Hook::Tc,
            format!("{name} has XDP, but {} cannot send XDP frames", other.name),
        ),
        None => choice(
            Hook::Xdp,
            format!(
                "{name} is a network card whose driver ({}) has XDP",
                driver(interface)
            ),
        ),
    }
}

/// What the interface is, if that is something for which TC is better even where XDP is possible.
fn better_with_tc(interface: &Interface) -> Option<&'static str> {
    match &interface.kind {
        Kind::Device => match interface.driver.as_deref() {
            Some("virtio_net" | "vmxnet3" | "hv_netvsc" | "xen_netfront" | "vif") => {
                Some("a virtual machine's card: XDP would cost its segment offloads")
            }
            Some(_) => None,
            None => Some("not a network card with a driver"),
        },
        Kind::Loopback => Some("the loopback interface"),
        Kind::Veth => Some("a veth: XDP would cost its segment offloads"),
        Kind::Vlan => Some("a VLAN: its packets pass the XDP hook of the interface below"),
        Kind::Bridge => Some("a bridge"),
        Kind::Bond => Some("a bond"),
        Kind::Other(_) => Some("not a network card"),
    }
}

/// Why the driver cannot run an XDP program, if it cannot. Where nothing is known, attaching tells.
fn without_native_xdp(interface: &Interface) -> Option<String> {
    match interface.runs_xdp {
        Some(true) => None,
        Some(false) => Some(format!("its driver ({}) has no XDP", driver(interface))),
        None => match &interface.kind {
            Kind::Device if has_transmitting_driver(interface) => None,
            Kind::Device => Some(format!(
                "its driver ({}) is not known to have XDP",
                driver(interface)
            )),
            Kind::Veth | Kind::Bond => None,
            kind @ (Kind::Loopback | Kind::Vlan | Kind::Bridge | Kind::Other(_)) => Some(format!(
                "an interface of kind {} has no native XDP",
                kind.name()
            )),
        },
    }
}

/// Whether XDP frames can be sent out of the interface once it has an XDP program itself: several
/// drivers (ice, i40e, mlx5) only make the queues for it then, and only then report it.
fn will_transmit(interface: &Interface) -> bool {
    interface.transmits_xdp == Some(true)
        || is_network_card(interface)
            && interface.runs_xdp != Some(false)
            && has_transmitting_driver(interface)
}

fn is_network_card(interface: &Interface) -> bool {
    interface.kind == Kind::Device
}

/// Whether the driver is one of those with `ndo_xdp_xmit` (Linux 6.1 to 6.18).
fn has_transmitting_driver(interface: &Interface) -> bool {
    const DRIVERS: [&str; 28] = [
        "atlantic",
        "bnxt_en",
        "dpaa_eth",
        "ena",
        "fec",
        "fsl_dpaa2_eth",
        "fsl_enetc",
        "funeth",
        "gve",
        "hv_netvsc",
        "i40e",
        "ice",
        "igb",
        "igc",
        "ixgbe",
        "mana",
        "mlx5_core",
        "mtk_soc_eth",
        "mvneta",
        "mvpp2",
        "netsec",
        "qede",
        "rvu_nicpf",
        "sfc",
        "st_gmac",
        "tsnep",
        "virtio_net",
        "vmxnet3",
    ];
    interface
        .driver
        .as_deref()
        .is_some_and(|driver| DRIVERS.contains(&driver))
}

fn driver(interface: &Interface) -> &str {
    interface.driver.as_deref().unwrap_or("none")
}

fn choice(hook: Hook, reason: String) -> Choice {
    Choice { hook, reason }
}

fn refusal(interface: &Interface, reason: &str) -> Refusal {
    Refusal {
        interface: interface.name.clone(),
        reason: reason.to_owned(),
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Xdp => "xdp",
            Self::XdpGeneric => "xdp-generic",
            Self::Tc => "tc",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, kind: Kind, driver: Option<&str>) -> Interface {
        Interface {
            index: name.bytes().fold(0, |sum, byte| sum * 31 + u32::from(byte)),
            name: name.to_owned(),
            kind,
            ethernet: true,
            mac: Some([2, 0, 0, 0, 0, 1]),
            driver: driver.map(str::to_owned),
            runs_xdp: Some(true),
            transmits_xdp: Some(true),
        }
    }

    fn card(name: &str, driver: &str) -> Interface {
        interface(name, Kind::Device, Some(driver))
    }

    #[test]
    fn auto_picks_and_says_why() {
        let ice = card("eth0", "ice");
        let idle_ice = Interface {
            transmits_xdp: Some(false),
            ..card("eth1", "ice")
        };
        let e1000 = Interface {
            runs_xdp: Some(false),
            transmits_xdp: Some(false),
            ..card("eth2", "e1000e")
        };
        let old_kernel = Interface {
            runs_xdp: None,
            transmits_xdp: None,
            ..card("eth3", "i40e")
        };
        let receiver = Interface {
            transmits_xdp: Some(false),
            ..card("eth4", "mlx4_en")
        };
        let veth = interface("veth0", Kind::Veth, Some("veth"));
        let vlan = interface("eth0.5", Kind::Vlan, Some("802.1Q VLAN Support"));
        let virtio = card("ens3", "virtio_net");
        let bridge = interface("br0", Kind::Bridge, Some("bridge"));
        let bare = interface("dummy0", Kind::Other("dummy".to_owned()), None);

        let rows: &[(&Interface, &[&Interface], Hook, &str)] = &[
            (&ice, &[], Hook::Xdp, "driver (ice) has XDP"),
            (&ice, &[&idle_ice], Hook::Xdp, "driver (ice) has XDP"),
            (&ice, &[&virtio], Hook::Xdp, "driver (ice) has XDP"),
            (&old_kernel, &[], Hook::Xdp, "driver (i40e) has XDP"),
            (&ice, &[&e1000], Hook::Tc, "but eth2 cannot send XDP frames"),
            (&receiver, &[], Hook::Tc, "(mlx4_en) cannot send XDP frames"),
            (&e1000, &[], Hook::Tc, "driver (e1000e) has no XDP"),
            (&veth, &[], Hook::Tc, "veth0 is a veth"),
            (&vlan, &[&ice], Hook::Tc, "eth0.5 is a VLAN"),
            (&virtio, &[], Hook::Tc, "ens3 is a virtual machine's card"),
            (&bridge, &[], Hook::Tc, "br0 is a bridge"),
            (&bare, &[], Hook::Tc, "dummy0 is not a network card"),
        ];
        for (this, others, hook, reason) in rows {
            let mut all = vec![(*this).clone()];
            all.extend(others.iter().map(|other| (*other).clone()));
            let choice = choose(Mode::Auto, this, &all).expect("auto always finds something");
            assert_eq!(choice.hook, *hook, "{}: {}", this.name, choice.reason);
            assert!(choice.reason.contains(reason), "{}", choice.reason);
        }
    }

    #[test]
    fn what_is_told_is_done_or_refused() {
        let veth = interface("veth0", Kind::Veth, Some("veth"));
        let e1000 = Interface {
            runs_xdp: Some(false),
            ..card("eth2", "e1000e")
        };
        let old_vlan = Interface {
            runs_xdp: None,
            ..interface("eth0.5", Kind::Vlan, None)
        };
        let tunnel = Interface {
            ethernet: false,
            ..interface("tun0", Kind::Other("tun".to_owned()), None)
        };
        let rows = [
            (Mode::Xdp, &veth, Ok(Hook::Xdp)),
            (Mode::XdpGeneric, &veth, Ok(Hook::XdpGeneric)),
            (Mode::Tc, &veth, Ok(Hook::Tc)),
            (Mode::Xdp, &e1000, Err("e1000e")),
            (Mode::XdpGeneric, &e1000, Ok(Hook::XdpGeneric)),
            (Mode::Xdp, &old_vlan, Err("vlan")),
            (Mode::Auto, &tunnel, Err("Ethernet")),
            (Mode::Tc, &tunnel, Err("Ethernet")),
        ];
        for (mode, this, expected) in rows {
            match (choose(mode, this, std::slice::from_ref(this)), expected) {
                (Ok(choice), Ok(hook)) => assert_eq!(choice.hook, hook, "{}", this.name),
                (Err(refusal), Err(part)) => {
                    assert!(refusal.reason.contains(part), "{refusal}");
                }
                (outcome, expected) => panic!("{}: {outcome:?}, not {expected:?}", this.name),
            }
        }
    }

    #[test]
    fn transmitting_is_what_the_kernel_says_where_it_says_something() {
        let mut this = card("eth0", "ice");
        this.transmits_xdp = Some(false);
        assert!(!transmits_now(&this));
        this.transmits_xdp = None;
        assert!(transmits_now(&this));
        let mut veth = interface("veth0", Kind::Veth, Some("veth"));
        veth.transmits_xdp = None;
        assert!(!transmits_now(&veth));
    }
}
