//! VRRP, what it tracks, and BFD.

use super::{Block, Body, Keyword, Support, block, lines, needless, old, refused, takes};

pub(super) const TOP: &[Keyword] = &[
    block("vrrp_instance", "NAME", &INSTANCE),
    block("vrrp_sync_group", "NAME", &SYNC_GROUP),
    block("vrrp_script", "NAME", &SCRIPT),
    block("vrrp_track_process", "NAME", &PROCESS),
    block("track_process", "NAME", &PROCESS),
    block("track_file", "NAME", &FILE),
    Keyword {
        support: Support::Old("track_file"),
        ..block("vrrp_track_file", "NAME", &FILE)
    },
    block("garp_group", "", &GARP_GROUP),
    block("bfd_instance", "NAME", &BFD),
];

const INSTANCE: Block = Block {
    keywords: &[
        INSTANCE_ITSELF,
        ADDRESSES,
        PEERS,
        TRACKING,
        NOTIFY,
        ANNOUNCING,
    ],
};

const SYNC_GROUP: Block = Block {
    keywords: &[
        &[
            lines("group", ""),
            old("global_tracking", "", "sync_group_tracking_weight"),
            takes("sync_group_tracking_weight", ""),
        ],
        TRACKING,
        NOTIFY,
    ],
};

const INSTANCE_ITSELF: &[Keyword] = &[
    takes("state", "MASTER|BACKUP"),
    takes("interface", "INTERFACE"),
    takes("virtual_router_id", "1-255"),
    takes("priority", "1-255"),
    takes("advert_int", "SECONDS"),
    takes("version", "2|3"),
    takes("native_ipv6", ""),
    takes(
        "use_vmac",
        "[[name] NAME] [MAC] [netlink_notify_msg] [group GROUP]",
    ),
    takes("use_vmac_addr", ""),
    takes("vmac_xmit_base", ""),
    refused(
        "use_ipvlan",
        "Weir makes no ipvlan: `use_vmac`, or the interface itself",
    ),
    refused("vrf", "name an interface in the VRF with `interface`"),
    takes("accept", ""),
    takes("no_accept", ""),
    takes("preempt", ""),
    takes("nopreempt", ""),
    takes("preempt_delay", "SECONDS"),
    takes("skip_check_adv_addr", "[on|off]"),
    takes("strict_mode", "[on|off]"),
    needless("debug", "keepalived does nothing with it either"),
    takes("down_timer_adverts", "1-100"),
    needless(
        "timer_expired_backup",
        "a router that was late hears the others first",
    ),
    needless(
        "thread_timer_expired",
        "a router that was late hears the others first",
    ),
    takes("lower_prio_no_advert", "[on|off]"),
    takes("higher_prio_send_advert", "[on|off]"),
    takes("owner_ignore_adverts", "[on|off]"),
    takes("v3_checksum_as_v2", "[on|off]"),
    needless("kernel_rx_buf_size", "the kernel's sizes of buffers do"),
    old("linkbeat_use_polling", "", "linkbeat_interfaces"),
    old("lvs_sync_daemon_interface", "INTERFACE", "lvs_sync_daemon"),
    block("authentication", "", &AUTHENTICATION),
    block("auth_hmac", "", &AUTH_HMAC),
];

const ADDRESSES: &[Keyword] = &[
    lines("virtual_ipaddress", ""),
    lines("virtual_ipaddress_excluded", ""),
    takes("no_virtual_ipaddress", ""),
    lines("virtual_routes", ""),
    lines("virtual_rules", ""),
    takes("promote_secondaries", ""),
];

const PEERS: &[Keyword] = &[
    lines("unicast_peer", ""),
    takes("unicast_fault_no_peer", ""),
    takes("unicast_ttl", "0-255"),
    takes("check_unicast_src", ""),
    takes("old_unicast_checksum", "[never]"),
    takes("mcast_src_ip", "ADDRESS"),
    takes("unicast_src_ip", "ADDRESS"),
    takes("mcast_dst_ip", "ADDRESS"),
    takes("track_src_ip", ""),
];

