//! Services and real servers in words, for people.

use std::fmt::Write;

use super::{
    Forwarding, GueChecksum, Netmask, RealServer, Refusal, Service, ServiceTimeouts, Tunnel,
};

/// A name and what is said under it.
pub type Words = Vec<(&'static str, String)>;

impl Service {
    /// What is said of the service beside its key; what IPVS has no word for only where it is not
    /// the default.
    pub fn words(&self) -> Words {
        let mut words = vec![("scheduler", self.scheduler.name().to_owned())];
        let flags = self.flags.names(self.scheduler);
        if !flags.is_empty() {
            words.push(("flags", flags.join(",")));
        }
        if let Some(persistence) = self.persistence {
            words.push(("persistence", persistence.timeout.to_string()));
            if persistence.netmask != Netmask::whole(self.family()) {
                words.push(("netmask", persistence.netmask.to_string()));
            }
        }
        if let Some(engine) = self.engine {
            words.push(("engine", engine.name().to_owned()));
        }
        if self.farewell {
            words.push(("farewell", "yes".to_owned()));
        }
        if self.one_packet {
            words.push(("one_packet", "yes".to_owned()));
        }
        if self.timeouts != ServiceTimeouts::default() {
            words.push(("timeouts", timeouts(self.timeouts)));
        }
        if self.refusal != Refusal::default() {
            words.push(("refusal", self.refusal.name().to_owned()));
        }
        if !self.local_addresses.is_empty() {
            let addresses = self.local_addresses.iter().map(|a| a.to_string());
            words.push(("local_addresses", addresses.collect::<Vec<_>>().join(",")));
        }
        words
    }
}

impl RealServer {
    /// What is said of the real server beside its address and its forwarding method.
    pub fn words(&self) -> Words {
        let mut words = Vec::new();
        if let Forwarding::Tunnel(tunnel) = self.forwarding
            && tunnel != Tunnel::Ipip
        {
            words.push(("tunnel", tunnel.to_string()));
        }
        words.push(("weight", self.weight.get().to_string()));
        for (name, threshold) in [
            ("upper_threshold", self.thresholds.upper()),
            ("lower_threshold", self.thresholds.lower()),
        ] {
            if threshold != 0 {
                words.push((name, threshold.to_string()));
            }
        }
        words
    }
}

/// `ipip`, `gue:6080`, `gue:6080:remote`, `gre`, `gre:full`.
impl std::fmt::Display for Tunnel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Gue { port, checksum } => {
                write!(f, ":{port}")?;
                match checksum {
                    GueChecksum::None => Ok(()),
                    GueChecksum::Full | GueChecksum::Remote => write!(f, ":{}", checksum.name()),
                }
            }
            Self::Gre { checksum: true } => f.write_str(":full"),
            Self::Ipip | Self::Gre { checksum: false } => Ok(()),
        }
    }
}

fn timeouts(timeouts: ServiceTimeouts) -> String {
    let mut text = String::new();
    for (name, seconds) in [
        ("tcp", timeouts.tcp),
        ("tcp_fin", timeouts.tcp_fin),
        ("udp", timeouts.udp),
    ] {
        if let Some(seconds) = seconds {
            let comma = if text.is_empty() { "" } else { "," };
            // Writing to a string cannot fail.
            let _ = write!(text, "{comma}{name}={seconds}");
        }
    }
    text
}
