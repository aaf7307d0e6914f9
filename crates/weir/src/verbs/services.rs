//! `weir services`: the virtual services with their real servers.

use clap::Args;
use weir_api::Key;
use weir_api::types::{Service, Services};

use super::{Form, Target, columns};
use crate::exit::{Code, Failure, Outcome};

/// List virtual services with their real servers
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir services
  weir services tcp:192.0.2.10:80
  weir services --json | jq '.services[].servers[].address'

`weir ipvsadm -L` lists the same as ipvsadm does.")]
pub struct Arguments {
    /// One service only: `tcp:192.0.2.10:80`, `udp:[2001:db8::1]:53`
    pub key: Option<String>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let services = match &arguments.key {
        None => client.services()?,
        Some(text) => {
            let key: Key = text
                .parse()
                .map_err(|error| Failure::new(Code::Usage, error))?;
            Services {
                services: vec![client.service(key.0)?],
            }
        }
    };
    arguments.form.print(&services, render)
}

fn render(services: &Services) -> String {
    if services.services.is_empty() {
        return "no services\n".to_owned();
    }
    let blocks: Vec<String> = services.services.iter().map(render_service).collect();
    blocks.join("\n")
}

fn render_service(service: &Service) -> String {
    let mut text = format!(
        "{}  {}  {} connections, {} now per second\n",
        service.key, service.scheduler, service.counters.connections, service.rates.connections
    );
    if service.servers.is_empty() {
        return text + "  no real servers: clients get ICMP port unreachable\n";
    }
    let mut rows = vec![
        [
            "real server",
            "method",
            "weight",
            "active",
            "inactive",
            "connections",
        ]
        .map(str::to_owned)
        .to_vec(),
    ];
    rows.extend(service.servers.iter().map(|server| {
        vec![
            server.address.to_string(),
            server.forwarding.clone(),
            match server.weight {
                0 => "0 (quiesced)".to_owned(),
                weight => weight.to_string(),
            },
            server.active_connections.to_string(),
            server.inactive_connections.to_string(),
            server.counters.connections.to_string(),
        ]
    }));
    text += &columns(&rows);
    text
}
