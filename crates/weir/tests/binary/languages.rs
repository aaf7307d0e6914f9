//! Configuration files of all languages: checked, translated, planned and made so.

use std::fs;

use serde_json::Value;

use crate::director::{Director, parts};

const KEEPALIVED: &str = "\
# Two of them.
$VIP=192.0.2.10
$RS= \\
    real_server 10.0.0.${N} 8080 { \\
        weight 3 \\
        TCP_CHECK { \\
            connect_timeout 2 \\
        } \\
    }

global_defs {
    enable_dbus
}
virtual_server $VIP 80 {
    delay_loop 6
    lvs_sched wrr
    lvs_method NAT
    protocol TCP
    ~SEQ(N, 1, 2) $RS
}
";

const SAVED: &str = "\
-A -t 192.0.2.10:80 -s wrr
-a -t 192.0.2.10:80 -r 10.0.0.1:8080 -m -w 3
";

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join(name);
    fs::write(&path, text).expect("a file");
    let path = path.display().to_string();
    (directory, path)
}

#[test]
fn check_says_whether_a_file_is_right() {
    let director = Director::new();
    for (name, text, code, words) in [
        (
            "keepalived.conf",
            KEEPALIVED,
            0,
            "is right: 1 service, 0 VRRP instances; 0 warnings, 1 note",
        ),
        ("saved", SAVED, 0, "is right: 1 service"),
        ("weir.toml", "[director]\n", 0, "is right: 0 services"),
        (
            "lb.conf",
            "virtual_server 192.0.2.10 80 {\n}\n",
            2,
            "lb.conf:1:1",
        ),
        ("weir.toml", "[directr]\n", 2, "did you mean `director`?"),
        (
            "saved",
            "-A -t 192.0.2.10:80 -s best\n",
            2,
            "there is no scheduler `best`",
        ),
    ] {
        let (_directory, path) = file(name, text);
        let (ended, output, error) = parts(&director.weir(&["check", &path]));
        assert_eq!(ended, code, "{name}: {output}{error}");
        assert!((output + &error).contains(words), "{name}: {words}");
    }
}

#[test]
fn check_says_it_in_json_too() {
    let director = Director::new();
    let (_directory, path) = file("keepalived.conf", "vrrp_instance A {\n  prority 7\n}\n");
    let (code, output, _) = parts(&director.weir(&["check", "--json", &path]));
    assert_eq!(code, 2);
    let said: Value = serde_json::from_str(&output).expect("JSON");
    assert_eq!(said["ok"], false);
    let found = said["found"].as_array().expect("a list");
    let misspelt = found.iter().find(|one| one["line"] == 2).expect("line 2");
    assert_eq!(misspelt["column"], 3);
    assert_eq!(misspelt["severity"], "error");
    assert_eq!(misspelt["expected"], "did you mean `priority`?");
}

#[test]
fn import_translates_and_what_it_prints_is_right() {
    let director = Director::new();
    for (name, text) in [("keepalived.conf", KEEPALIVED), ("saved", SAVED)] {
        let (directory, path) = file(name, text);
        let (code, output, error) = parts(&director.weir(&["import", &path]));
        assert_eq!(code, 0, "{name}: {error}");
        assert!(output.contains("10.0.0.1:8080"), "{output}");
        let dbus = "`enable_dbus` has no effect in Weir";
        assert_eq!(output.contains(dbus), name == "keepalived.conf", "{output}");
        assert_eq!(error.contains(dbus), name == "keepalived.conf", "{error}");
        let translated = directory.path().join("weir.toml");
        fs::write(&translated, &output).expect("a file");
        let translated = translated.display().to_string();
        let (code, output, error) = parts(&director.weir(&["check", &translated]));
        assert_eq!(code, 0, "{name}: {output}{error}");
    }
}

#[test]
fn apply_takes_a_file_of_any_language() {
    let director = Director::new();
    for (name, text) in [("keepalived.conf", KEEPALIVED), ("saved", SAVED)] {
        let (_directory, path) = file(name, text);
        let (code, output, error) = parts(&director.weir(&["apply", &path]));
        assert_eq!(code, 0, "{name}: {output}{error}");
        let (_, services, _) = parts(&director.weir(&["services"]));
        assert!(services.contains("192.0.2.10:80"), "{services}");
    }
    let (_directory, path) = file("keepalived.conf", "frobnicate\n");
    let (code, _, error) = parts(&director.weir(&["apply", &path]));
    assert_eq!(code, 2);
    assert!(
        error.contains("there is no keyword `frobnicate`"),
        "{error}"
    );
}
