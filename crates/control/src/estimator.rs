//! Rates as IPVS estimates them: a step every two seconds, fixed point numbers, a quarter of the
//! difference each time.

use weir_abi::counters::Counters;

/// Connections, packets and bytes in a second, as the listings show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Rates {
    /// Connections in a second.
    pub connections: u64,
    /// Packets from clients in a second.
    pub in_packets: u64,
    /// Packets to clients in a second.
    pub out_packets: u64,
    /// Bytes from clients in a second.
    pub in_bytes: u64,
    /// Bytes to clients in a second.
    pub out_bytes: u64,
}

/// The averages of one set of counters. Connections and packets have ten bits behind the point,
/// bytes have five.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Estimator {
    last: Counters,
    average: Counters,
}

impl Estimator {
    /// Rates of zero; what was counted until now does not matter.
    pub(crate) const fn starting_at(counters: Counters) -> Self {
        Self {
            last: counters,
            average: Counters {
                connections: 0,
                in_packets: 0,
                out_packets: 0,
                in_bytes: 0,
                out_bytes: 0,
            },
        }
    }

    /// Two seconds later.
    pub(crate) const fn step(&mut self, counters: Counters) {
        let new = counters.minus(self.last);
        self.last = counters;
        let average = &mut self.average;
        average.connections = approach(average.connections, new.connections << 9);
        average.in_packets = approach(average.in_packets, new.in_packets << 9);
        average.out_packets = approach(average.out_packets, new.out_packets << 9);
        average.in_bytes = approach(average.in_bytes, new.in_bytes << 4);
        average.out_bytes = approach(average.out_bytes, new.out_bytes << 4);
    }

    /// The rates now.
    pub(crate) const fn rates(&self) -> Rates {
        let average = &self.average;
        Rates {
            connections: (average.connections + 0x1ff) >> 10,
            in_packets: (average.in_packets + 0x1ff) >> 10,
            out_packets: (average.out_packets + 0x1ff) >> 10,
            in_bytes: (average.in_bytes + 0xf) >> 5,
            out_bytes: (average.out_bytes + 0xf) >> 5,
        }
    }
}

/// A quarter of the way, rounded down: the shift is of a signed number, as the kernel's is.
const fn approach(average: u64, rate: u64) -> u64 {
    let difference = rate.wrapping_sub(average) as i64;
    average.wrapping_add((difference >> 2) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_flow_comes_to_its_rate_and_a_silence_to_zero() {
        let mut estimator = Estimator::default();
        let mut counters = Counters::default();
        let mut seen = Vec::new();
        for _ in 0..40 {
            counters.connections += 200;
            counters.in_bytes += 20_000;
            estimator.step(counters);
            seen.push(estimator.rates().connections);
        }
        assert_eq!(seen[..4], [25, 44, 58, 68]);
        assert_eq!(estimator.rates().connections, 100);
        assert_eq!(estimator.rates().in_bytes, 10_000);
        for _ in 0..60 {
            estimator.step(counters);
        }
        assert_eq!(estimator.rates(), Rates::default());
    }

    /// What `ipvsadm -Ln --rate --exact` shows on Linux 6.12 after 400 packets of 38 bytes, each a
    /// connection, within two seconds, and then none.
    #[test]
    fn a_burst_fades_as_in_the_real_ipvs() {
        let recorded = [
            (50, 1900),
            (37, 1425),
            (28, 1069),
            (21, 802),
            (16, 601),
            (12, 451),
            (9, 338),
            (7, 254),
            (5, 190),
            (4, 143),
            (3, 107),
            (2, 80),
            (2, 60),
            (1, 45),
            (1, 34),
            (1, 25),
            (0, 19),
            (0, 14),
            (0, 11),
            (0, 8),
            (0, 6),
            (0, 4),
            (0, 3),
            (0, 3),
            (0, 2),
            (0, 1),
            (0, 1),
            (0, 1),
            (0, 1),
            (0, 0),
        ];
        let counters = Counters {
            connections: 400,
            in_packets: 400,
            in_bytes: 400 * 38,
            ..Counters::default()
        };
        let mut estimator = Estimator::default();
        let shown = recorded.map(|_| {
            estimator.step(counters);
            let rates = estimator.rates();
            assert_eq!(rates.in_packets, rates.connections);
            (rates.connections, rates.in_bytes)
        });
        assert_eq!(shown, recorded);
    }

    #[test]
    fn what_was_counted_before_the_start_is_no_rate() {
        let counters = Counters {
            connections: 1_000_000,
            ..Counters::default()
        };
        let mut estimator = Estimator::starting_at(counters);
        estimator.step(counters);
        assert_eq!(estimator.rates(), Rates::default());
    }
}
