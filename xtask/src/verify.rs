//! `cargo xtask verify`: the packet programs load on every kernel that Weir promises to run on, and what their
//! verification costs does not grow unseen.

use crate::{
    build, place,
    step::ask,
    vm::{Clock, Guest, Series},
};
use anyhow::{Context, Result, anyhow, bail};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// The kernels of Debian's that are booted; the machine's own comes on top.
const KERNELS: [&str; 2] = ["6.1", "6.12"];

/// What the verifier may process more than the snapshot says, in percent.
const ALLOWED_GROWTH: u64 = 10;

/// Loads the object and counts; one text for this machine and for the guests.
const COUNT: &str = include_str!("verify/count.py");

/// What the command line says.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write what was found as the new snapshot.
    #[arg(long)]
    accept: bool,
    /// An object to load, instead of building it.
    #[arg(long)]
    object: Option<PathBuf>,
}

/// Instructions that the verifier processed, by kernel series and program.
type Counts = BTreeMap<(String, String), u64>;

/// Loads the packet programs on every kernel, and compares.
pub fn run(arguments: Arguments) -> Result<()> {
    println!("verify");
    let object = match arguments.object {
        Some(object) => object,
        None => build::packet_programs()?,
    };
    let mut failed = Vec::new();
    let mut found = Counts::new();
    for (kernel, counted) in count_on_all(&kernels()?, &object) {
        match counted {
            Ok((counts, took)) => {
                println!("  {kernel}: loads ({:.1} s)", took.as_secs_f32());
                found.extend(
                    counts
                        .into_iter()
                        .map(|(program, count)| ((kernel.clone(), program), count)),
                );
            }
            Err(error) => {
                println!("  {kernel}: {error:#}");
                failed.push(kernel);
            }
        }
    }
    let path = place::root().join("docs/verified-instructions.txt");
    let snapshot = read_snapshot(&path)?;
    let grown = compare(&found, &snapshot);
    if arguments.accept {
        let mut whole = snapshot;
        whole.retain(|(kernel, _), _| !found.keys().any(|(other, _)| other == kernel));
        whole.extend(found);
        write_snapshot(&path, &whole)?;
    }
    if !failed.is_empty() {
        bail!(
            "the packet programs do not load on {}",
            failed.join(" and ")
        );
    }
    if grown && !arguments.accept {
        bail!(
            "verification grew by more than {ALLOWED_GROWTH} %; if it must, `cargo xtask verify --accept`"
        );
    }
    Ok(())
}

/// What the verifier processed for each program, and how long that took.
type Counted = (Vec<(String, u64)>, Duration);

/// What loading the object said on each kernel: all at once, since a guest has one processor.
fn count_on_all(kernels: &[(String, bool)], object: &Path) -> Vec<(String, Result<Counted>)> {
    let count = |kernel: &str, is_own: bool| {
        let begin = Instant::now();
        let counts = if is_own {
            count_here(object)?
        } else {
            count_in_guest(kernel, object)?
        };
        Ok((counts, begin.elapsed()))
    };
    thread::scope(|scope| {
        let running: Vec<_> = kernels
            .iter()
            .map(|(kernel, is_own)| (kernel, scope.spawn(move || count(kernel, *is_own))))
            .collect();
        let ended = running.into_iter().map(|(kernel, thread)| {
            let counted = thread
                .join()
                .unwrap_or_else(|_| Err(anyhow!("its thread has panicked")));
            (kernel.clone(), counted)
        });
        ended.collect()
    })
}

/// The series to load on, and whether it is this machine's own.
fn kernels() -> Result<Vec<(String, bool)>> {
    let release = ask(Command::new("uname").arg("-r")).context("uname does not run")?;
    let own = release.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    let mut kernels: Vec<(String, bool)> = KERNELS
        .iter()
        .filter(|kernel| **kernel != own)
        .map(|kernel| ((*kernel).to_owned(), false))
        .collect();
    kernels.push((own, true));
    Ok(kernels)
}

