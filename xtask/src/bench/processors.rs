//! How busy the machine's processors are, and who gets them first.

use super::Bench;
use anyhow::{Context, Result};
use std::process::Command;
use std::time::Duration;

/// The kernel's counts of processor time, in ticks.
#[derive(Debug, Clone, Copy)]
pub struct Processors {
    idle: u64,
    all: u64,
}

impl Processors {
    /// Until now.
    pub fn now() -> Result<Processors> {
        let text = std::fs::read_to_string("/proc/stat").context("cannot read /proc/stat")?;
        read(&text).context("cannot understand /proc/stat")
    }

    /// How many processors were busy since, on average.
    pub fn busy_since(self) -> Result<f64> {
        let now = Processors::now()?;
        let all = now.all.saturating_sub(self.all).max(1) as f64;
        let idle = now.idle.saturating_sub(self.idle) as f64;
        Ok(number() * (1.0 - idle / all))
    }
}

/// Notes down how busy other programs keep the machine; to be called before anything is measured.
pub fn note_others(bench: &mut Bench) -> Result<()> {
    let begin = Processors::now()?;
    std::thread::sleep(Duration::from_millis(500));
    bench.note(format!(
        "Other programs kept {:.1} of {} processors busy before it began.",
        begin.busy_since()?,
        number()
    ));
    Ok(())
}

/// How many there are.
pub fn number() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |number| number.get() as f64)
}

/// While it lives, what this thread starts goes before all other programs.
pub struct RealTime;

impl RealTime {
    /// From now on.
    pub fn new() -> Result<RealTime> {
        set(&["--fifo", "--pid", "50"])?;
        Ok(RealTime)
    }
}

impl Drop for RealTime {
    fn drop(&mut self) {
        if let Err(error) = set(&["--other", "--pid", "0"]) {
            eprintln!("cannot go back to the usual priority: {error}");
        }
    }
}

/// Sets the scheduling of our first thread, the one that measures.
fn set(arguments: &[&str]) -> weir_lab::Result<()> {
    let ours = std::process::id().to_string();
    weir_lab::run(Command::new("chrt").args(arguments).arg(ours)).map(drop)
}

fn read(text: &str) -> Option<Processors> {
    // cpu user nice system idle iowait irq softirq steal; what guests use is in user already.
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks = line.split_whitespace().take(8);
    let ticks: Vec<u64> = ticks.filter_map(|word| word.parse().ok()).collect();
    Some(Processors {
        idle: ticks.get(3)? + ticks.get(4)?,
        all: ticks.iter().sum(),
    })
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn waiting_for_a_disk_is_idle() {
        let read = read("cpu  10 0 20 30 40 1 2 3 0 0\ncpu0 1 1 1 1\n").expect("a line");
        assert_eq!((read.idle, read.all), (70, 106));
    }
}
