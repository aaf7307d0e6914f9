//! Whatever a file holds, reading it ends, in bounded memory, and panics nowhere.

#[path = "support/cases.rs"]
mod cases;
mod support;

use proptest::prelude::*;
use support::{Files, read_with};
use weir_keepalived::{Limits, Reading};

fn small() -> Limits {
    Limits {
        lines: 5000,
        bytes: 1 << 20,
        replacements: 500,
        ..Limits::default()
    }
}

fn refused(text: &str, files: &[(&str, &str)], message: &str) {
    let mut there = Files::default();
    for (path, text) in files {
        there.files.insert((*path).to_owned(), (*text).to_owned());
    }
    let reading = read_with(text, &mut there, small());
    assert!(reading.config.is_none());
    let said = |reading: &Reading| {
        let messages = reading.diagnostics.iter().map(|one| one.message.clone());
        messages.collect::<Vec<_>>().join("\n")
    };
    assert!(said(&reading).contains(message), "{}", said(&reading));
}

#[test]
fn a_sequence_without_end_ends() {
    refused(
        "~SEQ(X, 1, 1000000000) x\n",
        &[],
        "repeated 1000000000 times",
    );
    refused(
        "~SEQ(X, -4000000000000000000, 4000000000000000000) x\n",
        &[],
        "cannot be repeated",
    );
    let nested = "~SEQ(A,1,4000) ~SEQ(B,1,4000) ~SEQ(C,1,4000) x\n";
    refused(nested, &[], "becomes too large");
}

#[test]
fn definitions_that_hold_themselves_end() {
    refused("$A=${A}${A}\nx $A\n", &[], "longer and longer");
    refused("$A=$B\n$B=$A\nx $A\n", &[], "longer and longer");
    let doubling: String = (1..60)
        .map(|n| format!("$A{n}=${{A{}}}${{A{}}}\n", n - 1, n - 1))
        .collect();
    refused(
        &format!("$A0=aaaaaaaa\n{doubling}x $A59\n"),
        &[],
        "longer and longer",
    );
    refused("$A= \\\n a \\\n $A\n\n$A\n", &[], "becomes too large");
}

#[test]
fn files_that_include_themselves_end() {
    let this = "/etc/keepalived/keepalived.conf";
    refused(
        "include keepalived.conf\n",
        &[(this, "include keepalived.conf\n")],
        "without end",
    );
    let both = [("/etc/keepalived/a", "include a\ninclude a\n")];
    refused("include a\n", &both, "too");
    refused(
        &format!("include {}\n", "{a,b}".repeat(60)),
        &[],
        "too many files",
    );
}

#[test]
fn braces_without_end_are_said_once() {
    refused(&"{".repeat(50_000), &[], "no block here");
    refused(&"}".repeat(4000), &[], "a `}` too many");
    refused(&"vrrp_instance A {\n".repeat(2000), &[], "not closed");
}

#[test]
fn ranges_without_end_are_refused() {
    let group = |range: &str| format!("virtual_server_group G {{\n {range} 80\n}}\n");
    for range in ["10.0.0.0/8", "10.0.0.0-10.255.255.255", "2001:db8::/32"] {
        refused(&group(range), &[], "the range is too large");
    }
}

#[test]
fn large_files_are_read_in_no_time_that_grows_faster() {
    let instance = |n: u32| {
        format!(
            "virtual_server 10.{}.{}.{} 80 {{\n protocol TCP\n lvs_sched rr\n lvs_method NAT\n \
             real_server 10.99.0.1 80 {{\n TCP_CHECK {{\n }}\n }}\n}}\n",
            n >> 16,
            (n >> 8) & 255,
            n & 255
        )
    };
    let text: String = (0..4000).map(instance).collect();
    let reading = read_with(&text, &mut Files::default(), Limits::default());
    assert_eq!(reading.config.unwrap().services.len(), 4000);
}

/// A case with some of its text replaced, taken out or doubled.
fn damaged() -> impl Strategy<Value = (String, Files)> {
    let count = cases::cases().len();
    let pieces = prop_oneof![
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        Just("\n".to_owned()),
        Just("$A".to_owned()),
        Just("${A}".to_owned()),
        Just("$A= \\\n".to_owned()),
        Just("~SEQ(A, 1, 9) ".to_owned()),
        Just("~LST(A, 1, 9) ".to_owned()),
        Just("@main ".to_owned()),
        Just("-".to_owned()),
        Just("99999999999999999999".to_owned()),
        Just("include part.conf\n".to_owned()),
        "\\PC{0,3}",
    ];
    let edits = prop::collection::vec((any::<prop::sample::Index>(), 0..20usize, pieces), 0..6);
    (0..count, edits).prop_map(|(index, edits)| {
        let case = cases::cases().swap_remove(index);
        let mut text = case.text;
        for (place, length, piece) in edits {
            let begin = text.floor_char_boundary(place.index(text.len() + 1));
            let end = text.ceil_char_boundary((begin + length).min(text.len()));
            text.replace_range(begin..end, &piece);
        }
        let files = Files {
            files: case.files,
            ..Files::default()
        };
        (text, files)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_damage_makes_it_panic((text, mut files) in damaged()) {
        let reading = read_with(&text, &mut files, small());
        let errors = reading.diagnostics.iter().any(|one| one.is_error());
        prop_assert_eq!(reading.config.is_none(), errors);
        for one in &reading.diagnostics {
            prop_assert!(one.line >= 1 && one.column >= 1);
        }
    }

    #[test]
    fn nothing_makes_it_panic(text in "\\PC{0,200}") {
        read_with(&text, &mut Files::default(), small());
    }
}
