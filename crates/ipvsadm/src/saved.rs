//! Files that `ipvsadm-save` wrote, as configuration.

use std::collections::HashMap;

use weir_config::diagnostic::{Diagnostic, Label, Severity, Source};
use weir_config::file::Config;
use weir_config::model::{
    self, Engine, GueChecksum, Persistence, Scheduler, ServiceKey, Thresholds, Weight,
};

use crate::{
    Command, Forwarding, Names, Netmask, RealServer, Service, Tunnel, TunnelChecksum, parse,
    restore,
};

/// Whether a text is such a file: its first line that is not empty adds a service.
pub fn looks_like(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.next().is_some_and(|line| {
        let mut words = line.split_whitespace().filter(|word| *word != "ipvsadm");
        let command = words.next();
        command == Some("-A") || command == Some("--add-service") || command == Some("-C")
    })
}

/// Reads such a file; `name` is what it is called in messages.
pub fn read(text: &str, name: &str, names: &dyn Names) -> Result<Config, Vec<Diagnostic>> {
    let source = Source::new(name, text);
    let mut config = Config::default();
    let mut places: HashMap<ServiceKey, usize> = HashMap::new();
    let mut wrong = Vec::new();
    let mut begin = 0;
    for line in text.split_inclusive('\n') {
        let span = begin..begin + line.trim_end().len();
        begin += line.len();
        let arguments = restore::arguments(line);
        if arguments.is_empty() {
            continue;
        }
        let done = parse("ipvsadm", &arguments, names)
            .map_err(|exit| exit.stderr.lines().next().unwrap_or("wrong").to_owned())
            .and_then(|command| take(command, &mut config, &mut places));
        if let Err(message) = done {
            let label = Label {
                source: &source,
                span,
                text: "expected a service or a real server, as ipvsadm-save writes it".to_owned(),
            };
            wrong.push(Diagnostic::new(Severity::Error, message, &label, &[]));
        }
    }
    if wrong.is_empty() {
        Ok(config)
    } else {
        Err(wrong)
    }
}

fn take(
    command: Command,
    config: &mut Config,
    places: &mut HashMap<ServiceKey, usize>,
) -> Result<(), String> {
    match command {
        Command::Flush => {
            config.services.clear();
            places.clear();
        }
        Command::AddService(service) => {
            let service = self::service(&service)?;
            if places.insert(service.key, config.services.len()).is_some() {
                return Err(format!("the service {} is there twice", service.key));
            }
            config.services.push((service, Vec::new()));
        }
        Command::AddServer(key, server) => {
            let Some(place) = places.get(&key) else {
                return Err(format!("there is no service {key}"));
            };
            let server = self::server(&server)?;
            let servers = &mut config.services[*place].1;
            if servers.iter().any(|other| other.address == server.address) {
                return Err(format!("the real server {} is there twice", server.address));
            }
            servers.push(server);
        }
        Command::SetTimeouts(change) => {
            let set = |place: &mut u32, value: u32| {
                if value != 0 {
                    *place = value;
                }
            };
            set(&mut config.timeouts.tcp, change.tcp);
            set(&mut config.timeouts.tcp_fin, change.tcp_fin);
            set(&mut config.timeouts.udp, change.udp);
        }
        Command::EditService(_)
        | Command::DeleteService(_)
        | Command::EditServer(..)
        | Command::DeleteServer(..)
        | Command::List(_)
        | Command::Zero(_)
        | Command::Save { .. }
        | Command::Restore
        | Command::StartDaemon(_)
        | Command::StopDaemon { .. } => {
            return Err("this says nothing of what there is".to_owned());
        }
    }
    Ok(())
}

