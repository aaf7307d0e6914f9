//! What a file says of health and notifications, and that it is written the same.

use std::num::NonZeroU32;
use std::time::Duration;

use weir_config::file::{Config, parse};
use weir_config::model::health::{
    CheckKind, HttpBody, HttpVersion, Pace, Passive, Quorum, ServerHealth, SlowStart, StatusRange,
    Way, WeightSource,
};
use weir_config::model::{Forwarding, Script, ScriptUser};
use weir_config::save::save;

#[track_caller]
fn read(text: &str) -> Config {
    parse(text, "weir.toml").unwrap_or_else(|found| {
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        panic!("{}", shown.join("\n\n"))
    })
}

/// A service with this of its own, and two real servers.
fn service(text: &str) -> String {
    format!(
        "[[service]]\nlisten = [\"tcp 192.0.2.10:80\"]\nforward = \"nat\"\n{text}\n\
         server = [{{ address = \"10.0.0.11:8080\" }}, {{ address = \"10.0.0.12\" }}]\n"
    )
}

#[track_caller]
fn written_the_same(config: &Config) {
    let text = save(config);
    assert_eq!(read(&text), *config, "{text}");
}

fn first(config: &Config) -> &ServerHealth {
    &config.health[0].servers[0]
}

#[test]
fn the_design_s_check() {
    let check =
        r#"check = { http = "/healthz", interval = "2s", timeout = "1s", rise = 1, fall = 3 }"#;
    let config = read(&service(check));
    let health = &config.health[0];
    assert_eq!(health.key, config.services[0].0.key);
    assert_eq!(health.servers.len(), 2);
    let check = &first(&config).checks[0];
    assert_eq!(check.pace, Pace::WEIR);
    assert_eq!(check.target, None);
    let CheckKind::Http(http) = &check.kind else {
        panic!("{check:?}");
    };
    assert_eq!(http.requests[0].path, "/healthz");
    assert_eq!(http.version, HttpVersion::Http11);
    written_the_same(&config);
    // All say the same: it is said once, and nothing that is the default.
    let text = save(&config);
    assert_eq!(text.matches("check = ").count(), 1, "{text}");
    assert!(text.contains("check = { http = \"/healthz\" }\n"), "{text}");
}

#[test]
fn a_service_of_which_nothing_is_said_is_not_watched() {
    assert!(read(&service("")).health.is_empty());
    let config = read(&service("quorum = 1"));
    assert_eq!(config.health.len(), 1);
    written_the_same(&config);
}

#[test]
fn every_check_reads_as_it_is_written() {
    for check in [
        "tcp = true",
        "tcp = true, proxy = true, tls = { server_name = \"a\", verify = true }",
        "tcp = true, tls = true, way = \"traffic\", log_all_failures = true",
        "http = [\"/a\", { path = \"/b?c=d\", method = \"HEAD\", host = \"b.example\" }], host = \"a.example\"",
        "http = \"/\", status = [200, \"301-399\"], headers = [\"Accept: a: b\", \"X:\"], version = \"1.0-close\"",
        "http = \"/\", status = 204, body = \"^ok$\", version = \"2\", in_turn = true, fast_recovery = true, proxy = true",
        "http = \"/\", body = [{ matches = \"a{2}\", not = true, from = 1, before = 9, options = \"i\" }, { md5 = \"00112233445566778899aabbccddeeff\" }]",
        "http = \"/\", body = { sha256 = \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\" }",
        "https = \"/\"",
        "https = \"/\", tls = { authorities = \"/a\", certificate = \"/b\", key = \"/c\" }",
        "https = \"/\", tls = { authorities = \"/a\", verify = false }, version = \"1.0\"",
        "smtp = true",
        "smtp = \"weir.example.org\", extended = true",
        "dns = \"example.org\"",
        "dns = \".\", record = \"AAAA\", over_tcp = true",
        "udp = true",
        "udp = true, payload = \"ping\", reply = true, least_length = 1, greatest_length = 255",
        "udp = true, payload_hex = \"00 ff\", reply = \"de xX 0x\"",
        "ping = true, address = \"10.9.9.9\"",
        "script = \"/usr/lib/check fast\"",
        "script = [\"/a b\", \"c d\", \"\"], dynamic = true",
        "script = { command = [\"/a\"], user = \"nobody\", group = \"nogroup\" }",
        "file = \"/run/weight\", factor = -3, reverse = true",
        "bfd = \"one\"",
        "grpc = true",
        "grpc = \"a.b.C\", tls = true, port = 50051",
        "agent = true, port = 9999",
        "agent = \"hello\\n\", port = 9999, address = \"10.0.0.99\"",
        "tcp = true, interval = \"500ms\"",
        "tcp = true, interval = \"1m\", timeout = \"5s\", warm_up = \"0s\", rise = 2, fall = 4, retry_delay = \"3s\", alpha = true, first_failure_counts = true",
        "tcp = true, source = { address = \"10.0.0.1\", port = 7, interface = \"eth0\", mark = 3 }",
    ] {
        let config = read(&service(&format!("check = {{ {check} }}")));
        assert_eq!(first(&config).checks.len(), 1, "{check}");
        written_the_same(&config);
    }
}

