//! `global_defs`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU8;
use std::time::Duration;

use weir_config::model::vrrp::{Announcements, FollowingSync, Version};
use weir_config::model::{
    Fifo, InterfaceName, Mail, Notifications, SyncDaemon, SyncRole, Timeouts,
};

use super::values::{LONG, Troubles};
use crate::grammar::Node;

/// What holds for all blocks.
#[derive(Debug)]
pub(super) struct Globals {
    pub(super) notifications: Notifications,
    pub(super) timeouts: Timeouts,
    pub(super) sync: Option<FollowingSync>,
    /// Whether the sync daemon's number is said; else it is its instance's.
    pub(super) sync_id_said: bool,
    pub(super) version: Option<Version>,
    pub(super) announcements: Announcements,
    /// `vrrp_garp_lower_prio_repeat` and `_delay`, where they are said.
    pub(super) lower: (Option<u16>, Option<Duration>),
    pub(super) announcement_interval: Duration,
    pub(super) missed: NonZeroU8,
    pub(super) lower_priority_silent: Option<bool>,
    pub(super) higher_priority_answered: bool,
    pub(super) checksum_as_version_2: bool,
    pub(super) check_unicast_source: bool,
    pub(super) any_addresses: bool,
    pub(super) owner_ignores_others: bool,
    pub(super) strict: bool,
    pub(super) groups: (Option<IpAddr>, Option<IpAddr>),
    pub(super) realtime_priority: u8,
    pub(super) startup_delay: Duration,
    pub(super) delay_after_boot: Duration,
    pub(super) vmac_prefix: Option<String>,
    pub(super) default_interface: Option<InterfaceName>,
    pub(super) mail: Option<bool>,
    pub(super) mail_vrrp: Option<bool>,
    pub(super) mail_checker: Option<bool>,
    pub(super) log_all_failures: bool,
}

impl Default for Globals {
    fn default() -> Self {
        Self {
            notifications: Notifications {
                script_security: false,
                ..Notifications::default()
            },
            timeouts: Timeouts::UNCHANGED,
            sync: None,
            sync_id_said: false,
            version: None,
            announcements: Announcements::default(),
            lower: (None, None),
            announcement_interval: Duration::ZERO,
            missed: NonZeroU8::MIN.saturating_add(2),
            lower_priority_silent: None,
            higher_priority_answered: false,
            checksum_as_version_2: false,
            check_unicast_source: false,
            any_addresses: false,
            owner_ignores_others: false,
            strict: false,
            groups: (None, None),
            realtime_priority: 0,
            startup_delay: Duration::ZERO,
            delay_after_boot: Duration::ZERO,
            vmac_prefix: None,
            default_interface: None,
            mail: None,
            mail_vrrp: None,
            mail_checker: None,
            log_all_failures: false,
        }
    }
}

/// Reads all `global_defs`; `host` is what this machine is called.
pub(super) fn globals(nodes: &[&Node], host: &str, troubles: &mut Troubles) -> Globals {
    let mut globals = Globals::default();
    let mut mail = MailParts::default();
    let mut fifos = Fifos::default();
    for node in nodes.iter().flat_map(|block| &block.nodes) {
        globals.take(node, troubles);
        mail.take(node, troubles);
        fifos.take(node, troubles);
    }
    let [all, vrrp, lvs] = fifos.0;
    globals.notifications.fifo = all.finish(troubles);
    globals.notifications.vrrp_fifo = vrrp.finish(troubles);
    globals.notifications.lvs_fifo = lvs.finish(troubles);
    globals.notifications.mail = mail.finish(host);
    globals.announcements.lower_repeat = globals.lower.0.unwrap_or(globals.announcements.repeat);
    globals.announcements.lower_delay = globals.lower.1.unwrap_or(globals.announcements.delay);
    globals
}

