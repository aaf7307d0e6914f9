//! `ipvsadm-save` and `ipvsadm-restore`, which come with ipvsadm as scripts around it.

use crate::exit::Exit;
use crate::message::CANNOT_INITIALIZE;
use crate::run::Invocation;

/// The name of the script that saves.
pub const SAVE: &str = "ipvsadm-save";
/// The name of the script that restores.
pub const RESTORE: &str = "ipvsadm-restore";

impl Invocation<'_> {
    /// `ipvsadm-save`: `-n` and nothing else is an option, and what is none is ignored.
    pub fn run_save(&mut self, arguments: &[String]) -> u8 {
        let mut command = vec!["-S".to_owned()];
        for argument in arguments.iter().filter(|one| one.starts_with('-')) {
            if argument != "-n" {
                return self.end(&Exit::failure(
                    1,
                    format!(
                        "{SAVE}: Script to save the IPVS table to stdout.\n   \
                         With the -n option, prints out the table in numeric format."
                    ),
                ));
            }
            command.truncate(1);
            command.push("-n".to_owned());
        }
        self.run(&command, &mut std::iter::empty())
    }

    /// `ipvsadm-restore`: the lines of standard input that do not start with `#` take the place of
    /// all services. It takes no arguments, and ignores them. All is read before anything is deleted.
    pub fn run_restore(&mut self, input: &mut dyn Iterator<Item = String>) -> u8 {
        let lines: Vec<String> = input.filter(|line| !line.starts_with('#')).collect();
        // Only that there is nobody to talk to ends it here: that need not be said twice.
        let cleared = self.run(&["-C".to_owned()], &mut std::iter::empty());
        if cleared == CANNOT_INITIALIZE {
            return cleared;
        }
        self.run(&["-R".to_owned()], &mut lines.into_iter())
    }
}
