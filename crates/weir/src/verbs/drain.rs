//! `weir drain`: take a real server out without cutting anybody off.

use std::net::SocketAddr;

use clap::Args;
use weir_api::Key;
use weir_api::types::NewDrain;

use super::Target;
use crate::exit::{Code, Failure, Outcome};

/// Give a real server no new connections, and remove it when its last one has ended
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir drain tcp:192.0.2.10:80 10.0.0.11:8080
  weir drain tcp:192.0.2.10:80 10.0.0.11:8080 --timeout 3600

It returns at once; the daemon goes on, and `weir status` shows how far it is. A weight above 0
(`weir ipvsadm -e`) calls it off.")]
pub struct Arguments {
    /// The service: `tcp:192.0.2.10:80`, `fwmark:7`
    pub service: String,
    /// The real server: `10.0.0.11:8080`
    pub server: SocketAddr,
    /// Remove it after so many seconds, whatever connections it has
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u32>,
    #[command(flatten)]
    target: Target,
}

/// Asks.
pub fn run(arguments: &Arguments) -> Outcome {
    let key: Key = arguments
        .service
        .parse()
        .map_err(|error| Failure::new(Code::Usage, error))?;
    let drain = NewDrain {
        timeout: arguments.timeout,
    };
    let client = arguments.target.client()?;
    Ok(client.drain(key.0, arguments.server, &drain)?)
}
