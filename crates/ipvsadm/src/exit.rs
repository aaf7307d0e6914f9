//! How an invocation ends.

/// What is printed and the exit code, when an invocation ends without a command to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The process's exit code.
    pub code: u8,
    /// What goes to standard output, newline included.
    pub stdout: String,
    /// What goes to standard error, newline included.
    pub stderr: String,
    /// Whether `ipvsadm -R` goes on with the next line after it.
    pub restore: RestoreGoes,
}

/// What `ipvsadm -R` does after a line that ended so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoreGoes {
    /// It goes on; the exit code counts if it was the last line.
    On,
    /// It ends, with this line's exit code.
    NoFurther,
}

impl Exit {
    /// An error of the command line: exit code 2.
    pub fn usage(message: impl AsRef<str>) -> Self {
        Self::failure(2, message)
    }

    /// An error that ends the process with this code.
    pub fn failure(code: u8, message: impl AsRef<str>) -> Self {
        Self {
            code,
            stdout: String::new(),
            stderr: format!("{}\n", message.as_ref()),
            restore: RestoreGoes::NoFurther,
        }
    }

    /// A command that was done, and what it printed: `ipvsadm -R` goes on.
    pub(crate) fn done(text: String) -> Self {
        Self {
            restore: RestoreGoes::On,
            ..Self::output(text)
        }
    }

    /// Output that was asked for, and the end: exit code 0.
    pub(crate) fn output(text: String) -> Self {
        Self {
            code: 0,
            stdout: text,
            stderr: String::new(),
            restore: RestoreGoes::NoFurther,
        }
    }

    /// A misspelt option, or what the kernel (here: the director) refused: exit code 255, and
    /// `ipvsadm -R` goes on.
    pub(crate) fn refused(message: impl AsRef<str>) -> Self {
        Self {
            restore: RestoreGoes::On,
            ..Self::failure(255, message)
        }
    }

    /// No command came first.
    pub(crate) fn try_help(program: &str) -> Self {
        Self::failure(
            255,
            format!("Try `{program} -h' or '{program} --help' for more information."),
        )
    }
}