#[test]
fn what_checks_mean() {
    let config = read(&service(
        r#"checks = [
            { https = "/", status = "200-399", port = 8443, interval = "10s" },
            { udp = true, reply = "d0 xf", way = "traffic" },
        ]"#,
    ));
    let [https, udp] = first(&config).checks.as_slice() else {
        panic!();
    };
    assert_eq!(https.target, Some("10.0.0.11:8443".parse().unwrap()));
    assert_eq!(https.pace.warm_up, Duration::from_secs(10));
    assert_eq!(https.pace.fall, NonZeroU32::new(3).unwrap());
    let CheckKind::Http(http) = &https.kind else {
        panic!();
    };
    assert!(http.tls.is_some());
    let range = StatusRange {
        first: 200,
        last: 399,
    };
    assert_eq!(http.requests[0].status, [range]);
    assert_eq!(http.requests[0].body, Vec::<HttpBody>::new());
    assert_eq!(udp.way, Way::Traffic);
    let CheckKind::Udp(udp) = &udp.kind else {
        panic!();
    };
    assert_eq!(udp.reply, Some(vec![(0xd0, 0xff), (0x0f, 0x0f)]));
    assert_eq!(udp.most, u16::MAX);
    written_the_same(&config);
}

#[test]
fn quorum_sorry_server_weights_and_who_is_told() {
    let config = read(
        r#"
[[service]]
listen = ["tcp 192.0.2.10:80", "tcp [2001:db8::10]:80"]
forward = "nat"
check = { tcp = true }
quorum = { weight = 5, hysteresis = 2 }
sorry_server = { address = "10.0.0.99", weight = 2, forward = "tun", inhibit = true }
inhibit_on_failure = true
only_while_active = true
omega = true
weights = { figure = { path = "/load", json = "/one", at = 1.5, interval = "10s", port = 9100 }, most = 50, smoothing = 20 }
slow_start = { duration = "1m", from = 5 }
passive = true
notify = { quorum_up = "/up now", quorum_down = ["/down"], up = "/rs up", down = "/rs down", mail = true }
server = [
  { address = "10.0.0.11", weight = 3 },
  { address = "10.0.0.12", checks = [], inhibit_on_failure = false, slow_start = "10s", notify = { mail = false, up = "/mine" } },
  { address = "10.0.0.13", weights = { connect_time = "5ms" } },
  { address = "2001:db8:1::11", check = { ping = true }, weights = { checks = true, least = 2, tolerance = 5 } },
]

[notifications]
router_id = "one"
user = "weir"
group = "weir"
script_security = false
fifo = "/run/all"
lvs_fifo = { path = "/run/lvs", script = "/read it" }
initial_server_states = true
priority_changes = true
mail = { to = ["a@example.org", "b@example.org"], from = "weir@example.org", server = "192.0.2.25", greeting = "one.example.org", timeout = "5s" }
"#,
    );
    let [v4, v6] = config.health.as_slice() else {
        panic!();
    };
    assert_eq!(
        v4.quorum,
        Quorum {
            weight: 5,
            hysteresis: 2
        }
    );
    let sorry = v4.sorry.unwrap();
    assert!(sorry.inhibit);
    assert!(matches!(sorry.server.forwarding, Forwarding::Tunnel(_)));
    assert!(v4.omega && v4.only_while_active && v4.mail);
    let script = |command: &[&str]| {
        Some(Script {
            command: command.iter().map(|word| (*word).to_owned()).collect(),
            user: None,
        })
    };
    assert_eq!(v4.quorum_up, script(&["/up", "now"]));
    let [one, two, three] = v4.servers.as_slice() else {
        panic!();
    };
    assert!(one.inhibit && one.mail);
    assert_eq!(one.up, script(&["/rs", "up"]));
    let policy = one.weight.as_ref().unwrap();
    let Some(WeightSource::Figure(figure)) = &policy.source else {
        panic!();
    };
    assert_eq!(figure.target, Some("10.0.0.11:9100".parse().unwrap()));
    assert_eq!(figure.at, Some(1500));
    assert_eq!((policy.least, policy.most, policy.smoothing), (1, 50, 20));
    assert_eq!(policy.passive, Some(Passive::DEFAULT));
    assert!(two.checks.is_empty() && !two.inhibit && !two.mail);
    assert_eq!(two.up, script(&["/mine"]));
    assert_eq!(two.down, script(&["/rs", "down"]));
    let slow = SlowStart {
        duration: Duration::from_secs(10),
        from: 10,
    };
    assert_eq!(two.weight.as_ref().unwrap().slow_start, Some(slow));
    assert!(matches!(
        three.weight.as_ref().unwrap().source,
        Some(WeightSource::ConnectTime { .. })
    ));
    assert!(matches!(v6.servers[0].checks[0].kind, CheckKind::Ping(_)));
    let notifications = &config.notifications;
    assert_eq!(
        notifications.script_user,
        Some(ScriptUser {
            user: "weir".to_owned(),
            group: Some("weir".to_owned())
        })
    );
    let mail = notifications.mail.as_ref().unwrap();
    assert_eq!(mail.server, "192.0.2.25:25".parse().unwrap());
    written_the_same(&config);
}

