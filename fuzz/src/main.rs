//! Runs the targets on what a seed makes, for some seconds each: no nightly, no libFuzzer.

use std::panic;
use std::time::{Duration, Instant};

use weir_rows::cases;
use weir_rows::row::Step;

fn main() {
    let seconds = number("--seconds").unwrap_or(20);
    let seed = number("--seed").unwrap_or(1);
    let mut random = Random(seed | 1);
    let frames = valid_frames();
    run("packet", seconds, weir_fuzz::packet, || {
        let mut data = vec![random.next() as u8];
        data.extend(&frames[random.below(frames.len())]);
        mutate(&mut data, &mut random);
        data
    });
    let mut random = Random(seed | 1);
    run("operations", seconds, weir_fuzz::operations, || {
        let length = 1 + 3 * random.below(100);
        (0..length).map(|_| random.next() as u8).collect()
    });
    let mut random = Random(seed | 1);
    run("answers", seconds, weir_fuzz::answers, || {
        let mut data = weir_fuzz::WELL[random.below(weir_fuzz::WELL.len())].to_vec();
        mutate(&mut data, &mut random);
        data
    });
    let mut random = Random(seed | 1);
    let said = weir_fuzz::advertisements();
    run("vrrp", seconds, weir_fuzz::vrrp, || {
        let mut data = said[random.below(said.len())].clone();
        mutate(&mut data, &mut random);
        data
    });
    let mut random = Random(seed | 1);
    let said = weir_fuzz::controls();
    run("bfd", seconds, weir_fuzz::bfd, || {
        let mut data = said[random.below(said.len())].clone();
        mutate(&mut data, &mut random);
        data
    });
    let mut random = Random(seed | 1);
    run("messages", seconds, weir_fuzz::messages, || {
        let mut data = weir_fuzz::MESSAGES[random.below(weir_fuzz::MESSAGES.len())].to_vec();
        for _ in 0..random.below(4) {
            mutate(&mut data, &mut random);
            let more = weir_fuzz::MESSAGES[random.below(weir_fuzz::MESSAGES.len())];
            data.extend(&more[random.below(more.len())..]);
        }
        data
    });
}

/// The number after an option.
fn number(option: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != option);
    let value = arguments.nth(1)?;
    Some(value.parse().expect("a number"))
}

fn run(name: &str, seconds: u64, target: fn(&[u8]), mut make: impl FnMut() -> Vec<u8>) {
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut inputs = 0u64;
    while Instant::now() < end {
        let data = make();
        if panic::catch_unwind(|| target(&data)).is_err() {
            let hex: String = data.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("{name} fails on (for fuzz/regressions, with a sentence): {hex}");
            std::process::exit(1);
        }
        inputs += 1;
    }
    println!("{name}: {inputs} inputs in {seconds} s");
}

/// All frames of the rows.
fn valid_frames() -> Vec<Vec<u8>> {
    let steps = cases::all().into_iter().flat_map(|row| row.steps);
    steps
        .filter_map(|step| match step {
            Step::Arrival(arrival) => Some(arrival.frame),
            Step::Edit(_) | Step::Change(_) | Step::Find(..) | Step::Reap(..) => None,
        })
        .collect()
}

/// Changes some bytes after the first, most of them in the headers; cuts now and then.
fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..random.below(6) {
        let length = data.len().min(90);
        if length < 2 {
            return;
        }
        let at = 1 + random.below(length - 1);
        match random.below(4) {
            0 => data[at] = random.next() as u8,
            1 => data[at] ^= 1 << random.below(8),
            2 => data[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
            _ => {
                if random.below(8) == 0 {
                    data.truncate(at);
                }
            }
        }
    }
}

/// xorshift64*: good enough, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}
