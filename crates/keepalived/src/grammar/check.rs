//! Virtual servers, real servers and their checks.

use super::{Block, Keyword, block, lines, needless, old, takes};

pub(super) const TOP: &[Keyword] = &[
    block("SSL", "", &SSL),
    lines("virtual_server_group", "NAME"),
    block(
        "virtual_server",
        "ADDRESS [PORT] | fwmark NUMBER | group NAME",
        &VIRTUAL_SERVER,
    ),
];

const SSL: Block = Block {
    keywords: &[&[
        needless(
            "password",
            "Weir reads plain keys: `openssl pkey -in KEY -out PLAIN` writes one",
        ),
        takes("ca", "PATH"),
        takes("certificate", "PATH"),
        takes("key", "PATH"),
    ]],
};

const METHOD: &str = "NAT|DR|TUN [type ipip|gue port PORT|gre] [nocsum|csum|remcsum]";

const VIRTUAL_SERVER: Block = Block {
    keywords: &[
        &[
            takes("ip_family", "inet|inet6"),
            takes("lvs_sched", "SCHEDULER"),
            takes("lb_algo", "SCHEDULER"),
            takes("lvs_method", METHOD),
            takes("lb_kind", METHOD),
            takes("protocol", "TCP|UDP|SCTP"),
            takes("persistence_engine", "sip"),
            takes("persistence_timeout", "[SECONDS]"),
            takes("persistence_granularity", "MASK|LENGTH"),
            takes("ops", ""),
            takes("flag-1", ""),
            takes("flag-2", ""),
            takes("flag-3", ""),
            takes("sh-port", ""),
            takes("sh-fallback", ""),
            takes("mh-port", ""),
            takes("mh-fallback", ""),
            needless("hashed", "services are always found by hashing"),
            takes("ha_suspend", ""),
            takes("omega", ""),
            takes("quorum", "NUMBER"),
            takes("hysteresis", "NUMBER"),
            takes("quorum_up", "COMMAND [USER [GROUP]]"),
            takes("quorum_down", "COMMAND [USER [GROUP]]"),
            takes("sorry_server", "ADDRESS [PORT]"),
            takes("sorry_server_inhibit", ""),
            takes("sorry_server_lvs_method", METHOD),
            block("real_server", "ADDRESS [PORT]", &REAL_SERVER),
        ],
        OF_BOTH,
    ],
};

const REAL_SERVER: Block = Block {
    keywords: &[
        &[
            takes("lvs_method", METHOD),
            takes("uthreshold", "NUMBER"),
            takes("lthreshold", "NUMBER"),
            takes("notify_up", "COMMAND [USER [GROUP]]"),
            takes("notify_down", "COMMAND [USER [GROUP]]"),
            block("TCP_CHECK", "", &TCP_CHECK),
            block("HTTP_GET", "", &HTTP_GET),
            block("SSL_GET", "", &SSL_GET),
            block("SMTP_CHECK", "", &SMTP_CHECK),
            block("DNS_CHECK", "", &DNS_CHECK),
            block("UDP_CHECK", "", &UDP_CHECK),
            block("PING_CHECK", "", &PING_CHECK),
            block("MISC_CHECK", "", &MISC_CHECK),
            block("BFD_CHECK", "", &BFD_CHECK),
            block("FILE_CHECK", "", &FILE_CHECK),
        ],
        OF_BOTH,
    ],
};

/// Of virtual and real servers.
const OF_BOTH: &[Keyword] = &[
    takes("weight", "NUMBER"),
    takes("inhibit_on_failure", "[on|off]"),
    takes("alpha", "[on|off]"),
    takes("retry", "NUMBER"),
    takes("delay_before_retry", "SECONDS"),
    takes("warmup", "SECONDS"),
    takes("connect_timeout", "SECONDS"),
    takes("delay_loop", "SECONDS"),
    takes("smtp_alert", "[on|off]"),
    takes("virtualhost", "NAME"),
    needless("snmp_name", "Weir has no SNMP"),
];

