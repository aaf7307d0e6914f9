//! Firewall marks that rules of ours give: they work at every hook, and without a packet filter.

use core::ops::ControlFlow;

use weir_abi::mark::{MARK_RULES, MarkRule};

use crate::family::Family;
use crate::parse::Segment;
use crate::tables::{Step, Tables};

/// The mark of the first rule that fits a packet that came in by an interface; 0 without one.
#[inline(always)]
pub fn mark<F: Family, T: Tables>(
    tables: &T,
    segment: &Segment<F::Address>,
    interface: u32,
) -> u32 {
    let Some(settings) = tables.settings() else {
        return 0;
    };
    let mut walk = Walk {
        place: 0,
        mark: 0,
        interface,
        address: F::widen(segment.flow.destination),
        port: u16::from_be(segment.flow.destination_port),
        protocol: segment.flow.protocol as u8,
        family: F::NUMBER,
    };
    tables.repeat(settings.marks.load().min(MARK_RULES), &mut walk);
    walk.mark
}

struct Walk {
    place: u32,
    mark: u32,
    interface: u32,
    address: [u32; 4],
    port: u16,
    protocol: u8,
    family: u8,
}

impl<T: Tables> Step<T> for Walk {
    #[inline(always)]
    fn step(&mut self, tables: &T) -> ControlFlow<()> {
        let Some(record) = tables.mark_rule(self.place) else {
            return ControlFlow::Break(());
        };
        let rule = record.rule.load();
        self.place += 1;
        if self.fits(&rule) {
            self.mark = rule.mark;
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

impl Walk {
    #[inline(always)]
    fn fits(&self, rule: &MarkRule) -> bool {
        let differs = (self.address[0] ^ rule.address[0]) & rule.mask[0]
            | (self.address[1] ^ rule.address[1]) & rule.mask[1]
            | (self.address[2] ^ rule.address[2]) & rule.mask[2]
            | (self.address[3] ^ rule.address[3]) & rule.mask[3];
        differs == 0
            && rule.family == self.family
            && (rule.protocol == 0 || rule.protocol == self.protocol)
            && (rule.interface == 0 || rule.interface == self.interface)
            && rule.first_port <= self.port
            && self.port <= rule.last_port
    }
}
