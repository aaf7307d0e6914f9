//! keepalived's HMAC trailer, beside a keepalived that has it (2.4; Debian 12's 2.2.7 does not): `WEIR_KEEPALIVED` names it.

use std::time::Duration;

use config::model::vrrp::{
    Authentication, HmacKey, HmacMode, Instance, Peer, Peers, Priority, ReplayProtection,
};
use vrrp::State;
use vrrp::view::Counters;
use weir_config as config;
use weir_lab::until;
use weir_vrrp as vrrp;

use super::link::{self, LONG, Link, Router, Side};

const INTERVAL: Duration = Duration::from_millis(500);
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn instance(
    v6: bool,
    unicast: bool,
    priority: u8,
    secret: &str,
    replay: ReplayProtection,
) -> Instance {
    let mut instance = link::instance(v6);
    instance.interval = INTERVAL;
    instance.priority = Priority::new(priority).expect("not 0");
    instance.authentication = Authentication::Hmac {
        keys: vec![HmacKey {
            id: 7,
            secret: secret.as_bytes().to_vec(),
            file: None,
        }],
        active: 7,
        replay,
        mode: HmacMode::Enforce,
    };
    if unicast {
        instance.source = Some(Side::Weir.address(v6));
        instance.peers = Peers::Unicast {
            peers: vec![Peer {
                address: Side::Keepalived.address(v6),
                least_time_to_live: 0,
                most_time_to_live: 255,
            }],
            time_to_live: 255,
            check_source: true,
            fault_without: false,
        };
    }
    instance
}

fn conf(v6: bool, unicast: bool, priority: u8, replay: ReplayProtection) -> String {
    let replay = match replay {
        ReplayProtection::Monotonic => "monotonic",
        ReplayProtection::Time { .. } | ReplayProtection::None => "time\n time_window 60",
    };
    let unicast = match unicast {
        true => format!(
            "unicast_src_ip {}\n unicast_peer {{\n {}\n }}\n",
            Side::Keepalived.address(v6),
            Side::Weir.address(v6)
        ),
        false => String::new(),
    };
    let further = format!(
        "auth_hmac {{\n key 7 {SECRET}\n active_key 7\n anti_replay {replay}\n mode enforce\n }}\n {unicast}"
    );
    link::keepalived_conf(3, v6, priority, INTERVAL, &further)
}

fn counters(router: &Router) -> Counters {
    router.0.view().expect("it runs").instances[0].counters
}

fn wait(router: &Router, what: &str, is: impl Fn(&Counters) -> bool) {
    let done = until(what, LONG, || is(&counters(router)));
    if done.is_err() {
        panic!("not {what}: {:#?}", router.0.view());
    }
}

#[test]
fn both_take_each_others_trailer() {
    let time = ReplayProtection::Time {
        window: Duration::from_secs(60),
    };
    for (v6, unicast, replay) in [
        (false, false, time),
        (true, false, time),
        (false, true, time),
        (false, false, ReplayProtection::Monotonic),
    ] {
        println!("IPv6: {v6}, unicast: {unicast}, {replay:?}");
        let link = Link::new();
        let vip = link::virtual_address(v6);
        let mut keepalived = link.keepalived(&conf(v6, unicast, 150, replay));
        link.wait_for(Side::Keepalived, vip, true);
        let weir = link.weir(instance(v6, unicast, 100, SECRET, replay));
        wait(&weir, "heard", |counters| counters.advert_rcvd > 4);
        assert_eq!(weir.state(), State::Backup);
        let refused = counters(&weir).each().into_iter();
        let refused: Vec<_> = refused
            .filter(|(name, count)| name.starts_with("auth_ext") && *count > 0)
            .collect();
        assert_eq!(refused, []);
        keepalived.terminate().expect("it ends");
        weir.wait_for(State::Active);
        // It would become Active if it did not take ours.
        let _behind = link.keepalived(&conf(v6, unicast, 50, replay));
        let sent = counters(&weir).advert_sent;
        wait(&weir, "sent for long", |counters| {
            counters.advert_sent > sent + 20
        });
        assert!(!link.has(Side::Keepalived, vip), "it does not take ours");
        weir.stop();
        // It lives, and does when we are gone.
        link.wait_for(Side::Keepalived, vip, true);
    }
}

#[test]
fn neither_takes_another_key() {
    let time = ReplayProtection::Time {
        window: Duration::from_secs(60),
    };
    let link = Link::new();
    let vip = link::virtual_address(false);
    let keepalived = link.keepalived(&conf(false, false, 150, time));
    link.wait_for(Side::Keepalived, vip, true);
    let other = "another secret that has 32 bytes";
    let weir = link.weir(instance(false, false, 200, other, time));
    wait(&weir, "refused", |counters| {
        counters.auth_ext_invalid_hmac > 4
    });
    weir.wait_for(State::Active);
    let sent = counters(&weir).advert_sent;
    wait(&weir, "sent for long", |counters| {
        counters.advert_sent > sent + 10
    });
    // It has not heard the higher priority.
    assert!(link.has(Side::Keepalived, vip), "{}", keepalived.said());
}
