//! The command line: which verb is meant, and under which name the program was called.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::exit::{self, Code, Outcome};
use crate::verbs::ipvsadm::Program;
use crate::verbs::{
    apply, audit, bfd, check, connections, counters, detach, drain, drift, events, get, health,
    history, import, ipvsadm, maintenance, plan, probe, proc, realserver, rollback, run, services,
    set, status, vrrp,
};

/// The Linux Virtual Server, as one program: a director's daemon and its command line
#[derive(Debug, Parser)]
#[command(
    name = "weir",
    version,
    arg_required_else_help = true,
    after_help = exit::HELP,
    disable_help_subcommand = true
)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Arguments),
    #[command(about = ipvsadm::ABOUT, disable_help_flag = true)]
    Ipvsadm {
        /// ipvsadm's own: see weir ipvsadm -h
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    #[command(about = ipvsadm::ABOUT_SAVE, disable_help_flag = true)]
    IpvsadmSave {
        /// -n: numbers instead of names
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    #[command(about = ipvsadm::ABOUT_RESTORE, disable_help_flag = true)]
    IpvsadmRestore {
        /// None
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    Status(status::Arguments),
    Vrrp(vrrp::Arguments),
    Bfd(bfd::Arguments),
    Services(services::Arguments),
    Health(health::Arguments),
    Connections(connections::Arguments),
    Counters(counters::Arguments),
    Proc(proc::Arguments),
    Get(get::Arguments),
    Set(set::Arguments),
    Drain(drain::Arguments),
    Plan(plan::Arguments),
    Apply(apply::Arguments),
    Rollback(rollback::Arguments),
    History(history::Arguments),
    #[command(visible_alias = "diff")]
    Drift(drift::Arguments),
    Audit(audit::Arguments),
    Events(events::Arguments),
    Maintenance(maintenance::Arguments),
    Check(check::Arguments),
    Import(import::Arguments),
    Probe(Box<probe::Arguments>),
    Detach(detach::Arguments),
    Realserver(realserver::Arguments),
}

/// Runs the program with those arguments, its own name first.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let program = |name: &OsStr| name.to_str().and_then(Program::from_name);
    let name = arguments.first().map(Path::new).and_then(Path::file_name);
    if let Some(program) = name.and_then(program) {
        return ipvsadm::run(program, &arguments[1..]);
    }
    // Before clap sees them: it would take some of ipvsadm's options for its own.
    if let Some(program) = arguments.get(1).and_then(|verb| program(verb)) {
        return ipvsadm::run(program, &arguments[2..]);
    }
    match CommandLine::try_parse_from(arguments) {
        Ok(command_line) => match run_verb(command_line.verb) {
            Ok(code) => code,
            Err(failure) => failure.report(),
        },
        Err(error) => {
            let _ = error.print();
            ExitCode::from(if error.use_stderr() {
                Code::Usage as u8
            } else {
                0
            })
        }
    }
}

fn run_verb(verb: Verb) -> Result<ExitCode, exit::Failure> {
    let done = |outcome: Outcome| outcome.map(|()| ExitCode::SUCCESS);
    match verb {
        Verb::Run(arguments) => done(run::run(&arguments)),
        Verb::Ipvsadm { arguments } => Ok(ipvsadm::run(Program::Ipvsadm, &arguments)),
        Verb::IpvsadmSave { arguments } => Ok(ipvsadm::run(Program::Save, &arguments)),
        Verb::IpvsadmRestore { arguments } => Ok(ipvsadm::run(Program::Restore, &arguments)),
        Verb::Status(arguments) => done(status::run(&arguments)),
        Verb::Vrrp(arguments) => done(vrrp::run(&arguments)),
        Verb::Bfd(arguments) => done(bfd::run(&arguments)),
        Verb::Services(arguments) => done(services::run(&arguments)),
        Verb::Health(arguments) => done(health::run(&arguments)),
        Verb::Connections(arguments) => done(connections::run(&arguments)),
        Verb::Counters(arguments) => done(counters::run(&arguments)),
        Verb::Proc(arguments) => done(proc::run(&arguments)),
        Verb::Get(arguments) => done(get::run(&arguments)),
        Verb::Set(arguments) => done(set::run(&arguments)),
        Verb::Drain(arguments) => done(drain::run(&arguments)),
        Verb::Plan(arguments) => done(plan::run(&arguments)),
        Verb::Apply(arguments) => done(apply::run(&arguments)),
        Verb::Rollback(arguments) => done(rollback::run(&arguments)),
        Verb::History(arguments) => done(history::run(&arguments)),
        Verb::Drift(arguments) => done(drift::run(&arguments)),
        Verb::Audit(arguments) => done(audit::run(&arguments)),
        Verb::Events(arguments) => done(events::run(&arguments)),
        Verb::Maintenance(arguments) => done(maintenance::run(&arguments)),
        Verb::Check(arguments) => done(check::run(&arguments)),
        Verb::Import(arguments) => done(import::run(&arguments)),
        Verb::Probe(arguments) => done(probe::run(&arguments)),
        Verb::Detach(arguments) => done(detach::run(&arguments)),
        Verb::Realserver(arguments) => done(realserver::run(&arguments)),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
