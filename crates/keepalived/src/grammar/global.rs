//! `global_defs`, and what stands beside it.

use super::{Block, Keyword, block, lines, needless, needless_lines, old, refused, takes};

pub(super) const TOP: &[Keyword] = &[
    block("global_defs", "", &GLOBAL_DEFS),
    refused(
        "net_namespace",
        "start Weir in that namespace: `ip netns exec NAME weir run ...`",
    ),
    refused(
        "net_namespace_ipvs",
        "Weir balances where it runs: start it in that namespace, `ip netns exec NAME weir run ...`",
    ),
    needless("namespace_with_ipsets", "Weir uses no ipsets"),
    needless("instance", "Weir has no pid files"),
    needless("use_pid_dir", "Weir has no pid files"),
    needless("child_wait_time", "Weir is one process"),
    needless(
        "linkbeat_use_polling",
        "the kernel tells Weir when a link changes",
    ),
    needless_lines(
        "linkbeat_interfaces",
        "the kernel tells Weir when a link changes",
    ),
    needless_lines(
        "interface_up_down_delays",
        "an interface's change counts at once",
    ),
    lines("static_ipaddress", ""),
    lines("static_routes", ""),
    lines("static_rules", ""),
    block("track_group", "NAME", &TRACK_GROUP),
];

const TRACK_GROUP: Block = Block {
    keywords: &[&[lines("group", "")]],
};

const GLOBAL_DEFS: Block = Block {
    keywords: &[MAIL, NAMES, VRRP, LVS, PROCESSES, OUTSIDE],
};

const MAIL: &[Keyword] = &[
    takes("router_id", "NAME"),
    lines("notification_email", ""),
    takes("notification_email_from", "ADDRESS"),
    takes("smtp_server", "ADDRESS [PORT]"),
    takes("smtp_helo_name", "NAME"),
    takes("smtp_connect_timeout", "SECONDS"),
    takes("smtp_alert", "[on|off]"),
    takes("smtp_alert_vrrp", "[on|off]"),
    takes("smtp_alert_checker", "[on|off]"),
    needless("no_email_faults", "mail is sent for every change"),
    needless(
        "no_checker_emails",
        "mail is sent for servers, not for checks",
    ),
    takes("script_user", "USER [GROUP]"),
    takes("enable_script_security", ""),
    takes("notify_fifo", "PATH [USER [GROUP]]"),
    takes("notify_fifo_script", "COMMAND [USER [GROUP]]"),
    takes("vrrp_notify_fifo", "PATH [USER [GROUP]]"),
    takes("vrrp_notify_fifo_script", "COMMAND [USER [GROUP]]"),
    takes("vrrp_notify_priority_changes", "[on|off]"),
    takes("lvs_notify_fifo", "PATH [USER [GROUP]]"),
    takes("lvs_notify_fifo_script", "COMMAND [USER [GROUP]]"),
    takes("rs_init_notifies", ""),
    needless(
        "fifo_write_vrrp_states_on_reload",
        "a reload changes no state, so there is none to write",
    ),
    refused(
        "startup_script",
        "let the service manager run it: `ExecStartPre=` in Weir's unit",
    ),
    refused(
        "shutdown_script",
        "let the service manager run it: `ExecStopPost=` in Weir's unit",
    ),
    needless("startup_script_timeout", "Weir runs no startup script"),
    needless("shutdown_script_timeout", "Weir runs no shutdown script"),
];

const NAMES: &[Keyword] = &[
    needless("process_names", "Weir is one process"),
    needless("process_name", "Weir is one process"),
    needless("vrrp_process_name", "Weir is one process"),
    needless("checker_process_name", "Weir is one process"),
    needless("lvs_process_name", "Weir is one process"),
    needless("bfd_process_name", "Weir is one process"),
    needless(
        "use_symlink_paths",
        "a script runs by the path that is written",
    ),
    needless(
        "set_supplementary_groups",
        "a script has the groups of its user",
    ),
    takes("default_interface", "INTERFACE"),
    takes("vmac_prefix", "TEXT"),
    needless(
        "vmac_addr_prefix",
        "there is one virtual interface for each instance",
    ),
];

