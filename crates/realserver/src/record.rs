//! What was changed, so that it can be put back.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::facts::{Decapsulation, Facts, LOOPBACK};
use crate::prepare::Change;
use crate::setting::Sysctl;

/// What has been changed on a host since it was last as its administrator left it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Settings, and what they were.
    pub sysctls: Vec<Replaced>,
    /// Addresses that the loopback interface did not have.
    pub addresses: Vec<IpAddr>,
    /// What our program was told.
    pub decapsulation: Option<Decapsulation>,
}

/// A setting that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Which.
    pub sysctl: Sysctl,
    /// What it was at first.
    pub before: u32,
    /// What we made it.
    pub after: u32,
}

/// What puts something back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// Takes our program and its tables out of the kernel.
    StopDecapsulation,
    /// Takes the address from the loopback interface.
    RemoveAddress(IpAddr),
    /// Gives a setting the value that it had.
    Set(Sysctl, u32),
    /// Nothing: somebody has changed it since, to what it is now.
    Leave(Sysctl, u32),
}

impl Record {
    /// With those changes made too.
    #[must_use]
    pub fn with(mut self, changes: &[Change]) -> Self {
        for change in changes {
            match change {
                Change::Set {
                    sysctl,
                    before,
                    after,
                } => self.replace(sysctl, *before, *after),
                Change::AddAddress(address) => {
                    if !self.addresses.contains(address) {
                        self.addresses.push(*address);
                    }
                }
                Change::Decapsulate(decapsulation) => {
                    self.decapsulation = Some(decapsulation.clone());
                }
            }
        }
        self
    }

    fn replace(&mut self, sysctl: &Sysctl, before: u32, after: u32) {
        match self.sysctls.iter_mut().find(|one| one.sysctl == *sysctl) {
            // What it was before the first change is what will be put back.
            Some(known) => known.after = after,
            None => self.sysctls.push(Replaced {
                sysctl: sysctl.clone(),
                before,
                after,
            }),
        }
    }

    /// Whether nothing has been changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What puts back everything, in that order: first what brings packets here, last what keeps quiet.
pub fn restore(record: &Record, facts: &Facts) -> Vec<Undo> {
    let mut undo = Vec::new();
    if record.decapsulation.is_some() {
        undo.push(Undo::StopDecapsulation);
    }
    let on_loopback = |address: &&IpAddr| {
        let mut holders = facts.holders(**address);
        holders.any(|(held, _)| held.interface == LOOPBACK)
    };
    let addresses = record.addresses.iter().filter(on_loopback);
    undo.extend(addresses.copied().map(Undo::RemoveAddress));
    for one in &record.sysctls {
        match facts.sysctls.get(&one.sysctl) {
            // Its interface is gone, and the setting with it; or it was put back already.
            None => {}
            Some(now) if *now == one.before => {}
            Some(now) if *now == one.after => {
                undo.push(Undo::Set(one.sysctl.clone(), one.before));
            }
            Some(now) => undo.push(Undo::Leave(one.sysctl.clone(), *now)),
        }
    }
    undo
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::{ALL, Setting};
    use crate::testing::{V4, V6, host};

    fn replaced(scope: &str, before: u32, after: u32) -> Replaced {
        Replaced {
            sysctl: Sysctl::new(Setting::ArpIgnore, scope),
            before,
            after,
        }
    }

    #[test]
    fn what_was_first_is_remembered() {
        let sysctl = Sysctl::new(Setting::ArpIgnore, ALL);
        let set = |before, after| Change::Set {
            sysctl: sysctl.clone(),
            before,
            after,
        };
        let record = Record::default().with(&[set(0, 1), Change::AddAddress(V4)]);
        // Somebody has put it back, and it is prepared again.
        let record = record.with(&[set(3, 2), Change::AddAddress(V4)]);
        assert_eq!(record.sysctls, [replaced(ALL, 0, 2)]);
        assert_eq!(record.addresses, [V4]);
    }

    #[test]
    fn only_what_is_as_we_left_it_is_put_back() {
        let mut facts = host();
        let mut record = Record::default();
        // Gone with its interface; already as before; as we left it; changed since.
        let rows = [
            ("gone", 0, 1, None),
            ("eth1", 0, 1, Some(0)),
            ("all", 0, 1, Some(1)),
            ("eth0", 0, 1, Some(8)),
        ];
        for (scope, before, after, now) in rows {
            record.sysctls.push(replaced(scope, before, after));
            let sysctl = Sysctl::new(Setting::ArpIgnore, scope);
            match now {
                Some(now) => facts.sysctls.insert(sysctl, now),
                None => facts.sysctls.remove(&sysctl),
            };
        }
        record.addresses = vec![V4, V6];
        // One of both was taken away by somebody.
        facts.addresses.retain(|one| one.address != V6);
        record.decapsulation = Some(Decapsulation::default());
        assert_eq!(
            restore(&record, &facts),
            [
                Undo::StopDecapsulation,
                Undo::RemoveAddress(V4),
                Undo::Set(Sysctl::new(Setting::ArpIgnore, "all"), 0),
                Undo::Leave(Sysctl::new(Setting::ArpIgnore, "eth0"), 8),
            ]
        );
        assert!(restore(&Record::default(), &facts).is_empty());
    }
}