/// How a check reaches a real server.
const CONNECTION: &[Keyword] = &[
    takes("connect_ip", "ADDRESS"),
    takes("connect_port", "PORT"),
    takes("bindto", "ADDRESS"),
    takes("bind_port", "PORT"),
    takes("bind_if", "INTERFACE"),
    takes("connect_timeout", "SECONDS"),
    takes("fwmark", "NUMBER"),
];

/// When a check is made.
const PACE: &[Keyword] = &[
    takes("retry", "NUMBER"),
    takes("delay_before_retry", "SECONDS"),
    takes("warmup", "SECONDS"),
    takes("delay_loop", "SECONDS"),
    takes("alpha", "[on|off]"),
    takes("log_all_failures", "[on|off]"),
];

const TCP_CHECK: Block = Block {
    keywords: &[CONNECTION, PACE],
};

const PING_CHECK: Block = Block {
    keywords: &[CONNECTION, PACE],
};

const HTTP: &[Keyword] = &[
    old("nb_get_retry", "NUMBER", "retry"),
    takes("virtualhost", "NAME"),
    takes("http_protocol", "1.0|1.0C|1.1"),
    takes("enable_sni", "[on|off]"),
    takes("sni_name", "[NAME]"),
    takes("fast_recovery", "[on|off]"),
    block("url", "", &URL),
];

const HTTP_GET: Block = Block {
    keywords: &[CONNECTION, PACE, HTTP],
};

const SSL_GET: Block = Block {
    keywords: &[
        CONNECTION,
        PACE,
        HTTP,
        &[needless(
            "tls_compliant",
            "TLS is always ended as RFC 8446 says",
        )],
    ],
};

const URL: Block = Block {
    keywords: &[&[
        takes("path", "PATH"),
        takes("digest", "MD5"),
        takes("status_code", "CODE|FIRST-LAST ..."),
        takes("virtualhost", "NAME"),
        takes("regex", "EXPRESSION"),
        takes("regex_no_match", ""),
        takes("regex_options", "OPTION ..."),
        takes("regex_min_offset", "NUMBER"),
        takes("regex_max_offset", "NUMBER"),
        needless("regex_stack", "expressions need no stack"),
        needless("tls_compliant", "TLS is always ended as RFC 8446 says"),
    ]],
};

const SMTP_CHECK: Block = Block {
    keywords: &[
        CONNECTION,
        PACE,
        &[takes("helo_name", "NAME"), block("host", "", &SMTP_HOST)],
    ],
};

const SMTP_HOST: Block = Block {
    keywords: &[CONNECTION],
};

const DNS_CHECK: Block = Block {
    keywords: &[
        CONNECTION,
        PACE,
        &[
            takes("type", "A|NS|CNAME|SOA|MX|TXT|AAAA"),
            takes("name", "NAME"),
        ],
    ],
};

const UDP_CHECK: Block = Block {
    keywords: &[
        CONNECTION,
        PACE,
        &[
            takes("payload", "HEXADECIMAL"),
            takes("require_reply", "[HEXADECIMAL]"),
            takes("min_reply_length", "0-65535"),
            takes("max_reply_length", "0-65535"),
        ],
    ],
};

const MISC_CHECK: Block = Block {
    keywords: &[
        PACE,
        &[
            takes("misc_path", "COMMAND"),
            takes("misc_timeout", "SECONDS"),
            takes("misc_dynamic", ""),
            takes("user", "USER [GROUP]"),
        ],
    ],
};

const BFD_CHECK: Block = Block {
    keywords: &[&[takes("name", "NAME"), takes("alpha", "[on|off]")]],
};

const FILE_CHECK: Block = Block {
    keywords: &[&[
        takes("track_file", "NAME"),
        takes("weight", "NUMBER [reverse]"),
        needless("dynamic", "a file's number always counts"),
    ]],
};