fn service(service: &Service) -> Result<model::Service, String> {
    let scheduler = Scheduler::from_name(&service.scheduler)
        .ok_or_else(|| format!("there is no scheduler `{}`", service.scheduler))?;
    let mut found = model::Service::new(service.key);
    found.scheduler = scheduler;
    found.flags.flag1 = service.flags.first;
    found.flags.flag2 = service.flags.second;
    found.flags.flag3 = service.flags.third;
    found.one_packet = service.one_packet;
    if let Some(name) = &service.persistence_engine {
        let engine = Engine::from_name(name);
        found.engine = Some(engine.ok_or_else(|| format!("there is no engine `{name}`"))?);
    }
    if let Some(timeout) = service.persistent {
        let netmask = match service.netmask {
            Netmask::V4(mask) => model::Netmask::V4(mask),
            Netmask::V6(length) => model::PrefixLength6::new(length)
                .map(model::Netmask::V6)
                .ok_or("there is no such netmask")?,
        };
        found.persistence = Some(Persistence { timeout, netmask });
    }
    Ok(found)
}

fn server(server: &RealServer) -> Result<model::RealServer, String> {
    let mut found = model::RealServer::new(server.address, forwarding(server.forwarding)?);
    found.weight = Weight::new(server.weight).ok_or("the weight is too great")?;
    found.thresholds = Thresholds::new(server.upper_threshold, server.lower_threshold)
        .ok_or("the lower threshold is above the upper one")?;
    if !model::is_host(server.address.ip()) {
        return Err(format!("{} cannot be a real server", server.address.ip()));
    }
    Ok(found)
}

fn forwarding(forwarding: Forwarding) -> Result<model::Forwarding, String> {
    let checksum = |checksum| match checksum {
        TunnelChecksum::No => GueChecksum::None,
        TunnelChecksum::Yes => GueChecksum::Full,
        TunnelChecksum::Remote => GueChecksum::Remote,
    };
    Ok(match forwarding {
        Forwarding::Nat => model::Forwarding::Nat,
        Forwarding::DirectRouting | Forwarding::Local => model::Forwarding::Direct,
        Forwarding::FullNat => model::Forwarding::FullNat,
        Forwarding::Tunnel(Tunnel::Ipip) => model::Forwarding::Tunnel(model::Tunnel::Ipip),
        Forwarding::Tunnel(Tunnel::Gue { port, checksum: of }) => {
            let port = port.try_into().map_err(|_| "a GUE tunnel has a port")?;
            let checksum = checksum(of);
            model::Forwarding::Tunnel(model::Tunnel::Gue { port, checksum })
        }
        Forwarding::Tunnel(Tunnel::Gre { checksum }) => {
            let checksum = checksum == TunnelChecksum::Yes;
            model::Forwarding::Tunnel(model::Tunnel::Gre { checksum })
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NoNames;

    #[test]
    fn what_was_saved_is_read() {
        let text = "-A -t 192.0.2.10:80 -s wrr -p 60 -M 255.255.255.0\n\
                    -a -t 192.0.2.10:80 -r 10.0.0.11:8080 -m -w 3\n\
                    \n\
                    -A -f 7 -s sh -b sh-port\n\
                    -a -f 7 -r 10.0.0.12:0 -g -w 1\n";
        assert!(looks_like(text));
        let config = read(text, "saved", &NoNames).unwrap();
        let (first, servers) = &config.services[0];
        assert_eq!(first.scheduler, Scheduler::WeightedRoundRobin);
        assert_eq!(first.persistence.unwrap().timeout, 60);
        assert_eq!(servers[0].weight.get(), 3);
        assert_eq!(servers[0].forwarding, model::Forwarding::Nat);
        assert!(config.services[1].0.flags.flag2);
    }

    #[test]
    fn all_that_is_wrong_is_said_with_its_place() {
        let text = "-A -t 192.0.2.10:80 -s nonsense\n-D -t 192.0.2.10:80\n-a -f 7 -r 10.0.0.1\n";
        let wrong = read(text, "saved", &NoNames).unwrap_err();
        let lines: Vec<usize> = wrong.iter().map(|one| one.line).collect();
        assert_eq!(lines, [1, 2, 3]);
        assert!(!looks_like("[director]\n"));
        assert!(!looks_like(""));
    }
}