const TRACKING: &[Keyword] = &[
    lines("track_interface", ""),
    lines("track_script", ""),
    lines("track_file", ""),
    lines("track_process", ""),
    lines("track_bfd", ""),
    takes("dont_track_primary", ""),
];

const NOTIFY: &[Keyword] = &[
    takes("notify_master", "COMMAND [USER [GROUP]]"),
    takes("notify_backup", "COMMAND [USER [GROUP]]"),
    takes("notify_fault", "COMMAND [USER [GROUP]]"),
    takes("notify_stop", "COMMAND [USER [GROUP]]"),
    takes("notify_deleted", "[COMMAND [USER [GROUP]]]"),
    takes("notify_master_rx_lower_pri", "COMMAND [USER [GROUP]]"),
    takes("notify", "COMMAND [USER [GROUP]]"),
    takes("notify_priority_changes", "[on|off]"),
    takes("smtp_alert", "[on|off]"),
];

const ANNOUNCING: &[Keyword] = &[
    takes("garp_master_delay", "SECONDS"),
    takes("garp_master_repeat", "NUMBER"),
    takes("garp_master_refresh", "SECONDS"),
    takes("garp_master_refresh_repeat", "NUMBER"),
    takes("garp_lower_prio_delay", "SECONDS"),
    takes("garp_lower_prio_repeat", "NUMBER"),
    needless("garp_extra_if", "addresses are announced where they are"),
    needless("vmac_garp_intvl", "addresses are announced where they are"),
];

const AUTHENTICATION: Block = Block {
    keywords: &[&[
        takes("auth_type", "PASS|AH"),
        takes("auth_pass", "PASSWORD"),
    ]],
};

const AUTH_HMAC: Block = Block {
    keywords: &[&[
        takes("key", "ID hex:DIGITS|file:PATH|TEXT"),
        takes("active_key", "1-255"),
        takes("time_window", "1-300"),
        takes("anti_replay", "time|monotonic"),
        takes("mode", "enforce|permissive|receive-only"),
    ]],
};

const SCRIPT: Block = Block {
    keywords: &[&[
        takes("script", "COMMAND"),
        takes("interval", "SECONDS"),
        takes("timeout", "SECONDS"),
        takes("weight", "-253-253 [reverse]"),
        takes("rise", "NUMBER"),
        takes("fall", "NUMBER"),
        takes("user", "USER [GROUP]"),
        takes("init_fail", ""),
    ]],
};

const PROCESS: Block = Block {
    keywords: &[&[
        takes("process", "NAME [ARGUMENT...]"),
        takes("param_match", "[initial|partial]"),
        takes("weight", "-254-254 [reverse]"),
        takes("quorum", "1-65535"),
        takes("quorum_max", "0-65535"),
        takes("delay", "SECONDS"),
        takes("terminate_delay", "SECONDS"),
        takes("fork_delay", "SECONDS"),
        takes("full_command", ""),
    ]],
};

const FILE: Block = Block {
    keywords: &[&[
        takes("file", "PATH"),
        takes("weight", "NUMBER [reverse]"),
        takes("init_file", "[NUMBER] [overwrite]"),
    ]],
};

const GARP_GROUP: Block = Block {
    keywords: &[&[
        takes("garp_interval", "SECONDS"),
        takes("gna_interval", "SECONDS"),
        takes("interface", "INTERFACE"),
        Keyword {
            body: Body::Lines,
            ..takes("interfaces", "")
        },
    ]],
};

const BFD: Block = Block {
    keywords: &[&[
        takes("neighbor_ip", "ADDRESS"),
        takes("neighbour_ip", "ADDRESS"),
        takes("source_ip", "ADDRESS"),
        takes("min_rx", "MILLISECONDS"),
        takes("min_tx", "MILLISECONDS"),
        takes("idle_tx", "MILLISECONDS"),
        takes("multiplier", "1-255"),
        takes("passive", ""),
        takes("ttl", "1-255"),
        takes("hoplimit", "1-255"),
        takes("max_hops", "0-255"),
        takes("multihop", "[on|off]"),
        takes("weight", "-253-253 [reverse]"),
        needless("vrrp", "whoever names the session hears of it"),
        needless("checker", "whoever names the session hears of it"),
    ]],
};
