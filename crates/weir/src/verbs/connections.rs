//! `weir connections`: who is connected to whom.

use clap::Args;
use weir_api::types::{Connection, ConnectionPage, ConnectionQuery};

use super::{Form, Target, columns, print};
use crate::exit::Outcome;

/// List connections
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir connections --client 198.51.100.7
  weir connections --virtual 192.0.2.10:80 --state ESTABLISHED --limit 20
  weir connections --server '[2001:db8::a]:80' --json

Addresses are given with or without a port.")]
pub struct Arguments {
    /// Only of this protocol: tcp, udp, sctp
    #[arg(long)]
    protocol: Option<String>,
    /// Only of this client
    #[arg(long, value_name = "ADDRESS")]
    client: Option<String>,
    /// Only to this virtual address
    #[arg(long, value_name = "ADDRESS")]
    r#virtual: Option<String>,
    /// Only to this real server
    #[arg(long, value_name = "ADDRESS")]
    server: Option<String>,
    /// Only in this state, as ipvsadm names it: ESTABLISHED, TIME_WAIT, UDP, ...
    #[arg(long)]
    state: Option<String>,
    /// At most this many
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
}

/// Asks page by page and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let limit = arguments.limit.unwrap_or(usize::MAX);
    let mut query = ConnectionQuery {
        protocol: arguments.protocol.clone(),
        client: arguments.client.clone(),
        r#virtual: arguments.r#virtual.clone(),
        server: arguments.server.clone(),
        state: arguments.state.clone(),
        limit: Some(PAGE.min(limit.max(1)) as u32),
        cursor: None,
    };
    let mut all = ConnectionPage {
        connections: Vec::new(),
        next: None,
    };
    loop {
        let page = client.connections(&query)?;
        all.connections.extend(page.connections);
        all.connections.truncate(limit);
        match page.next {
            Some(next) if all.connections.len() < limit => query.cursor = Some(next),
            _ => break,
        }
    }
    if !arguments.form.json && all.connections.is_empty() {
        print("no connections\n");
        return Ok(());
    }
    arguments.form.print(&all, |all| render(&all.connections))
}

/// Connections asked for at once.
const PAGE: usize = 5_000;

fn render(connections: &[Connection]) -> String {
    // FULLNAT's: whom the real server sees.
    let has_local = connections.iter().any(|one| one.local.is_some());
    let mut titles = vec!["protocol", "expires", "state", "client", "virtual"];
    titles.extend(has_local.then_some("as"));
    titles.push("real server");
    let mut rows = vec![titles.into_iter().map(str::to_owned).collect()];
    rows.extend(connections.iter().map(|one| {
        let mut row = vec![
            one.protocol.clone(),
            format!("{:02}:{:02}", one.expires / 60, one.expires % 60),
            if one.template {
                format!("{} (template)", one.state)
            } else {
                one.state.clone()
            },
            one.client.to_string(),
            one.r#virtual.to_string(),
        ];
        let local = one.local.map(|local| local.to_string());
        row.extend(has_local.then(|| local.unwrap_or_default()));
        row.push(one.server.to_string());
        row
    }));
    columns(&rows)
}