fn said(text: &str) -> Vec<(usize, String, String)> {
    let found = parse(text, "weir.toml").expect_err(text);
    let said = found
        .into_iter()
        .map(|one| (one.line, one.message, one.expected));
    said.collect()
}

#[test]
fn everything_that_is_wrong_with_a_check_is_said() {
    for (check, message, expected) in [
        (
            "{}",
            "this check does not say what is asked",
            "expected one of `tcp = true`",
        ),
        (
            "{ tpc = true }",
            "a check has no key `tpc`",
            "did you mean `tcp`?",
        ),
        (
            "{ tcp = false }",
            "a check that is not wanted is left out",
            "expected `tcp = true`",
        ),
        (
            "{ tcp = true, ping = true }",
            "a check is either `tcp` or `ping`",
            "expected two checks",
        ),
        (
            "{ tcp = true, status = 200 }",
            "`status` does not go with `tcp`",
            "leave it out",
        ),
        (
            "{ tcp = true, interval = 2 }",
            "`interval` is a whole number",
            "expected a duration from 1ms to 24h",
        ),
        (
            "{ tcp = true, interval = \"2\" }",
            "`2` is no duration",
            "expected a duration",
        ),
        (
            "{ tcp = true, interval = \"0s\" }",
            "`interval` is out of its range",
            "expected a duration",
        ),
        (
            "{ tcp = true, fall = 0 }",
            "`fall` is out of its range",
            "expected a whole number from 1 to 1000",
        ),
        (
            "{ tcp = true, way = \"vip\" }",
            "there is no way `vip`",
            "expected `server` or `traffic`",
        ),
        (
            "{ http = \"healthz\" }",
            "`healthz` is no path",
            "expected one that begins with `/`",
        ),
        ("{ http = [] }", "nothing is asked", "expected a path"),
        (
            "{ http = \"/\", status = 20 }",
            "this is no status of HTTP",
            "expected 200",
        ),
        (
            "{ http = \"/\", status = \"399-200\" }",
            "this is no status of HTTP",
            "expected 200",
        ),
        (
            "{ http = \"/\", headers = [\"a b: c\"] }",
            "`a b: c` is no header",
            "expected a list",
        ),
        (
            "{ http = \"/\", headers = [\"a: b\\nc\"] }",
            "`a: b\\nc` is no header",
            "expected a list",
        ),
        (
            "{ http = \"/\", host = \"a\\r\\nb\" }",
            "`a\r\nb` is no `host`",
            "expected a name",
        ),
        (
            "{ http = \"/\", body = \"(\" }",
            "`(` is no regular expression",
            "the regular expression is wrong",
        ),
        (
            "{ http = \"/\", body = { md5 = \"12\" } }",
            "`12` is no `md5`",
            "expected 32 hexadecimal digits",
        ),
        (
            "{ http = \"/\", body = {} }",
            "an entry of `body` says one of",
            "expected a regular expression",
        ),
        (
            "{ https = \"/\", tls = { certificate = \"/a\" } }",
            "a certificate needs its key",
            "expected `certificate",
        ),
        (
            "{ udp = true, reply = \"abc\" }",
            "`abc` is not hexadecimal",
            "expected pairs of digits",
        ),
        (
            "{ script = \"check\" }",
            "`script` does not begin with the path of a program",
            "expected a program",
        ),
        (
            "{ dns = \".\", record = \"PTR\" }",
            "there is no record `PTR`",
            "expected `A`, `NS`",
        ),
        (
            "{ ping = true, address = \"x\" }",
            "`x` is no address",
            "expected one like",
        ),
    ] {
        let found = said(&service(&format!("check = {check}")));
        let [(line, first, then)] = found.as_slice() else {
            panic!("{check}: {found:?}");
        };
        assert_eq!(*line, 4, "{check}");
        assert!(first.starts_with(message), "{check}: {first}");
        assert!(then.starts_with(expected), "{check}: {then}");
    }
}