fn count_here(object: &Path) -> Result<Vec<(String, u64)>> {
    let output = Command::new("python3")
        .args(["-c", COUNT])
        .arg(object)
        .output()
        .context("no python3 to ask the kernel with")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        bail!(
            "does not load\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    said.lines().map(counted).collect()
}

fn count_in_guest(kernel: &str, object: &Path) -> Result<Vec<(String, u64)>> {
    let kernel: Series = kernel.parse().map_err(anyhow::Error::msg)?;
    let guest = Guest {
        kernel,
        memory_mib: 3072,
        limit: Duration::from_secs(600),
        clock: Clock::Host,
    };
    let name = object.file_name().context("the object has no name")?;
    let script = format!(
        "python3 - {} 2>&1 <<'END'\n{COUNT}\nEND\n",
        name.to_string_lossy()
    );
    let mut said = Vec::new();
    let outcome = guest.run(&script, &[object.to_owned()], |line| {
        said.push(line.to_owned())
    })?;
    if outcome.status != 0 {
        bail!("does not load\n{}", said.join("\n"));
    }
    said.iter().map(|line| counted(line)).collect()
}

/// A line of the counting script.
fn counted(line: &str) -> Result<(String, u64)> {
    line.split_once(' ')
        .and_then(|(program, count)| Some((program.to_owned(), count.parse().ok()?)))
        .with_context(|| format!("expected a program and a number, got `{line}`"))
}

/// Shows every count beside the snapshot; whether one grew too much.
fn compare(found: &Counts, snapshot: &Counts) -> bool {
    let mut grown = false;
    for ((kernel, program), count) in found {
        let told = match snapshot.get(&(kernel.clone(), program.clone())) {
            None => "not in the snapshot".to_owned(),
            Some(before) if count * 100 > before * (100 + ALLOWED_GROWTH) => {
                grown = true;
                format!("was {before}: too much")
            }
            Some(before) => format!("was {before}"),
        };
        println!("  {kernel:5} {program:20} {count:8}  {told}");
    }
    grown
}

fn read_snapshot(path: &Path) -> Result<Counts> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    parse_snapshot(&text)
}

fn parse_snapshot(text: &str) -> Result<Counts> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| match *line.split_whitespace().collect::<Vec<_>>() {
            [kernel, program, count] => {
                let count = count
                    .parse()
                    .with_context(|| format!("no number in `{line}`"))?;
                Ok(((kernel.to_owned(), program.to_owned()), count))
            }
            _ => bail!("expected kernel, program, instructions, got `{line}`"),
        })
        .collect()
}

fn write_snapshot(path: &Path, counts: &Counts) -> Result<()> {
    let mut text = String::from(
        "# Instructions that the kernel's verifier processed: kernel, program, instructions.\n\
         # `cargo xtask verify` compares with it, and with --accept writes it.\n",
    );
    for ((kernel, program), count) in counts {
        writeln!(text, "{kernel} {program} {count}")?;
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(text: &str) -> Counts {
        parse_snapshot(text).unwrap()
    }

    #[test]
    fn a_tenth_more_is_allowed_and_nothing_above() {
        let snapshot = counts("# heading\n6.1 weir_tc 1000\n");
        for (found, grown) in [
            ("6.1 weir_tc 900", false),
            ("6.1 weir_tc 1100", false),
            ("6.1 weir_tc 1101", true),
            ("6.1 weir_xdp 5000", false),
            ("6.12 weir_tc 5000", false),
        ] {
            assert_eq!(compare(&counts(found), &snapshot), grown, "{found}");
        }
    }

    #[test]
    fn a_broken_snapshot_is_told() {
        for text in ["6.1 weir_tc", "6.1 weir_tc many", "6.1 weir tc 5"] {
            assert!(parse_snapshot(text).is_err(), "{text}");
        }
    }
}
