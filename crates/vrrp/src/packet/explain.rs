//! Under which counter a refused packet falls, and in which words.

use weir_config::model::vrrp::Instance;

use super::{Refusal, number};
use crate::authentication::{header, trailer};
use crate::view::Counters;

/// The counter, a kind (each kind is complained of once), and the words.
pub(crate) fn explain<'a>(
    refusal: Refusal,
    counters: &'a mut Counters,
    wanted: &Instance,
) -> (&'a mut u64, &'static str, String) {
    let ours = number(wanted.version);
    let seconds = wanted.interval.as_secs();
    match refusal {
        Refusal::Length => (
            &mut counters.packet_len_err,
            "length",
            "its length is not what it says".to_owned(),
        ),
        Refusal::HopLimit(limit) => (
            &mut counters.ip_ttl_err,
            "hop limit",
            format!("its hop limit is {limit}"),
        ),
        Refusal::Version(theirs) => (
            &mut counters.vers_err,
            "version",
            format!("it is of version {theirs}, ours is {ours}"),
        ),
        Refusal::Type(kind) => (
            &mut counters.invalid_type_rcvd,
            "type",
            format!("it is of type {kind}, not an advertisement"),
        ),
        Refusal::Interval(theirs) => (
            &mut counters.advert_interval_err,
            "interval",
            format!("its interval is {theirs} s, ours is {seconds} s"),
        ),
        Refusal::Checksum => (
            &mut counters.chk_err,
            "checksum",
            "its checksum is wrong".to_owned(),
        ),
        Refusal::Reach => (
            &mut counters.addr_list_err,
            "reach",
            "one of us speaks multicast, the other unicast".to_owned(),
        ),
        Refusal::NotPeer => (
            &mut counters.unknown_source,
            "peer",
            "it is not a peer".to_owned(),
        ),
        Refusal::InvalidAuthentication(kind) => (
            &mut counters.invalid_authtype,
            "authentication",
            format!("there is no authentication type {kind}"),
        ),
        Refusal::OtherAuthentication => (
            &mut counters.authtype_mismatch,
            "authentication",
            "its authentication is of another type than ours".to_owned(),
        ),
        Refusal::Password => (
            &mut counters.auth_failure,
            "password",
            "its password is wrong".to_owned(),
        ),
        Refusal::Header(wrong) => (
            &mut counters.auth_failure,
            "header",
            match wrong {
                header::Wrong::Digest => "its HMAC-MD5 is wrong: another password?",
                header::Wrong::Index => "its security parameters index is not its address",
                header::Wrong::Sequence => "its sequence number has been seen",
            }
            .to_owned(),
        ),
        Refusal::TrailerMissing => (
            &mut counters.auth_ext_missing,
            "trailer missing",
            "it has no HMAC".to_owned(),
        ),
        Refusal::Trailer(wrong) => explain_trailer(wrong, counters),
    }
}

fn explain_trailer(
    wrong: trailer::Wrong,
    counters: &mut Counters,
) -> (&mut u64, &'static str, String) {
    let (counter, kind, text) = match wrong {
        trailer::Wrong::Malformed => (
            &mut counters.auth_ext_malformed,
            "trailer",
            "its HMAC trailer is none",
        ),
        trailer::Wrong::UnknownKey => (
            &mut counters.auth_ext_unknown_key,
            "key",
            "its HMAC has a key that we do not know",
        ),
        trailer::Wrong::Digest => (
            &mut counters.auth_ext_invalid_hmac,
            "hmac",
            "its HMAC is wrong",
        ),
        trailer::Wrong::Stale => (
            &mut counters.auth_ext_stale,
            "stale",
            "its HMAC is too old or from the future: do the clocks agree?",
        ),
        trailer::Wrong::Replayed => (
            &mut counters.auth_ext_replay,
            "replay",
            "its HMAC has been seen",
        ),
    };
    (counter, kind, text.to_owned())
}
