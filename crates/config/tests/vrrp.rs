//! What `weir.toml` says of VRRP and BFD: read, refused, and written again.

#[path = "vrrp/dice.rs"]
mod dice;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use dice::Dice;
use proptest::prelude::*;
use weir_config::file::{Config, parse};
use weir_config::model::vrrp::*;
use weir_config::model::{Service, ServiceKey};
use weir_config::save::save;

fn read(text: &str) -> Vrrp {
    match parse(text, "weir.toml") {
        Ok(config) => config.vrrp,
        Err(problems) => {
            let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{}\n{text}", shown.join("\n"));
        }
    }
}

#[track_caller]
fn refused(text: &str, expected: &[&str]) {
    let problems = parse(text, "weir.toml").expect_err("it is wrong");
    let shown: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let shown = shown.join("\n");
    for expected in expected {
        assert!(shown.contains(expected), "{expected}: not in\n{shown}");
    }
    assert_eq!(problems.len(), expected.len(), "{shown}");
}

#[test]
fn what_an_operator_writes() {
    let vrrp = read(
        r#"
[[service]]
listen    = ["tcp 192.0.2.10:80"]
scheduler = "wrr"
forward   = "nat"

[[track.script]]
name    = "nginx"
command = "/usr/lib/weir/check-nginx"
fall    = 3
weight  = -20

[[vrrp.instance]]
name      = "outside"
interface = "eth0"
router_id = 51
priority  = 150
interval  = "250ms"
addresses = ["192.0.2.10/24", { address = "192.0.2.11/24", label = "eth0:1" }]
authentication = { keys = [{ id = 1, secret_file = "/etc/weir/vrrp.key" }] }
track     = { scripts = ["nginx"], services = ["tcp 192.0.2.10:80"], interfaces = ["eth1"] }
notify    = { any = "/usr/local/bin/told" }

[[vrrp.instance]]
name      = "inside"
interface = "eth1"
router_id = 52
version   = 2
peers     = ["10.0.0.2"]
preempt   = false
addresses = ["10.0.0.1/24"]
authentication = { password = "secret" }

[[vrrp.group]]
name    = "both"
members = ["outside", "inside"]
"#,
    );
    let [outside, inside] = &vrrp.instances[..] else {
        panic!("two instances");
    };
    assert_eq!(outside.version, Version::V3);
    assert_eq!(outside.interval, Duration::from_millis(250));
    assert_eq!(outside.addresses[1].label.as_deref(), Some("eth0:1"));
    assert_eq!(outside.tracking.scripts[0].weighting, None);
    let Authentication::Hmac {
        keys,
        active,
        replay,
        mode,
    } = &outside.authentication
    else {
        panic!("{:?}", outside.authentication);
    };
    assert_eq!(keys[0].file, Some(PathBuf::from("/etc/weir/vrrp.key")));
    assert_eq!((*active, *mode), (1, HmacMode::Enforce));
    let window = Duration::from_secs(5);
    assert_eq!(*replay, ReplayProtection::Time { window });
    assert_eq!(inside.preemption, Preemption::Never);
    assert_eq!(
        inside.authentication,
        Authentication::Password(*b"secret\0\0")
    );
    assert_eq!(vrrp.groups[0].members, ["outside", "inside"]);
    assert_eq!(
        vrrp.scripts[0].weighting,
        Weighting::Add {
            weight: -20,
            reverse: false
        }
    );
}

