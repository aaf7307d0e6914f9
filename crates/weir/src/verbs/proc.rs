//! `weir proc`: what the kernel's IPVS has in files under `/proc/net`.

use clap::Args;
use clap::builder::PossibleValuesParser;
use config::model::{Protocol, ServiceKey};
use ipvsadm::proc::{self, Application, File};
use weir_api::client::Client;
use weir_api::types::ConnectionQuery;
use weir_config as config;
use weir_host::clock;
use weir_ipvsadm as ipvsadm;

use super::ipvsadm::{convert, remote};
use super::{Target, print};
use crate::exit::{Code, Failure, Outcome};

/// Print what the kernel's IPVS has in files under /proc/net, in the same form
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  weir proc ip_vs
  weir proc ip_vs_conn | awk '$8 == \"ESTABLISHED\"'

For programs that read those files. Addresses and ports are in hexadecimal, and so is all that
ip_vs_stats counts, as the kernel writes them.")]
pub struct Arguments {
    /// Which file
    #[arg(
        value_name = "FILE",
        value_parser = PossibleValuesParser::new(File::ALL.map(File::name))
    )]
    file: String,
    #[command(flatten)]
    target: Target,
}

/// FTP's control connection: IPVS's helper for FTP reads those of this port.
const FTP: u16 = 21;
/// Connections asked for at once.
const PAGE: u32 = 10_000;

/// Asks and prints.
pub fn run(arguments: &Arguments) -> Outcome {
    let client = arguments.target.client()?;
    let file = File::from_name(&arguments.file)
        .ok_or_else(|| Failure::new(Code::Usage, format!("no file {}", arguments.file)))?;
    match file {
        File::Services => print(&services(&client)?),
        File::Applications => print(&applications(&client)?),
        File::Connections => connections(&client, false)?,
        File::ConnectionOrigins => connections(&client, true)?,
        File::Statistics => {
            let totals = client.totals()?;
            let (counters, rates) = (
                convert::counters(totals.counters),
                convert::rates(totals.rates),
            );
            print(&proc::statistics(counters, rates));
        }
        File::StatisticsByProcessor => {
            let totals = client.totals()?;
            let processors: Vec<_> = totals
                .processors
                .into_iter()
                .map(convert::counters)
                .collect();
            let (counters, rates) = (
                convert::counters(totals.counters),
                convert::rates(totals.rates),
            );
            print(&proc::statistics_by_processor(&processors, counters, rates));
        }
    }
    Ok(())
}

fn services(client: &Client) -> Result<String, Failure> {
    let services: Vec<_> = client
        .services()?
        .services
        .into_iter()
        .map(convert::service_listing)
        .collect();
    let ticks = clock::kernel_ticks_per_second();
    Ok(proc::services(remote::HEADER, &services, ticks))
}

/// A line at a time: there may be millions.
fn connections(client: &Client, origin: bool) -> Outcome {
    print(proc::connection_title(origin));
    remote::each_connection(client, |one| print(&proc::connection_line(&one, origin)))?;
    Ok(())
}

fn applications(client: &Client) -> Result<String, Failure> {
    let mut connections = 0;
    for service in client.services()?.services {
        match service.key.0 {
            ServiceKey::Address {
                protocol: Protocol::Tcp,
                address,
            } if address.port() == FTP => {
                connections += read_by_ftp(client, address.to_string())?;
            }
            ServiceKey::Address { .. } | ServiceKey::FirewallMark { .. } => {}
        }
    }
    Ok(proc::applications(&[Application {
        name: "ftp",
        port: FTP,
        connections,
    }]))
}

/// Connections to that address in whose packets addresses have to be translated.
fn read_by_ftp(client: &Client, address: String) -> Result<u32, Failure> {
    let mut query = ConnectionQuery {
        protocol: Some(Protocol::Tcp.name().to_owned()),
        r#virtual: Some(address),
        limit: Some(PAGE),
        ..ConnectionQuery::default()
    };
    let mut count = 0;
    loop {
        let page = client.connections(&query)?;
        let translated = page
            .connections
            .iter()
            .filter(|one| !one.template && ["nat", "fullnat"].contains(&one.forwarding.as_str()));
        count += translated.count() as u32;
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return Ok(count),
        }
    }
}
