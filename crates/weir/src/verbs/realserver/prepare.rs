//! `weir realserver prepare`.

use std::net::IpAddr;

use clap::{Args, ValueEnum};
use realserver::prepare::{self, Change, GUE_PORT, Wanted, prepare};
use weir_host::{privilege, realserver as host};
use weir_realserver as realserver;

use super::{Places, program, state};
use crate::exit::{self, Code, Failure, Outcome};

/// Make this host a real server: virtual addresses that it keeps quiet about, and open tunnels
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir realserver prepare --vip 192.0.2.10 --interface eth0
  weir realserver prepare --vip 192.0.2.10 2001:db8::10 --interface eth0 --method tun
  weir realserver prepare --vip 192.0.2.10 --interface eth0 --method tun --gue-port 7000

Puts the virtual addresses on lo, keeps the host from answering ARP for them (arp_ignore,
arp_announce; for IPv6 the kernel is quiet by itself), and relaxes a strict reverse path filter. For
tunnels (tun) a program on the interface takes packets out of IPIP, GRE and GUE, of IPv4 and IPv6 in
either: only for these virtual addresses, and only from tunnels to this host's own addresses. No
kernel module and no tunnel device is needed.

May be run again: what is there already is left as it is, what was prepared before stays, and the
program of another version gives way to this one's. After a reboot nothing of it is left.")]
pub struct Arguments {
    /// A virtual address; several may follow
    #[arg(long = "vip", value_name = "ADDRESS", num_args = 1.., required = true)]
    virtual_addresses: Vec<IpAddr>,
    /// An interface by which the director's packets come; may be said more than once
    #[arg(long = "interface", value_name = "IF", required = true)]
    interfaces: Vec<String>,
    /// How they come: as they are (direct routing), or in tunnels
    #[arg(long, value_enum, default_value = "dr")]
    method: Method,
    /// An address of this host to which tunnels lead; may be said more than once [default: all of
    /// the interfaces]
    #[arg(long = "address", value_name = "ADDRESS")]
    here: Vec<IpAddr>,
    /// The port to which GUE is sent; may be said more than once
    #[arg(long = "gue-port", value_name = "PORT", default_value_t = GUE_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    gue_port: u16,
    #[command(flatten)]
    places: Places,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Method {
    /// Direct routing (ipvsadm -g)
    Dr,
    /// Tunnels (ipvsadm -i)
    Tun,
}

/// Prepares, and says what was changed.
pub fn run(arguments: &Arguments) -> Outcome {
    privilege::check().map_err(|error| Failure::new(Code::Machine, error))?;
    let (places, wanted) = (&arguments.places, arguments.wanted());
    let record = state::load(&places.state)?;
    let facts = places.pinned.facts()?;
    let changes = prepare(&wanted, &facts, &record).map_err(|refusals| {
        let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        Failure::new(Code::Usage, reasons.join("\nweir: "))
    })?;
    if changes.is_empty() {
        // Another version's program gives way to this one's.
        if let (Method::Tun, Some(told)) = (arguments.method, &facts.decapsulation) {
            program::tell(&places.pinned.bpffs, told)?;
        }
        exit::say("nothing to change: this host is prepared");
        return Ok(());
    }
    // Remembered before anything is changed: whatever happens, it can be put back.
    state::save(&places.state, record.with(&changes))?;
    for change in &changes {
        apply(change, places)?;
        exit::say(&told(change));
    }
    Ok(())
}

impl Arguments {
    fn wanted(&self) -> Wanted {
        Wanted {
            virtual_addresses: self.virtual_addresses.clone(),
            interfaces: self.interfaces.clone(),
            method: match self.method {
                Method::Dr => prepare::Method::DirectRouting,
                Method::Tun => prepare::Method::Tunnel,
            },
            here: self.here.clone(),
            gue_ports: vec![self.gue_port],
        }
    }
}

fn apply(change: &Change, places: &Places) -> Outcome {
    let failed = |what: String, error: std::io::Error| {
        Failure::new(
            Code::Failed,
            format!(
                "cannot {what}: {error}. `weir realserver restore` puts back what was changed \
                 before that"
            ),
        )
    };
    match change {
        Change::Set { sysctl, after, .. } => {
            host::set(sysctl, *after).map_err(|error| failed(format!("set {sysctl}"), error))
        }
        Change::AddAddress(address) => host::add_address(*address)
            .map_err(|error| failed(format!("add {address} to lo"), error)),
        Change::Decapsulate(told) => program::tell(&places.pinned.bpffs, told),
    }
}

/// A change in a line.
fn told(change: &Change) -> String {
    match change {
        Change::Set {
            sysctl,
            before,
            after,
        } => format!("{sysctl}: {before} -> {after}"),
        Change::AddAddress(address) => format!("added {address} to lo"),
        Change::Decapsulate(told) => {
            let list = |all: &[IpAddr]| {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                all.join(", ")
            };
            let ports: Vec<String> = told.gue_ports.iter().map(ToString::to_string).collect();
            format!(
                "takes IPIP, GRE and GUE (port {}) for {} from tunnels to {} on {}",
                ports.join(", "),
                list(&told.virtual_addresses),
                list(&told.here),
                told.interfaces.join(", ")
            )
        }
    }
}