impl Globals {
    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        let notifications = &mut self.notifications;
        match node.name() {
            "router_id" => {
                notifications.router_id = troubles.word(node).map(|word| word.text.clone());
            }
            "script_user" => notifications.script_user = troubles.user(node, 0),
            "enable_script_security" => notifications.script_security = true,
            "rs_init_notifies" => notifications.initial_server_states = true,
            "vrrp_notify_priority_changes" => {
                set(&mut notifications.priority_changes, troubles.switch(node));
            }
            "smtp_alert" => self.mail = troubles.switch(node).or(self.mail),
            "smtp_alert_vrrp" => self.mail_vrrp = troubles.switch(node).or(self.mail_vrrp),
            "smtp_alert_checker" => {
                self.mail_checker = troubles.switch(node).or(self.mail_checker);
            }
            "checker_log_all_failures" => set(&mut self.log_all_failures, troubles.switch(node)),
            "default_interface" => self.default_interface = troubles.interface(node),
            "vmac_prefix" => {
                self.vmac_prefix = troubles.word(node).map(|word| word.text.clone());
            }
            "lvs_timeouts" => self.lvs_timeouts(node, troubles),
            "lvs_sync_daemon" => {
                self.sync_id_said = node.words().iter().any(|word| word.text == "id");
                self.sync = sync_daemon(node, troubles);
            }
            _ => self.take_vrrp(node, troubles),
        }
    }

    fn take_vrrp(&mut self, node: &Node, troubles: &mut Troubles) {
        match node.name() {
            "vrrp_version" => {
                let known = [("2", Version::V2), ("3", Version::V3)];
                self.version = troubles.one_of(node, &known).or(self.version);
            }
            "vrrp_mcast_group4" | "vrrp_mcast_group6" => {
                let v4 = node.name().ends_with('4');
                let fits = |address: &IpAddr| address.is_multicast() && address.is_ipv4() == v4;
                let address = troubles.address(node);
                match address.filter(fits) {
                    Some(group) if v4 => self.groups.0 = Some(group),
                    Some(group) => self.groups.1 = Some(group),
                    None if address.is_some() => {
                        if let Some(word) = node.words().first() {
                            troubles.wrong(word, "expected a multicast address of that family");
                        }
                    }
                    None => {}
                }
            }
            "vrrp_garp_interval" | "vrrp_gna_interval" => {
                let range = Duration::from_micros(1)..=Duration::from_secs(1);
                if let Some(interval) = troubles.seconds(node, 6, range) {
                    self.announcement_interval = self.announcement_interval.max(interval);
                }
            }
            "vrrp_min_garp" => {
                if troubles.switch(node) == Some(true) {
                    self.announcements.repeat = 1;
                    self.announcements.delay = Duration::ZERO;
                }
            }
            "vrrp_garp_lower_prio_repeat" => {
                let number = troubles.number(node, 0..=0x7fff_ffff);
                self.lower.0 = number.map(many).or(self.lower.0);
            }
            "vrrp_garp_lower_prio_delay" => {
                let seconds = troubles.number(node, 0..=4294);
                self.lower.1 = seconds
                    .map(|s| Duration::from_secs(s.into()))
                    .or(self.lower.1);
            }
            "vrrp_down_timer_adverts" => set(&mut self.missed, missed(node, troubles)),
            "vrrp_lower_prio_no_advert" => {
                let silent = troubles.switch(node);
                self.lower_priority_silent = silent.or(self.lower_priority_silent);
            }
            "vrrp_higher_prio_send_advert" => {
                set(&mut self.higher_priority_answered, troubles.switch(node));
            }
            "v3_checksum_as_v2" => set(&mut self.checksum_as_version_2, troubles.switch(node)),
            "vrrp_check_unicast_src" => self.check_unicast_source = true,
            "vrrp_skip_check_adv_addr" => self.any_addresses = true,
            "vrrp_strict" => set(&mut self.strict, troubles.switch(node)),
            "vrrp_owner_ignore_adverts" => {
                set(&mut self.owner_ignores_others, troubles.switch(node));
            }
            "vrrp_startup_delay" => {
                let delay = troubles.seconds(node, 6, Duration::ZERO..=LONG);
                set(&mut self.startup_delay, delay);
            }
            "vrrp_delay_after_boot" => {
                let delay = troubles.seconds(node, 6, Duration::ZERO..=LONG);
                set(&mut self.delay_after_boot, delay);
            }
            "vrrp_rt_priority" => {
                let number = troubles.number(node, 1..=99);
                set(
                    &mut self.realtime_priority,
                    number.and_then(|number| u8::try_from(number).ok()),
                );
            }
            name => {
                if let Some(name) = name.strip_prefix("vrrp_") {
                    announcement(&mut self.announcements, name, node, troubles);
                }
            }
        }
    }

    fn lvs_timeouts(&mut self, node: &Node, troubles: &mut Troubles) {
        if node.words().is_empty() {
            troubles.missing(node);
        }
        for pair in node.words().chunks(2) {
            let timeout = match pair[0].text.as_str() {
                "tcp" => &mut self.timeouts.tcp,
                "tcpfin" => &mut self.timeouts.tcp_fin,
                "udp" => &mut self.timeouts.udp,
                _ => {
                    troubles.wrong(&pair[0], "expected tcp, tcpfin or udp");
                    continue;
                }
            };
            let Some(seconds) = pair.get(1) else {
                troubles.missing(node);
                continue;
            };
            if let Some(seconds) = troubles.number_in(seconds, 1..=86_400 * 31) {
                *timeout = seconds;
            }
        }
    }
}

