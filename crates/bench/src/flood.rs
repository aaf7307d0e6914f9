//! A flood of SYNs from clients that are not there, into a network that somebody else made.

use crate::flows::Clients;
use crate::frames::{self, Kind, Side};
use crate::generator::{self, BATCH};
use crate::orders::{FRAME, Orders};
use anyhow::{Context, Result, ensure};
use aya::maps::Array;
use aya::programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Packets between two looks at the time.
const STRETCH: u32 = 4_096;
/// So many that none comes again while a flood lasts.
const FLOWS: u32 = 1 << 28;

/// What the command line says. Sends within the network namespace in which it is started.
#[derive(clap::Args)]
pub struct Arguments {
    /// The object of `ebpf/bench`.
    #[arg(long)]
    programs: PathBuf,
    /// The interface to send to.
    #[arg(long)]
    interface: u32,
    /// The link address of the director.
    #[arg(long)]
    to: String,
    /// For how long.
    #[arg(long)]
    seconds: u32,
}

/// Sends as fast as it goes; says how many packets a second.
pub fn run(arguments: &Arguments) -> Result<()> {
    let flows = Clients::new().take(FLOWS);
    let mut template = frames::template(Side::Clients, Kind::Syn);
    template.bytes[..6].copy_from_slice(&link_address(&arguments.to)?);
    let orders = generator::orders(
        &template,
        Side::Clients,
        Kind::Syn,
        arguments.interface,
        flows,
    );
    let mut programs = load(arguments, orders)?;
    let generate: &mut Xdp = programs
        .program_mut("generate")
        .context("no program generate")?
        .try_into()?;
    let begin = Instant::now();
    let end = begin + Duration::from_secs(arguments.seconds.into());
    let mut sent = 0;
    println!("begins");
    while Instant::now() < end {
        generate
            .test_run(TestRunOptions {
                data_in: Some(&[0; FRAME]),
                repeat: STRETCH,
                attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
                ..TestRunOptions::new()
            })
            .context("the kernel does not run the generator")?;
        sent += u64::from(STRETCH);
    }
    println!("sent\t{}", sent as f64 / begin.elapsed().as_secs_f64());
    Ok(())
}

/// Loads the generator with its orders.
fn load(arguments: &Arguments, orders: Orders) -> Result<Ebpf> {
    let path = &arguments.programs;
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut programs = EbpfLoader::new()
        .load(&bytes)
        .context("the bench's programs do not load")?;
    let generate: &mut Xdp = programs
        .program_mut("generate")
        .context("no program generate")?
        .try_into()?;
    generate.load()?;
    let mut map: Array<_, Orders> = programs.map_mut("orders").context("no map")?.try_into()?;
    map.set(0, orders, 0)?;
    Ok(programs)
}

fn link_address(text: &str) -> Result<[u8; 6]> {
    let bytes = text
        .split(':')
        .map(|byte| u8::from_str_radix(byte, 16))
        .collect::<Result<Vec<_>, _>>()
        .with_context(|| format!("`{text}` is not a link address"))?;
    ensure!(bytes.len() == 6, "`{text}` is not a link address");
    Ok(std::array::from_fn(|at| bytes[at]))
}

#[cfg(test)]
mod tests {
    use super::link_address;

    #[test]
    fn link_addresses_are_read() {
        assert_eq!(
            link_address("02:00:00:00:01:ff").ok(),
            Some([2, 0, 0, 0, 1, 255])
        );
        for bad in ["", "02:00", "02:00:00:00:01:fg", "1:2:3:4:5:6:7"] {
            assert!(link_address(bad).is_err(), "{bad}");
        }
    }
}
