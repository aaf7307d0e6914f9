//! What differs in health, VRRP and notifications, as lines of a plan.

use weir_config::difference::upkeep;
use weir_config::file::{Config, parse};

#[track_caller]
fn read(text: &str) -> Config {
    parse(text, "weir.toml").unwrap_or_else(|found| {
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

fn lines(before: &Config, after: &Config) -> Vec<String> {
    let differences = upkeep(before, after);
    differences.iter().map(ToString::to_string).collect()
}

const WATCHED: &str = r#"
[notifications]
router_id = "a"

[[service]]
listen  = ["tcp 192.0.2.10:80"]
forward = "nat"
quorum  = 2
check   = { http = "/healthz", interval = "5s" }
server  = [
  { address = "10.0.0.1:80" },
  { address = "10.0.0.2:80" },
]
"#;

#[test]
fn what_is_said_otherwise_is_shown_by_name_and_field() {
    let before = read(WATCHED);
    for (from, to, expected) in [
        ("quorum  = 2", "quorum  = 2", &[][..]),
        (
            "quorum  = 2",
            "quorum  = 1",
            &["~ health of tcp:192.0.2.10:80 quorum 2 -> 1"],
        ),
        (
            "interval = \"5s\"",
            "interval = \"7s\"",
            &[
                "~ health of tcp:192.0.2.10:80 server 10.0.0.1:80 check.interval 5s -> 7s",
                "~ health of tcp:192.0.2.10:80 server 10.0.0.2:80 check.interval 5s -> 7s",
            ],
        ),
        (
            "10.0.0.1:80\"",
            "10.0.0.1:80\", check = { tcp = true }",
            &[
                "~ health of tcp:192.0.2.10:80 server 10.0.0.1:80 check.tcp unset -> true \
                 check.http /healthz -> unset check.interval 5s -> unset",
            ],
        ),
        (
            "  { address = \"10.0.0.2:80\" },\n",
            "",
            &[
                "- health of tcp:192.0.2.10:80 server 10.0.0.2:80 check.http /healthz check.interval 5s",
            ],
        ),
        (
            "router_id = \"a\"",
            "router_id = \"b\"",
            &["~ notifications router_id a -> b"],
        ),
    ] {
        assert!(WATCHED.contains(from), "{from}");
        let after = read(&WATCHED.replace(from, to));
        assert_eq!(lines(&before, &after), expected, "{to}");
    }
}

#[test]
fn what_is_new_or_gone_is_shown_whole() {
    let (none, all) = (Config::default(), read(WATCHED));
    let new = lines(&none, &all);
    assert_eq!(
        new,
        [
            "+ health of tcp:192.0.2.10:80 quorum 2",
            "+ health of tcp:192.0.2.10:80 server 10.0.0.1:80 check.http /healthz check.interval 5s",
            "+ health of tcp:192.0.2.10:80 server 10.0.0.2:80 check.http /healthz check.interval 5s",
            "+ notifications router_id a",
        ]
    );
    let gone = lines(&all, &none);
    let new: Vec<String> = new.iter().map(|line| line.replace("+ ", "- ")).collect();
    assert_eq!(gone, new);
}

#[test]
fn vrrp_is_shown_by_name_and_no_secret_is_shown() {
    let text = |priority: u32, secret: &str| {
        format!(
            r#"
[[track.script]]
name    = "nginx"
command = "/usr/bin/true"

[[vrrp.instance]]
name      = "outside"
interface = "eth0"
router_id = 51
priority  = {priority}
addresses = ["192.0.2.10/24"]
track     = {{ scripts = ["nginx"] }}
authentication = {{ keys = [{{ id = 1, secret = "{secret}" }}] }}

[[vrrp.group]]
name    = "both"
members = ["outside"]

[[service]]
listen  = ["tcp 192.0.2.10:80"]
forward = "nat"
check   = {{ http = "/", headers = ["Authorization: {secret}"] }}
server  = ["10.0.0.1:80"]
"#
        )
        .replace(r#"["10.0.0.1:80"]"#, r#"[{ address = "10.0.0.1:80" }]"#)
    };
    let (first, second) = (
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210fedcba9876543210",
    );
    let before = read(&text(100, first));
    assert_eq!(
        lines(&before, &read(&text(150, first))),
        ["~ vrrp instance outside priority unset -> 150"]
    );
    assert_eq!(
        lines(&before, &read(&text(100, second))),
        [
            "~ health of tcp:192.0.2.10:80 server 10.0.0.1:80 check.headers (hidden) -> \
             (hidden, another)",
            "~ vrrp instance outside authentication.keys.1.secret (hidden) -> (hidden, another)",
        ]
    );
    let all = lines(&Config::default(), &before).join("\n");
    for line in [
        "+ track script nginx command ",
        "+ vrrp instance outside addresses [\"192.0.2.10/24\"] authentication",
        "+ vrrp group both members [\"outside\"]",
    ] {
        assert!(all.contains(line), "{line} is not in {all}");
    }
    assert!(!all.contains(first), "{all}");
}