pub(super) fn set<T>(place: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *place = value;
    }
}

pub(super) fn many(number: u32) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

pub(super) fn missed(node: &Node, troubles: &mut Troubles) -> Option<NonZeroU8> {
    let number = troubles.number(node, 1..=100)?;
    NonZeroU8::new(u8::try_from(number).ok()?)
}

/// `garp_master_...`, of an instance or of all.
pub(super) fn announcement(
    announcements: &mut Announcements,
    name: &str,
    node: &Node,
    troubles: &mut Troubles,
) {
    let seconds = |troubles: &mut Troubles| {
        let seconds = troubles.number(node, 0..=4294);
        seconds.map(|seconds| Duration::from_secs(seconds.into()))
    };
    match name {
        "garp_master_delay" => set(&mut announcements.delay, seconds(troubles)),
        "garp_master_repeat" | "garp_master_refresh_repeat" => {
            let Some(number) = troubles.number(node, 0..=u32::MAX) else {
                return;
            };
            if number == 0 {
                let message = format!("`{}` is 0", node.name());
                troubles.warning(node.place(), message, "1 is taken, as keepalived does");
            }
            let number = many(number.max(1));
            match name {
                "garp_master_repeat" => announcements.repeat = number,
                _ => announcements.refresh_repeat = number,
            }
        }
        "garp_master_refresh" => {
            if let Some(number) = troubles.number(node, 0..=u32::MAX) {
                let refresh = Duration::from_secs(number.into()).min(LONG);
                announcements.refresh = (number != 0).then_some(refresh);
            }
        }
        _ => {}
    }
}

/// `lvs_sync_daemon`.
fn sync_daemon(node: &Node, troubles: &mut Troubles) -> Option<FollowingSync> {
    let mut words = node.words().iter();
    let interface = troubles.interface(node)?;
    words.next();
    let mut daemon = SyncDaemon {
        role: SyncRole::Master,
        sync_id: 0,
        interface: interface.as_str().to_owned(),
        max_length: None,
        group: None,
        port: None,
        ttl: None,
    };
    let mut instance = None;
    let narrow = |number: Option<u32>| number.and_then(|number| u16::try_from(number).ok());
    while let Some(word) = words.next() {
        let option = matches!(
            word.text.as_str(),
            "inst" | "id" | "maxlen" | "port" | "ttl" | "group"
        );
        if !option {
            instance = Some(word.text.clone());
            continue;
        }
        let Some(value) = words.next() else {
            troubles.wrong(word, "expected a value behind it");
            break;
        };
        match word.text.as_str() {
            "inst" => instance = Some(value.text.clone()),
            "id" => {
                let number = troubles.number_in(value, 0..=255);
                set(
                    &mut daemon.sync_id,
                    number.and_then(|n| u8::try_from(n).ok()),
                );
            }
            "maxlen" => daemon.max_length = narrow(troubles.number_in(value, 1..=65_507)),
            "port" => daemon.port = troubles.port_in(value),
            "ttl" => {
                let number = troubles.number_in(value, 1..=255);
                daemon.ttl = number.and_then(|number| u8::try_from(number).ok());
            }
            _ => match troubles.address_in(value) {
                Some(group) if group.is_multicast() => daemon.group = Some(group),
                Some(_) => troubles.wrong(value, "expected a multicast address"),
                None => {}
            },
        }
    }
    let beside = instance.is_none().then_some(SyncRole::Backup);
    Some(FollowingSync {
        daemon,
        instance,
        beside,
    })
}

