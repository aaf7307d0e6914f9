//! What the real keepalived does on the real IPVS while real servers fail and come back, recorded for the tests.

use super::{Arguments, driver, guest};
use crate::place;
use anyhow::{Context, Result, bail};

/// Where it is kept.
const RECORDED: &str = "crates/parity/tests/recorded/keepalived-2.2.7.txt";

/// Plays it in a machine and writes what was found.
pub fn record(arguments: &Arguments) -> Result<()> {
    let driver = driver("weir-keepers")?;
    let mut text = String::new();
    let script = "exec ./weir-keepers 2>&1\n";
    let outcome = guest(arguments)?.run(script, &[driver], |line| {
        if line.starts_with("== ") {
            println!("  {line}");
        }
        text += line;
        text.push('\n');
    })?;
    if outcome.status != 0 {
        let last = text.lines().last().unwrap_or_default();
        bail!("keepalived could not be played: {last}");
    }
    let path = place::root().join(RECORDED);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("  {RECORDED} is written: `git diff` shows what has changed");
    Ok(())
}
