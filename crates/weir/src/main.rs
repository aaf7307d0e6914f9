//! The Linux Virtual Server, as one program.

use std::process::ExitCode;

fn main() -> ExitCode {
    weir::command_line::main(std::env::args_os().collect())
}
