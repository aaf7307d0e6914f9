//! What keywords say, as the models that Weir works by.

mod address;
mod authentication;
mod bfd;
mod check;
mod global;
mod group;
mod http;
mod instance;
mod route;
mod server;
mod service;
mod static_group;
mod strict;
mod sync_group;
mod track;
mod values;

use std::collections::HashMap;

use weir_config::file::Config;
use weir_config::model::ServiceKey;
use weir_config::model::vrrp::{FollowingSync, Instance, Vrrp};
use weir_config::model::{InterfaceName, SyncDaemon, SyncRole};

use crate::grammar::Node;
use crate::language::Surroundings;
use crate::language::place::{Place, Trouble};
use global::Globals;
use track::Trackable;
use values::Troubles;

/// What a whole file says; `host` is what this machine is called.
pub(crate) fn config(
    nodes: &[Node],
    host: &str,
    surroundings: &mut dyn Surroundings,
    found: &mut Vec<Trouble>,
) -> Config {
    let mut troubles = Troubles {
        found: std::mem::take(found),
        surroundings,
        left_out: Vec::new(),
    };
    let troubles = &mut troubles;
    let globals = global::globals(&named(nodes, &["global_defs"]), host, troubles);
    let mut config = Config {
        vrrp: vrrp(nodes, &globals, troubles),
        ..Config::default()
    };
    services(nodes, &globals, &mut config, troubles);
    config.timeouts = globals.timeouts;
    config.director.interfaces = interfaces(&config.vrrp);
    config.notifications = globals.notifications;
    let priorities = |node: &&Node| {
        let inner = node.last("notify_priority_changes");
        inner.is_some_and(|inner| troubles.switch(inner) == Some(true))
    };
    let changes = named(nodes, &["vrrp_instance", "vrrp_sync_group"]);
    config.notifications.priority_changes |= changes.iter().any(priorities);
    *found = std::mem::take(&mut troubles.found);
    config
}

fn named<'n>(nodes: &'n [Node], names: &[&str]) -> Vec<&'n Node> {
    let all = nodes.iter().filter(|node| names.contains(&node.name()));
    all.collect()
}

/// What names have been given, and where.
#[derive(Default)]
struct Names(HashMap<String, Place>);

impl Names {
    /// Whether the name is new.
    fn add(&mut self, node: &Node, troubles: &mut Troubles) -> bool {
        let Some(word) = node.words().first() else {
            return true;
        };
        if let Some(extra) = node.words().get(1) {
            troubles.wrong(extra, "expected one name and `{`");
        }
        match self.0.insert(word.text.clone(), word.place) {
            None => true,
            Some(first) => {
                let message = format!("{} `{}` is there twice", node.name(), word.text);
                let trouble = Trouble::error(word.place, message, "expected another name");
                troubles.push(trouble.beside(first, "first here"));
                false
            }
        }
    }
}

/// All blocks of one kind, names each once.
fn each<T>(
    nodes: &[&Node],
    troubles: &mut Troubles,
    mut read: impl FnMut(&Node, &mut Troubles) -> Option<T>,
) -> Vec<T> {
    let mut names = Names::default();
    let mut all = Vec::new();
    for node in nodes {
        if names.add(node, troubles) {
            all.extend(read(node, troubles));
        }
    }
    all
}

fn vrrp(nodes: &[Node], globals: &Globals, troubles: &mut Troubles) -> Vrrp {
    let of = |names: &[&str]| named(nodes, names);
    let scripts = each(&of(&["vrrp_script"]), troubles, track::script);
    let files = each(
        &of(&["track_file", "vrrp_track_file"]),
        troubles,
        track::file,
    );
    let processes = of(&["vrrp_track_process", "track_process"]);
    let processes = each(&processes, troubles, track::process);
    let bfd = each(&of(&["bfd_instance"]), troubles, bfd::session);
    let sessions: Vec<String> = bfd.iter().map(|session| session.name.clone()).collect();
    let known = Trackable {
        scripts: &scripts,
        files: &files,
        processes: &processes,
        sessions: &sessions,
    };
    let instance_nodes = of(&["vrrp_instance"]);
    let mut followed = None;
    let mut instances = each(&instance_nodes, troubles, |node, troubles| {
        let (instance, sync) = instance::instance(node, globals, &known, troubles)?;
        if let Some(interface) = sync {
            followed.get_or_insert((interface, instance.name.clone()));
        }
        Some(instance)
    });
    numbers_once(&instances, &instance_nodes, troubles);
    let groups = each(&of(&["vrrp_sync_group"]), troubles, |node, troubles| {
        sync_group::group(node, globals, &instances, &known, troubles)
    });
    let default = globals.default_interface.as_ref();
    let lines = |names: &[&str]| of(names).into_iter().flat_map(|node| &node.lines);
    let mut static_addresses = Vec::new();
    let groups_of_static = static_group::groups(&of(&["track_group"]), &instances, troubles);
    for line in lines(&["static_ipaddress"]) {
        let Some(found) = address::address(line, default, true, troubles) else {
            continue;
        };
        static_group::track(line, &found, &groups_of_static, &mut instances, troubles);
        static_addresses.push(found);
    }
    let routes = lines(&["static_routes"]);
    let static_routes = routes
        .filter_map(|line| route::route(line, troubles))
        .collect();
    let rules = lines(&["static_rules"]);
    let static_rules = rules
        .filter_map(|line| route::rule(line, troubles))
        .collect();
    let sync_daemon = sync_daemon(globals, followed, &instances, nodes, troubles);
    let intervals = of(&["garp_group"]).into_iter().flat_map(|node| &node.nodes);
    let mut announcement_interval = globals.announcement_interval;
    for node in intervals.filter(|node| node.name().ends_with("_interval")) {
        let range = std::time::Duration::from_micros(1)..=std::time::Duration::from_secs(1);
        if let Some(interval) = troubles.seconds(node, 6, range) {
            announcement_interval = announcement_interval.max(interval);
        }
    }
    Vrrp {
        instances,
        groups,
        scripts,
        files,
        processes,
        bfd,
        static_addresses,
        static_routes,
        static_rules,
        sync_daemon,
        announcement_interval,
        realtime_priority: globals.realtime_priority,
        startup_delay: globals.startup_delay,
        delay_after_boot: globals.delay_after_boot,
    }
}