#[test]
fn everything_else_that_is_wrong_is_said() {
    for (text, message) in [
        (
            "check = { tcp = true }\nchecks = []",
            "there is `check` and `checks`",
        ),
        ("quorum = 0", "`quorum` is out of its range"),
        (
            "quorum = { weight = 2, hysteresis = 2 }",
            "`hysteresis` is out of its range",
        ),
        (
            "sorry_server = \"10.0.0.300\"",
            "`10.0.0.300` is no real server's address",
        ),
        (
            "sorry_server = \"2001:db8::1\"",
            "2001:db8::1 has no virtual service of its family",
        ),
        (
            "sorry_server = { address = \"10.0.0.9\", check = { tcp = true } }",
            "`sorry_server` has no key `check`",
        ),
        (
            "weights = { checks = true, connect_time = \"5ms\" }",
            "a weight follows one thing",
        ),
        (
            "weights = { figure = { path = \"/\" } }",
            "where is the figure in the answer?",
        ),
        (
            "weights = { figure = { path = \"/\", json = \"load\" } }",
            "`load` is no pointer into JSON",
        ),
        (
            "weights = { figure = { json = \"/load\" } }",
            "this figure has no path",
        ),
        (
            "weights = { figure = { path = \"/\", json = \"/load\", at = 0 } }",
            "`at` is no such number",
        ),
        (
            "weights = { least = 5, most = 4 }",
            "`most` is out of its range",
        ),
        ("slow_start = { from = 0 }", "`from` is out of its range"),
        ("passive = { share = 101 }", "`share` is out of its range"),
        (
            "notify = { up = [] }",
            "`up` does not begin with the path of a program",
        ),
        (
            "notify = { up = { command = \"/a\", group = \"b\" } }",
            "there is a group and no user",
        ),
    ] {
        let found = said(&service(text));
        let [(_, first, _)] = found.as_slice() else {
            panic!("{text}: {found:?}");
        };
        assert!(first.starts_with(message), "{text}: {first}");
    }
    let mark = "[[service]]\nlisten = [\"fwmark 7\"]\nforward = \"dr\"\ncheck = { tcp = true }\nserver = [{ address = \"10.0.0.11\" }]\n";
    assert_eq!(said(mark)[0].1, "at which port of 10.0.0.11 is it checked?");
    let mail = "[notifications]\nmail = { to = [\"a\"], server = \"x\" }\n";
    let found = said(mail);
    assert_eq!(found[0].1, "`mail` has no `from`");
    assert_eq!(found[1].1, "`x` is no mail server's address");
}
