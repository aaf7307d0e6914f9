//! `ip_vs_stats` and `ip_vs_stats_percpu`: what the whole director has done, in hexadecimal.

use crate::listing::{Counters, Rates};

/// `ip_vs_stats`
pub fn statistics(totals: Counters, rates: Rates) -> String {
    format!(
        "   Total Incoming Outgoing         Incoming         Outgoing\n\
         \x20  Conns  Packets  Packets            Bytes            Bytes\n\
         {}\n\n Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n{}\n",
        counted(totals),
        rated(rates)
    )
}

/// `ip_vs_stats_percpu`: the processors in turn, then all of them together. What a processor has
/// counted is never set to zero.
pub fn statistics_by_processor(processors: &[Counters], totals: Counters, rates: Rates) -> String {
    let mut text = "       Total Incoming Outgoing         Incoming         Outgoing\n\
                    CPU    Conns  Packets  Packets            Bytes            Bytes\n"
        .to_owned();
    for (processor, counters) in processors.iter().enumerate() {
        text += &format!("{processor:3X} {}\n", counted(*counters));
    }
    text += &format!(
        "  ~ {}\n\n     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s\n    {}\n",
        counted(totals),
        rated(rates)
    );
    text
}

fn counted(counters: Counters) -> String {
    columns([
        counters.connections,
        counters.packets_in,
        counters.packets_out,
        counters.bytes_in,
        counters.bytes_out,
    ])
}

fn rated(rates: Rates) -> String {
    columns([
        rates.connections,
        rates.packets_in,
        rates.packets_out,
        rates.bytes_in,
        rates.bytes_out,
    ])
}

fn columns([connections, packets_in, packets_out, bytes_in, bytes_out]: [u64; 5]) -> String {
    format!("{connections:8X} {packets_in:8X} {packets_out:8X} {bytes_in:16X} {bytes_out:16X}")
}
