//! From one wanted state to another.

use super::alteration::{Alteration, TimeoutName};
use super::{Upkeep, Wanted};
use crate::plan;
use crate::settings::Running;

impl Wanted {
    /// What makes this `next`, in an order in which no service is without real servers on the way if
    /// it has some before and after.
    pub fn alterations(&self, next: &Self) -> Vec<Alteration> {
        let changes = plan::plan(&self.configuration(), &next.configuration());
        let services = changes.into_iter().map(Alteration::Service);
        services
            .chain(settings(&self.settings, &next.settings))
            .chain(upkeep(&self.upkeep, &next.upkeep))
            .chain(self.holds_altered(next))
            .collect()
    }

    fn holds_altered(&self, next: &Self) -> Vec<Alteration> {
        let (old, new) = (&self.holds, &next.holds);
        let maintenance = |targets: Vec<_>, on| {
            let targets = targets.into_iter();
            targets.map(move |target| Alteration::Maintenance { target, on })
        };
        let come = new.maintenance.difference(&old.maintenance).copied();
        let gone = old.maintenance.difference(&new.maintenance).copied();
        let mut drains: Vec<_> = old.drains.keys().chain(new.drains.keys()).collect();
        drains.sort_unstable();
        drains.dedup();
        let drains = drains.into_iter().filter_map(|key| {
            let (from, to) = (old.drains.get(key).copied(), new.drains.get(key).copied());
            let (service, server) = *key;
            (from != to).then_some(Alteration::Drain {
                service,
                server,
                from,
                to,
            })
        });
        maintenance(gone.collect(), false)
            .chain(maintenance(come.collect(), true))
            .chain(drains)
            .collect()
    }
}

fn settings(from: &Running, to: &Running) -> Vec<Alteration> {
    let timeouts = TimeoutName::ALL.into_iter().filter_map(|name| {
        let (from, to) = (from.timeout(name), to.timeout(name));
        (from != to).then_some(Alteration::Timeout { name, from, to })
    });
    let sysctls = to.sysctls.iter().filter_map(|(name, to)| {
        let from = from.sysctls.get(name)?;
        (from != to).then_some(Alteration::Sysctl { name, from, to })
    });
    let marks = (from.marks != to.marks).then(|| Alteration::Marks {
        from: from.marks.clone(),
        to: to.marks.clone(),
    });
    timeouts.chain(sysctls).chain(marks).collect()
}

fn upkeep(from: &Upkeep, to: &Upkeep) -> Option<Alteration> {
    (from != to).then(|| Alteration::Upkeep {
        from: from.clone(),
        to: to.clone(),
    })
}