/// Mail, as it is said piece by piece.
#[derive(Default)]
struct MailParts {
    to: Vec<String>,
    from: Option<String>,
    server: Option<SocketAddr>,
    greeting: Option<String>,
    timeout: Option<Duration>,
}

impl MailParts {
    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        let text = |troubles: &mut Troubles| troubles.word(node).map(|word| word.text.clone());
        match node.name() {
            "notification_email" => {
                let words = node.lines.iter().flat_map(|line| &line.words);
                self.to.extend(words.map(|word| word.text.clone()));
            }
            "notification_email_from" => self.from = text(troubles),
            "smtp_helo_name" => self.greeting = text(troubles),
            "smtp_connect_timeout" => {
                let range = Duration::from_micros(1)..=LONG;
                self.timeout = troubles.seconds(node, 6, range);
            }
            "smtp_server" => {
                let Some(word) = troubles.word(node) else {
                    return;
                };
                let port = match node.words().get(1) {
                    Some(port) => troubles.port_in(port),
                    None => Some(25),
                };
                match (word.text.parse::<IpAddr>(), port) {
                    (Ok(address), Some(port)) => {
                        self.server = Some(SocketAddr::new(address, port));
                    }
                    (Ok(_), None) => {}
                    (Err(_), _) => troubles.error(
                        word.place,
                        format!("`{}` is no address", word.text),
                        "Weir looks up no names while it fails over: expected an address",
                    ),
                }
            }
            _ => {}
        }
    }

    fn finish(self, host: &str) -> Option<Mail> {
        if self.to.is_empty() {
            return None;
        }
        let local = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 25);
        Some(Mail {
            to: self.to,
            from: self.from.unwrap_or_else(|| format!("keepalived@{host}")),
            server: self.server.unwrap_or(local),
            greeting: self.greeting,
            timeout: self.timeout.unwrap_or(Duration::from_secs(30)),
        })
    }
}

/// The pipe of all, that of VRRP, that of services.
#[derive(Default)]
struct Fifos([FifoParts; 3]);

#[derive(Default)]
struct FifoParts {
    fifo: Option<Fifo>,
    script: Option<(weir_config::model::Script, crate::language::place::Place)>,
}

impl Fifos {
    fn take(&mut self, node: &Node, troubles: &mut Troubles) {
        let (which, script) = match node.name() {
            "notify_fifo" => (0, false),
            "notify_fifo_script" => (0, true),
            "vrrp_notify_fifo" => (1, false),
            "vrrp_notify_fifo_script" => (1, true),
            "lvs_notify_fifo" => (2, false),
            "lvs_notify_fifo_script" => (2, true),
            _ => return,
        };
        let parts = &mut self.0[which];
        if script {
            parts.script = troubles.script(node).map(|script| (script, node.place()));
        } else if let Some(word) = troubles.word(node) {
            if !word.text.starts_with('/') {
                return troubles.wrong(word, "expected a path that begins with `/`");
            }
            if node.words().len() > 1 {
                let message = "the pipe belongs to whom Weir runs as";
                troubles.note(
                    node.place(),
                    message,
                    "let its reader be of that user's group",
                );
            }
            parts.fifo = Some(Fifo {
                path: word.text.clone().into(),
                script: None,
            });
        }
    }
}

impl FifoParts {
    fn finish(self, troubles: &mut Troubles) -> Option<Fifo> {
        match (self.fifo, self.script) {
            (Some(fifo), script) => Some(Fifo {
                script: script.map(|(script, _)| script),
                ..fifo
            }),
            (None, Some((_, place))) => {
                troubles.warning(
                    place,
                    "there is no pipe for this script",
                    "expected one too",
                );
                None
            }
            (None, None) => None,
        }
    }
}
