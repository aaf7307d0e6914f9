//! `weir get`: IPVS's sysctls.

use clap::Args;
use weir_api::types::{Sysctl, Sysctls};

use super::{Form, Target, columns};
use crate::exit::{Code, Failure, Outcome};

/// Show IPVS's sysctls, or one of them
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir get
  weir get drop_entry
  weir get --json | jq '.sysctls[] | select(.value != .default)'")]
pub struct Arguments {
    /// One only
    pub name: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let mut sysctls = arguments.target.client()?.sysctls()?;
    let Some(name) = &arguments.name else {
        return arguments.form.print(&sysctls, render);
    };
    sysctls.sysctls.retain(|one| one.name == *name);
    if sysctls.sysctls.is_empty() {
        return Err(Failure::new(
            Code::Usage,
            format!("there is no sysctl `{name}`: `weir get` lists those that there are"),
        ));
    }
    // As sysctl(8) -n does.
    let value = |all: &Sysctls| {
        let values = all.sysctls.iter().map(|one| one.value.clone() + "\n");
        values.collect()
    };
    arguments.form.print(&sysctls, value)
}

fn render(sysctls: &Sysctls) -> String {
    let rows: Vec<Vec<String>> = sysctls.sysctls.iter().map(row).collect();
    columns(&rows)
}

/// A sysctl as a row: name, value, and the default where it is another.
pub(super) fn row(one: &Sysctl) -> Vec<String> {
    let note = match one.value == one.default {
        true => String::new(),
        false => format!("(default {})", one.default.replace('\t', " ")),
    };
    vec![one.name.clone(), one.value.replace('\t', " "), note]
}