/// What is not said is as the RFCs have it; what is said and they do not have is an error.
#[test]
fn strict_instances_do_what_the_rfcs_have() {
    let vrrp = read(
        r#"
[vrrp]
strict = true
[[vrrp.instance]]
name      = "strict"
interface = "eth0"
router_id = 51
addresses = ["192.0.2.10"]
[[vrrp.instance]]
name      = "owner"
interface = "eth0"
router_id = 52
version   = 2
priority  = 255
addresses = ["192.0.2.11"]
[[vrrp.instance]]
name      = "not"
interface = "eth0"
router_id = 53
addresses = ["192.0.2.12"]
strict    = false
"#,
    );
    let [strict, owner, not] = &vrrp.instances[..] else {
        panic!("{vrrp:?}");
    };
    assert!(strict.strict && owner.strict && !not.strict);
    assert_eq!(strict.violations(), []);
    assert_eq!(owner.violations(), []);
    assert_eq!(strict.acceptance, Acceptance::Refuse);
    assert_eq!(strict.announcements.lower_repeat, 0);
    assert!(strict.lower_priority_silent);
    assert_eq!(owner.acceptance, Acceptance::Accept);
    assert_eq!(owner.wish, StateWish::Active);
    assert!(owner.owner_ignores_others);
    assert!(!not.lower_priority_silent);
    refused(
        r#"
[[vrrp.instance]]
name      = "a"
interface = "eth0"
router_id = 51
version   = 2
state     = "active"
missed    = 2
accept    = true
preempt_delay  = "1s"
authentication = { password = "secret" }
peers     = ["192.0.2.2"]
announce  = { lower_repeat = 1 }
virtual_mac = { link_address = "02:00:00:00:00:01", transmit_by_base = true }
lower_priority_silent = false
higher_priority_answered = true
strict    = true

[[vrrp.instance]]
name      = "b"
interface = "eth0"
router_id = 52
priority  = 255
addresses = ["2001:db8::10"]
owner_ignores_others = false
authentication = { keys = [{ id = 1, secret = "0123456789abcdef0123456789abcdef" }], mode = "permissive" }
strict    = true
"#,
        &[
            "has no addresses",
            "has peers",
            "begins as Active if and only if",
            "preempts at once",
            "waits for three",
            "accepts nothing",
            "has the link address of its number",
            "speaks from its virtual link",
            "does not announce again",
            "does not answer a lower",
            "does not answer a higher",
            "has no authentication",
            "does not listen to others",
            "enforces its HMAC",
        ],
    );
}

#[test]
fn everything_that_is_wrong_is_said() {
    refused(
        r#"
[[vrrp.instance]]
name      = "outside"
interface = "eth0"
priority  = 300
interval  = "15ms"
addresses = ["192.0.2.10/33"]
"#,
        &[
            "`router_id` is missing",
            "`priority` is out of its range",
            "`interval` cannot be said in an advertisement",
            "`192.0.2.10/33` is no `address`",
        ],
    );
    refused(
        r#"
[[vrrp.instance]]
name      = "a"
interface = "eth0"
router_id = 51
addresses = ["192.0.2.10", "2001:db8::10"]
authentication = { password = "x" }
track     = { scripts = ["chek"], services = ["tcp 192.0.2.10:80"] }

[[vrrp.instance]]
name      = "a"
interface = "eth0"
router_id = 51
state     = "active"
preempt   = false
addresses = ["192.0.2.11"]

[[vrrp.group]]
name    = "both"
members = ["a", "a", "c"]
"#,
        &[
            "2001:db8::10 is of the other family",
            "version 3 has no such authentication",
            "there is no script `chek`",
            "there is no service `tcp 192.0.2.10:80`",
            "there is another instance `a`",
            "eth0 has another instance of this number",
            "who begins as Active takes over",
            "`a` is in a group already",
            "there is no instance `c`",
        ],
    );
    refused(
        r#"
[[vrrp.instance]]
name      = "a"
interface = "eth0"
router_id = 51
version   = 2
interval  = "1500ms"
only_peers = true
authentication = { keys = [{ id = 1, secret = "short" }], active = 2 }
"#,
        &[
            "`interval` cannot be said in an advertisement",
            "`only_peers` is about unicast",
            "the secret is too short or too long",
            "there is no key 2",
        ],
    );
}

#[test]
fn a_strict_owner_begins_as_active_and_takes_over() {
    let mut vrrp = Dice(5396332400702913635).vrrp();
    let owners = vrrp
        .instances
        .iter_mut()
        .filter(|one| one.priority.is_owner());
    let mut owners = owners.peekable();
    let owner = owners.peek_mut().expect("this seed has one");
    (owner.strict, owner.wish) = (true, StateWish::Backup);
    owner.preemption = Preemption::Never;
    for violation in owner.violations() {
        owner.give_up(violation);
    }
    assert_eq!(owner.wish, StateWish::Active);
    assert_ne!(owner.preemption, Preemption::Never);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_is_written_is_read(seed in any::<u64>()) {
        let vrrp = Dice(seed).vrrp();
        let of_instances = vrrp.instances.iter().map(|one| &one.tracking);
        let tracking = of_instances.chain(vrrp.groups.iter().map(|one| &one.tracking));
        let keys: BTreeSet<ServiceKey> = tracking
            .flat_map(|tracking| tracking.services.iter().map(|(key, _)| *key))
            .collect();
        let config = Config {
            services: keys.into_iter().map(|key| (Service::new(key), Vec::new())).collect(),
            vrrp,
            ..Config::default()
        };
        let text = save(&config);
        prop_assert_eq!(read(&text), config.vrrp, "{}", text);
    }
}
