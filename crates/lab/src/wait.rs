//! Waiting for a condition.

use crate::error::{Error, Result};
use std::time::{Duration, Instant};

/// Waits until `condition` holds, for what gives no event to wait for. Looks every few milliseconds; a condition that does
/// not come within `within` is an error that names `what`.
pub fn until(what: &str, within: Duration, mut condition: impl FnMut() -> bool) -> Result<()> {
    let end = Instant::now() + within;
    while !condition() {
        if Instant::now() > end {
            return Err(Error::Late {
                what: what.to_owned(),
                within,
            });
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
