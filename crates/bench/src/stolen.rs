//! What of the processors' time a program does not get that wants all of it.

use crate::priority::InFront;
use anyhow::Result;
use rustix::thread::{CpuSet, sched_setaffinity};
use std::time::{Duration, Instant};

/// Between two readings of the clock that nothing came between, less than this passes.
const UNDISTURBED: Duration = Duration::from_micros(2);

/// Spins on every processor at once, and adds up what is missing.
pub fn share(time: Duration) -> Result<f64> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let shares = std::thread::scope(|scope| {
        let spinning: Vec<_> = (0..processors)
            .map(|processor| scope.spawn(move || spin(processor, time)))
            .collect();
        let joined = spinning.into_iter().map(|thread| match thread.join() {
            Ok(share) => share,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect::<Result<Vec<f64>>>()
    })?;
    Ok(shares.iter().sum::<f64>() / processors as f64)
}

fn spin(processor: usize, time: Duration) -> Result<f64> {
    let mut only = CpuSet::new();
    only.set(processor);
    sched_setaffinity(None, &only)?;
    let _in_front = InFront::new()?;
    let begin = Instant::now();
    let (mut last, mut missing) = (begin, Duration::ZERO);
    while last - begin < time {
        let now = Instant::now();
        if now - last > UNDISTURBED {
            missing += now - last;
        }
        last = now;
    }
    Ok(missing.as_secs_f64() / (last - begin).as_secs_f64())
}
