//! The kernel's files, as ours are written from the same facts.

use weir_ipvsadm::listing::{Counters, Header, Rates};
use weir_ipvsadm::proc::{self, Application, File};

use crate::fake::FakeDirector;
use crate::table::Recorded;

/// The kernel on which they were recorded counts so many ticks a second.
const TICKS_PER_SECOND: u32 = 250;

/// How ours differs, if it does.
pub fn difference(director: &FakeDirector, recorded: &Recorded) -> Option<String> {
    let name = recorded.arguments[0].as_str();
    let text = recorded.stdout.as_str();
    let file = File::from_name(name).expect("a file of the kernel");
    let ours = written(director, file, text);
    let same = match file {
        // The order of services is that of the kernel's hash table; those by a mark come last.
        File::Services => blocks(&ours) == blocks(text) && marks_last(&ours),
        File::Applications
        | File::Connections
        | File::ConnectionOrigins
        | File::Statistics
        | File::StatisticsByProcessor => ours == text,
    };
    (!same).then(|| format!("{name}\n  recorded\n{text}  here\n{ours}"))
}

fn written(director: &FakeDirector, file: File, recorded: &str) -> String {
    let connections = |origin| {
        let lines = director
            .connections
            .iter()
            .map(|one| proc::connection_line(one, origin));
        proc::connection_title(origin).to_owned() + &lines.collect::<String>()
    };
    match file {
        File::Services => {
            let header = Header {
                version: (1, 2, 1),
                connection_table_size: 4096,
            };
            proc::services(header, &director.services, TICKS_PER_SECOND)
        }
        File::Applications => proc::applications(&[Application {
            name: "ftp",
            port: 21,
            connections: ftp_connections(director),
        }]),
        File::Connections => connections(false),
        File::ConnectionOrigins => connections(true),
        File::Statistics => proc::statistics(totals(director), rates(recorded)),
        // The machine had one processor, and nothing had been set to zero.
        File::StatisticsByProcessor => {
            let totals = totals(director);
            proc::statistics_by_processor(&[totals], totals, rates(recorded))
        }
    }
}

fn ftp_connections(director: &FakeDirector) -> u32 {
    let control = director
        .connections
        .iter()
        .filter(|connection| connection.virtual_address.port() == 21);
    u32::try_from(control.count()).unwrap()
}

fn totals(director: &FakeDirector) -> Counters {
    let services = director.services.iter().map(|service| service.counters);
    services.fold(Counters::default(), |sum, one| Counters {
        connections: sum.connections + one.connections,
        packets_in: sum.packets_in + one.packets_in,
        packets_out: sum.packets_out + one.packets_out,
        bytes_in: sum.bytes_in + one.bytes_in,
        bytes_out: sum.bytes_out + one.bytes_out,
    })
}

/// The last line of a file of statistics: rates of the whole are no sum of other rates.
fn rates(text: &str) -> Rates {
    let words = text.lines().last().unwrap_or_default().split_whitespace();
    let numbers: Vec<u64> = words
        .map(|word| u64::from_str_radix(word, 16).unwrap())
        .collect();
    let [connections, packets_in, packets_out, bytes_in, bytes_out] = numbers[..] else {
        panic!("{text:?} ends without rates");
    };
    Rates {
        connections,
        packets_in,
        packets_out,
        bytes_in,
        bytes_out,
    }
}

/// Services with the lines of their real servers, sorted; the title is one of them.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        match blocks.last_mut() {
            Some(block) if line.starts_with("  ->") => *block += line,
            _ => blocks.push(line.to_owned()),
        }
    }
    blocks.sort();
    blocks
}

fn marks_last(text: &str) -> bool {
    let services = text.lines().skip(3).filter(|line| !line.starts_with(' '));
    services.map(|line| line.starts_with("FWM")).is_sorted()
}
