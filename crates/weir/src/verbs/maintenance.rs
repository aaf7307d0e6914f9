//! `weir maintenance`: real servers that get no new connections until they are taken back.

use clap::{Args, ValueEnum};
use weir_api::Key;
use weir_api::types::{Maintenance, NewMaintenance};

use super::{Form, Target};
use crate::exit::{Code, Failure, Outcome};

/// Give real servers no new connections until they are taken back
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir maintenance 10.0.0.11                 # in all services, at all ports
  weir maintenance 10.0.0.11:8080 --service tcp:192.0.2.10:80
  weir maintenance 10.0.0.11 off
  weir maintenance                           # what is in maintenance

Connections that there are go on. It outlives reloads, restarts of the daemon and of the machine; health
checks go on, and change nothing of it.")]
pub struct Arguments {
    /// The real server: its address, with or without a port
    pub server: Option<String>,
    /// Into maintenance, or back
    #[arg(value_enum, default_value_t = Switch::On)]
    pub switch: Switch,
    /// In this service only
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Into maintenance, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// No new connections.
    On,
    /// As before.
    Off,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let Some(server) = &arguments.server else {
        return arguments.form.print(&client.maintenance()?, render);
    };
    let service: Option<Result<Key, _>> = arguments.service.as_deref().map(str::parse);
    let wish = NewMaintenance {
        server: server.clone(),
        service: service
            .transpose()
            .map_err(|error| Failure::new(Code::Usage, error))?,
        on: arguments.switch == Switch::On,
    };
    let now = client.set_maintenance(&wish)?;
    match arguments.form.json {
        true => arguments.form.print(&now, render),
        false => Ok(()),
    }
}

fn render(maintenance: &Maintenance) -> String {
    let mut text = String::new();
    for one in &maintenance.maintenance {
        text += &one.server;
        if let Some(service) = &one.service {
            text += &format!(" of {service}");
        }
        text.push('\n');
        for server in &one.servers {
            text += &format!("  {} server {}\n", server.service, server.server);
        }
    }
    match text.is_empty() {
        true => "no real server is in maintenance\n".to_owned(),
        false => text,
    }
}