/// On one link each number is of one instance of a family, unless they speak to peers alone.
fn numbers_once(instances: &[Instance], nodes: &[&Node], troubles: &mut Troubles) {
    use weir_config::model::vrrp::Peers;
    for (index, instance) in instances.iter().enumerate() {
        let same = |other: &&Instance| {
            (&other.interface, other.router_id, other.v6, &other.peers)
                == (
                    &instance.interface,
                    instance.router_id,
                    instance.v6,
                    &instance.peers,
                )
                && matches!(other.peers, Peers::Multicast { .. })
        };
        if let Some(first) = instances[..index].iter().find(same) {
            let node = nodes.iter().find(|node| {
                node.words()
                    .first()
                    .is_some_and(|word| word.text == instance.name)
            });
            let Some(place) = node.and_then(|node| node.last("virtual_router_id")) else {
                continue;
            };
            let message = format!(
                "`{}` has the number {} on {} already",
                first.name,
                instance.router_id.get(),
                instance.interface.as_str()
            );
            troubles.push(Trouble::error(
                place.place(),
                message,
                "expected another number",
            ));
        }
    }
}

fn sync_daemon(
    globals: &Globals,
    followed: Option<(InterfaceName, String)>,
    instances: &[Instance],
    nodes: &[Node],
    troubles: &mut Troubles,
) -> Option<FollowingSync> {
    let number = |name: &str| {
        let instance = instances.iter().find(|instance| instance.name == name);
        instance.map(|instance| instance.router_id.get())
    };
    let Some(sync) = &globals.sync else {
        // The old way: in the instance.
        let (interface, instance) = followed?;
        return Some(FollowingSync {
            daemon: SyncDaemon {
                role: SyncRole::Master,
                sync_id: number(&instance).unwrap_or(0),
                interface: interface.as_str().to_owned(),
                max_length: None,
                group: None,
                port: None,
                ttl: None,
            },
            instance: Some(instance),
            beside: None,
        });
    };
    let mut sync = sync.clone();
    if let Some(name) = &sync.instance {
        match number(name) {
            Some(number) if !globals.sync_id_said => sync.daemon.sync_id = number,
            Some(_) => {}
            None => {
                let blocks = named(nodes, &["global_defs"]);
                let place = blocks
                    .iter()
                    .find_map(|block| block.last("lvs_sync_daemon"));
                let message = format!("there is no vrrp_instance `{name}`");
                if let Some(node) = place {
                    troubles.error(node.place(), message, "expected the name of one");
                }
            }
        }
    }
    Some(sync)
}

fn services(nodes: &[Node], globals: &Globals, config: &mut Config, troubles: &mut Troubles) {
    let groups = named(nodes, &["virtual_server_group"]);
    let groups = each(&groups, troubles, group::group);
    let sessions = config.vrrp.bfd.iter().map(|session| session.name.clone());
    let sessions: Vec<String> = sessions.collect();
    let tls = check::tls(&named(nodes, &["SSL"]), troubles);
    let around = service::Around {
        globals,
        groups: &groups,
        files: &config.vrrp.files,
        sessions: &sessions,
        tls: &tls,
    };
    let mut places: HashMap<ServiceKey, Place> = HashMap::new();
    for node in named(nodes, &["virtual_server"]) {
        for ((service, servers, health), place) in service::services(node, &around, troubles) {
            if let Some(first) = places.insert(service.key, place) {
                let message = format!("the virtual server {} is there twice", service.key);
                let trouble = Trouble::error(place, message, "expected another one");
                troubles.push(trouble.beside(first, "first here"));
                continue;
            }
            config.services.push((service, servers));
            config.health.push(health);
        }
    }
}

/// The interfaces that carry addresses that come and go: there packets for services come in.
fn interfaces(vrrp: &Vrrp) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &InterfaceName| {
        if !names.iter().any(|known| known == name.as_str()) {
            names.push(name.as_str().to_owned());
        }
    };
    for instance in &vrrp.instances {
        add(&instance.interface);
        let addresses = instance
            .addresses
            .iter()
            .chain(&instance.excluded_addresses);
        addresses
            .filter_map(|a| a.interface.as_ref())
            .for_each(&mut add);
    }
    names
}