const VRRP: &[Keyword] = &[
    takes("vrrp_mcast_group4", "ADDRESS"),
    takes("vrrp_mcast_group6", "ADDRESS"),
    takes("vrrp_garp_master_delay", "SECONDS"),
    takes("vrrp_garp_master_repeat", "NUMBER"),
    takes("vrrp_garp_master_refresh", "SECONDS"),
    takes("vrrp_garp_master_refresh_repeat", "NUMBER"),
    takes("vrrp_garp_lower_prio_delay", "SECONDS"),
    takes("vrrp_garp_lower_prio_repeat", "NUMBER"),
    takes("vrrp_garp_interval", "SECONDS"),
    takes("vrrp_gna_interval", "SECONDS"),
    takes("vrrp_min_garp", "[on|off]"),
    needless(
        "vrrp_garp_extra_if",
        "addresses are announced where they are",
    ),
    needless(
        "vrrp_vmac_garp_intvl",
        "addresses are announced where they are",
    ),
    takes("vrrp_down_timer_adverts", "NUMBER"),
    takes("vrrp_lower_prio_no_advert", "[on|off]"),
    takes("vrrp_higher_prio_send_advert", "[on|off]"),
    takes("vrrp_owner_ignore_adverts", "[on|off]"),
    takes("vrrp_version", "2|3"),
    takes("v3_checksum_as_v2", "[on|off]"),
    takes("vrrp_check_unicast_src", ""),
    takes("vrrp_skip_check_adv_addr", ""),
    takes("vrrp_strict", "[on|off]"),
    takes("vrrp_rt_priority", "1-99"),
    needless("vrrp_iptables", "Weir refuses packets by its own rules"),
    needless("vrrp_ipsets", "Weir refuses packets by its own rules"),
    needless("nftables", "Weir refuses packets by its own rules"),
    needless("nftables_priority", "Weir refuses packets by its own rules"),
    needless("nftables_ifindex", "Weir refuses packets by its own rules"),
    needless("nftables_counters", "Weir refuses packets by its own rules"),
    needless("disable_local_igmp", "the kernel's setting stays as it is"),
    needless("dynamic_interfaces", "interfaces may always come and go"),
    takes("vrrp_startup_delay", "SECONDS"),
    takes("vrrp_delay_after_boot", "SECONDS"),
    needless("log_unknown_vrids", "unknown virtual routers are counted"),
    needless("vrrp_rx_bufs_policy", "the kernel's sizes of buffers do"),
    needless(
        "vrrp_rx_bufs_multiplier",
        "the kernel's sizes of buffers do",
    ),
];

const LVS: &[Keyword] = &[
    takes(
        "lvs_timeouts",
        "[tcp SECONDS] [tcpfin SECONDS] [udp SECONDS]",
    ),
    takes(
        "lvs_sync_daemon",
        "INTERFACE [[inst] INSTANCE] [id NUMBER] [maxlen BYTES] [port PORT] [ttl NUMBER] [group ADDRESS]",
    ),
    needless("lvs_flush", "the services of the file are what there is"),
    needless(
        "lvs_flush_on_stop",
        "the kernel goes on forwarding when Weir stops",
    ),
    needless(
        "lvs_flush_onstop",
        "the kernel goes on forwarding when Weir stops",
    ),
    takes("checker_log_all_failures", "[on|off]"),
    needless(
        "nftables_ipvs",
        "Weir has a service for each address of a group",
    ),
    needless(
        "nftables_ipvs_priority",
        "Weir has a service for each address of a group",
    ),
    needless(
        "nftables_ipvs_start_fwmark",
        "Weir has a service for each address of a group",
    ),
];

