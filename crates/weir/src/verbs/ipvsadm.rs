//! `weir ipvsadm`, and the same binary under the names `ipvsadm`, `ipvsadm-save` and
//! `ipvsadm-restore`: ipvsadm 1.31 on the management API.

use std::ffi::OsString;
use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use api::client::Client;
use ipvsadm::{Invocation, Stream, scripts};
use weir_api as api;
use weir_ipvsadm as ipvsadm;

use crate::exit;
use crate::names::SystemNames;

pub(super) mod convert;
pub(super) mod remote;

pub use remote::RemoteDirector;

/// What the help of `weir` says of it.
pub const ABOUT: &str = "ipvsadm 1.31: the same options, listings and exit codes";
/// What it says of `ipvsadm-save`.
pub const ABOUT_SAVE: &str = "Print the services as ipvsadm-restore reads them";
/// What it says of `ipvsadm-restore`.
pub const ABOUT_RESTORE: &str = "Replace all services by those on standard input";

/// How it calls itself to the daemon.
pub const AGENT: &str = "ipvsadm";

/// One of the programs that come with ipvsadm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `ipvsadm`
    Ipvsadm,
    /// `ipvsadm-save`
    Save,
    /// `ipvsadm-restore`
    Restore,
}

impl Program {
    /// The program of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Ipvsadm, Self::Save, Self::Restore]
            .into_iter()
            .find(|program| program.name() == name)
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ipvsadm => "ipvsadm",
            Self::Save => scripts::SAVE,
            Self::Restore => scripts::RESTORE,
        }
    }
}

/// Runs it with those arguments, without its name.
pub fn run(program: Program, arguments: &[OsString]) -> ExitCode {
    let arguments: Vec<String> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let socket = std::env::var_os(api::SOCKET_VARIABLE)
        .map_or_else(|| PathBuf::from(api::DEFAULT_SOCKET), PathBuf::from);
    let client = match Client::new(&socket) {
        Ok(client) => client.named(AGENT),
        Err(error) => {
            exit::complain(&format!("{}: {error}", program.name()));
            return ExitCode::from(exit::Code::Usage as u8);
        }
    };
    let mut director = RemoteDirector::new(client);
    let mut invocation = Invocation {
        // The scripts call it so, too.
        program: Program::Ipvsadm.name(),
        names: &SystemNames,
        director: &mut director,
        print: &mut write,
    };
    // A line that is not UTF-8 is refused for what it says; it must not end the input unseen.
    let lines = io::stdin().lock().split(b'\n').map_while(Result::ok);
    let mut input = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
    let code = match program {
        Program::Ipvsadm => invocation.run(&arguments, &mut input),
        Program::Save => invocation.run_save(&arguments),
        Program::Restore => invocation.run_restore(&mut input),
    };
    ExitCode::from(code)
}

fn write(stream: Stream, text: &str) {
    // Whoever reads it may have stopped reading (`| head`): no matter.
    let _ = match stream {
        Stream::Output => io::stdout().write_all(text.as_bytes()),
        Stream::Error => io::stderr().write_all(text.as_bytes()),
    };
}
