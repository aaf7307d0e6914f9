//! BFD beside keepalived's.

use std::num::NonZeroU8;
use std::time::Duration;

use weir::daemon::bfd::Bfd;
use weir_bfd::{Diagnostic, State};
use weir_config::model::vrrp::{BfdInstance, Weighting};
use weir_lab::until;

use super::link::{self, Link, Side};

/// Nothing takes so long, not on a busy machine either.
const LONG: Duration = Duration::from_secs(60);

fn wait_for(bfd: &Bfd, what: &str, is: impl Fn(&weir_bfd::SessionView) -> bool) {
    let done = until(what, LONG, || bfd.view().sessions.first().is_some_and(&is));
    if done.is_err() {
        panic!("not {what}: {:#?}", bfd.view());
    }
}

/// Slow enough for a busy machine.
fn wanted(passive: bool) -> BfdInstance {
    BfdInstance {
        name: "peer".to_owned(),
        neighbour: Side::Keepalived.address(false),
        source: Some(Side::Weir.address(false)),
        least_receive: Duration::from_millis(100),
        least_send: Duration::from_millis(100),
        idle_send: Duration::from_secs(1),
        multiplier: NonZeroU8::new(20).expect("20"),
        passive,
        time_to_live: 255,
        most_hops: 0,
        multihop: false,
        weighting: Weighting::FAULT,
    }
}

fn keepalived() -> String {
    let (ours, theirs) = (Side::Keepalived.address(false), Side::Weir.address(false));
    let session = format!(
        "bfd_instance peer {{\n source_ip {ours}\n neighbor_ip {theirs}\n min_rx 100\n min_tx 100\n \
         idle_tx 1000\n multiplier 20\n}}\n"
    );
    let tracked = "track_bfd {\n peer\n }\n";
    let vrrp = link::keepalived_conf(3, false, 100, Duration::from_secs(1), tracked);
    session + &vrrp
}

#[test]
fn sessions_with_keepalived_come_up_and_notice_its_end() {
    for passive in [false, true] {
        println!("passive: {passive}");
        let link = Link::new();
        let bfd = link.weir_bfd(vec![wanted(passive)]);
        let mut keepalived = link.keepalived(&keepalived());
        wait_for(&bfd, "up", |session| session.state == State::Up);
        wait_for(&bfd, "as fast as agreed", |session| {
            session.send_interval == Some(Duration::from_millis(100))
                && session.detection_time == Some(Duration::from_secs(2))
        });
        // keepalived takes part in VRRP only while the session is up.
        link.wait_for(Side::Keepalived, link::virtual_address(false), true);

        // It ends, and says so or is silent.
        keepalived.terminate().expect("it ends");
        wait_for(&bfd, "down", |session| session.state == State::Down);
        let diagnostic = bfd
            .view()
            .sessions
            .first()
            .map(|session| session.diagnostic);
        assert!(
            [Some(Diagnostic::EXPIRED), Some(Diagnostic::SIGNALLED)].contains(&diagnostic),
            "{diagnostic:?}"
        );
        bfd.stop();
    }
}

#[test]
fn keepalived_notices_our_end() {
    let link = Link::new();
    let vip = link::virtual_address(false);
    let bfd = link.weir_bfd(vec![wanted(false)]);
    let _keepalived = link.keepalived(&keepalived());
    link.wait_for(Side::Keepalived, vip, true);
    // A stop that is said is no failure (RFC 5882, 4.2); silence is.
    link.cut(Side::Weir);
    link.wait_for(Side::Keepalived, vip, false);
    bfd.stop();
}