const PROCESSES: &[Keyword] = &[
    needless("max_auto_priority", "Weir's priority stays as it is"),
    needless("min_auto_priority_delay", "Weir's priority stays as it is"),
    needless(
        "vrrp_priority",
        "Weir is one process: set it in its unit, `Nice=`",
    ),
    needless(
        "checker_priority",
        "Weir is one process: set it in its unit, `Nice=`",
    ),
    needless(
        "bfd_priority",
        "Weir is one process: set it in its unit, `Nice=`",
    ),
    needless("vrrp_no_swap", "set `MemorySwapMax=0` in Weir's unit"),
    needless("checker_no_swap", "set `MemorySwapMax=0` in Weir's unit"),
    needless("bfd_no_swap", "set `MemorySwapMax=0` in Weir's unit"),
    needless("checker_rt_priority", "checks need no real-time priority"),
    needless("bfd_rt_priority", "BFD has the priority of VRRP"),
    needless("vrrp_cpu_affinity", "set `CPUAffinity=` in Weir's unit"),
    needless("checker_cpu_affinity", "set `CPUAffinity=` in Weir's unit"),
    needless("bfd_cpu_affinity", "set `CPUAffinity=` in Weir's unit"),
    needless("vrrp_rlimit_rttime", "set `LimitRTTIME=` in Weir's unit"),
    needless("checker_rlimit_rttime", "set `LimitRTTIME=` in Weir's unit"),
    needless("bfd_rlimit_rttime", "set `LimitRTTIME=` in Weir's unit"),
    old("vrrp_rlimit_rtime", "MICROSECONDS", "vrrp_rlimit_rttime"),
    old(
        "checker_rlimit_rtime",
        "MICROSECONDS",
        "checker_rlimit_rttime",
    ),
    old("bfd_rlimit_rtime", "MICROSECONDS", "bfd_rlimit_rttime"),
    needless(
        "vrrp_netlink_cmd_rcv_bufs",
        "Weir's buffers are large enough",
    ),
    needless(
        "vrrp_netlink_cmd_rcv_bufs_force",
        "Weir's buffers are large enough",
    ),
    needless(
        "vrrp_netlink_monitor_rcv_bufs",
        "Weir's buffers are large enough",
    ),
    needless(
        "vrrp_netlink_monitor_rcv_bufs_force",
        "Weir's buffers are large enough",
    ),
    needless(
        "lvs_netlink_cmd_rcv_bufs",
        "Weir's buffers are large enough",
    ),
    needless(
        "lvs_netlink_cmd_rcv_bufs_force",
        "Weir's buffers are large enough",
    ),
    needless(
        "lvs_netlink_monitor_rcv_bufs",
        "Weir's buffers are large enough",
    ),
    needless(
        "lvs_netlink_monitor_rcv_bufs_force",
        "Weir's buffers are large enough",
    ),
    needless(
        "process_monitor_rcv_bufs",
        "Weir's buffers are large enough",
    ),
    needless(
        "process_monitor_rcv_bufs_force",
        "Weir's buffers are large enough",
    ),
];

const SNMP: &str = "Weir has no SNMP; `weir counters`, `weir events` and the API say the same";
const DBUS: &str = "Weir has no D-Bus; its API is HTTP on a socket";
const FILES: &str = "Weir writes no such file; ask the API";

const OUTSIDE: &[Keyword] = &[
    needless("snmp_socket", SNMP),
    needless("enable_traps", SNMP),
    needless("enable_snmp_vrrp", SNMP),
    needless("enable_snmp_keepalived", SNMP),
    needless("enable_snmp_checker", SNMP),
    needless("enable_snmp_rfc", SNMP),
    needless("enable_snmp_rfcv2", SNMP),
    needless("enable_snmp_rfcv3", SNMP),
    needless("snmp_vs_stats_update_interval", SNMP),
    needless("snmp_rs_stats_update_interval", SNMP),
    needless("enable_dbus", DBUS),
    needless("dbus_service_name", DBUS),
    needless("dbus_no_interface_name", DBUS),
    needless("umask", "set `UMask=` in Weir's unit"),
    needless("random_seed", "the random numbers of a file are Weir's own"),
    needless(
        "reload_check_config",
        "a file with errors never changes anything",
    ),
    needless(
        "reload_time_file",
        "let a timer of the service manager reload Weir",
    ),
    needless(
        "reload_repeat",
        "let a timer of the service manager reload Weir",
    ),
    needless("reload_file", "a file is read at once and as a whole"),
    takes(
        "include_check",
        "[readable] [match] [wildcard_match] [brace_match]",
    ),
    needless(
        "config_save_dir",
        "`weir history` keeps what was configured",
    ),
    needless("tmp_config_directory", "a file is read once"),
    needless("data_use_instance", FILES),
    needless("json_version", FILES),
    needless(
        "iproute_usr_dir",
        "Weir knows the tables main, default and local by name",
    ),
    needless(
        "iproute_etc_dir",
        "Weir knows the tables main, default and local by name",
    ),
    needless("state_dump_file", FILES),
    needless("stats_dump_file", FILES),
    needless("json_dump_file", FILES),
    needless("state_file_location", FILES),
    needless("stats_file_location", FILES),
    needless("json_file_location", FILES),
];
