//! Steps that a person watches: what runs, how far it is, what it said if it failed.

use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Steps shorter than this leave no more than their own line.
const QUIET: Duration = Duration::from_secs(10);

/// Runs `command` to its end and shows `title`, the last line of what it says while it runs, and how long it took. All that
/// it said is shown if it fails. Returns its standard output.
pub fn run(title: &str, command: &mut Command) -> Result<String> {
    let line = line(command);
    let begin = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{line}`"))?;
    let (said, hear) = channel();
    for (output, of_stdout) in [
        (child.stdout.take().map(boxed), true),
        (child.stderr.take().map(boxed), false),
    ] {
        let (said, output) = (
            said.clone(),
            output.with_context(|| format!("`{line}` has no output"))?,
        );
        std::thread::spawn(move || {
            for text in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                // Nobody listens only if we are about to end.
                let _ = said.send((of_stdout, String::from_utf8_lossy(&text).into_owned()));
            }
        });
    }
    drop(said);
    let heard = show_while(title, begin, &hear);
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for `{line}`"))?;
    let seconds = begin.elapsed().as_secs_f32();
    erase();
    if !status.success() {
        println!("  {title}: failed after {seconds:.1} s");
        heard.iter().for_each(|(_, text)| eprintln!("    {text}"));
        bail!("`{line}` ended with {status}");
    }
    println!("  {title} ({seconds:.1} s)");
    let output = heard
        .into_iter()
        .filter(|(of_stdout, _)| *of_stdout)
        .map(|(_, text)| text + "\n");
    Ok(output.collect())
}

/// Runs `command` with its output shown as it comes.
pub fn show(title: &str, command: &mut Command) -> Result<()> {
    println!("  {title}");
    let line = line(command);
    let status = command
        .stdin(Stdio::null())
        .status()
        .with_context(|| format!("cannot run `{line}`"))?;
    if !status.success() {
        bail!("`{line}` ended with {status}");
    }
    Ok(())
}

/// The standard output of a command that takes no time, if it succeeds.
pub fn ask(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Collects what is said until all have ended; on a terminal shows the last line in place, elsewhere one now and then.
fn show_while(title: &str, begin: Instant, hear: &Receiver<(bool, String)>) -> Vec<(bool, String)> {
    let mut heard: Vec<(bool, String)> = Vec::new();
    let mut shown = begin;
    if std::io::stdout().is_terminal() {
        show_in_place(&format!("  {title} ..."));
    }
    loop {
        match hear.recv_timeout(Duration::from_secs(1)) {
            Ok(text) => heard.push(text),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return heard,
        }
        let last = heard.last().map_or("", |(_, text)| text.trim());
        let seconds = begin.elapsed().as_secs();
        if std::io::stdout().is_terminal() {
            if shown.elapsed() > Duration::from_millis(100) {
                show_in_place(&format!("  {title} ... {seconds} s  {last}"));
                shown = Instant::now();
            }
        } else if shown.elapsed() > QUIET {
            println!("  {title} ... {seconds} s  {last}");
            shown = Instant::now();
        }
    }
}

fn show_in_place(text: &str) {
    let short: String = text.chars().take(100).collect();
    print!("\r\x1b[K{short}");
    // A terminal that went away is noticed by whoever prints next.
    let _ = std::io::stdout().flush();
}

fn erase() {
    if std::io::stdout().is_terminal() {
        print!("\r\x1b[K");
    }
}

fn boxed(output: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(output)
}

fn line(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
