//! Which scripts run and which are refused: as keepalived 2.2.7 did with the same files, users and permissions
//! (`recorded/record-scripts`), but for the few that are named here. As root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use weir_host::script::{Account, Error, Script, run};

const CASES: &str = include_str!("recorded/scripts.txt");
const KEEPALIVED: &str = include_str!("recorded/scripts-keepalived.txt");
/// No script takes so long.
const LONG: Duration = Duration::from_secs(60);

/// Where Weir does otherwise: with script security, without it, and why.
const DIFFERENCES: &[(&str, &str, &str, &str)] = &[
    (
        "link in a directory writable for everybody",
        "refused",
        "runs",
        "keepalived goes by the link once, when it begins; Weir each time, and it may be another one by then",
    ),
    (
        "directory that is a link in a directory writable for everybody",
        "refused",
        "runs",
        "the same",
    ),
    (
        "world-writable, by nobody",
        "refused",
        "runs",
        "what everybody can write says nothing of a real server, whoever runs it",
    ),
    (
        "directory writable for everybody, by nobody",
        "refused",
        "runs",
        "the same",
    ),
    (
        "not executable and world-writable",
        "refused",
        "not executable",
        "Weir looks at permissions first",
    ),
    (
        "a directory",
        "not executable",
        "not executable",
        "that it is no program is no matter of permissions",
    ),
    (
        "closed directory, by nobody",
        "not executable",
        "not executable",
        "it is there, and not for that user",
    ),
    (
        "without a first line",
        "not executable",
        "not executable",
        "keepalived cannot run it either, and takes that for success",
    ),
    (
        "without a first line, by nobody",
        "not executable",
        "not executable",
        "the same",
    ),
];

#[tokio::test]
async fn scripts_run_as_they_do_under_keepalived() {
    let recorded: Vec<&str> = KEEPALIVED.lines().skip(1).collect();
    let cases = CASES.split("\n=== ").skip(1);
    let mut number = 0;
    let mut wrong = Vec::new();
    for (case, recorded) in cases.zip(&recorded) {
        let (name, lines) = case.split_once('\n').unwrap();
        let (_, verdicts) = recorded.rsplit_once(": ").unwrap();
        let (secure, plain) = verdicts.split_once(" | ").unwrap();
        let expected = match DIFFERENCES.iter().find(|(other, ..)| *other == name) {
            Some((_, own_secure, own_plain, why)) => {
                assert_ne!((*own_secure, *own_plain), (secure, plain), "{name}: {why}");
                [*own_secure, *own_plain]
            }
            None => [secure, plain],
        };
        for (secure, expected) in [true, false].into_iter().zip(expected) {
            let became = play(lines, secure).await;
            if became != expected {
                wrong.push(format!(
                    "{name}, secure {secure}: {became}, keepalived {expected}"
                ));
            }
        }
        number += 1;
    }
    assert_eq!(number, recorded.len(), "record anew");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn play(lines: &str, secure: bool) -> &'static str {
    // Below a directory that is sticky, as when it was recorded.
    let directory = tempfile::tempdir_in("/tmp").unwrap();
    set_mode(directory.path(), 0o755);
    for line in lines.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match *words.as_slice() {
            ["link", name, target] => symlink(target, directory.path().join(name)).unwrap(),
            ["run", program, ref user @ ..] => {
                let Ok(account) = Account::find(user[0], user.get(1).copied()) else {
                    return "no such account";
                };
                let script = Script {
                    program: directory.path().join(program),
                    arguments: Vec::new(),
                    account,
                    secure,
                };
                return became(&script).await;
            }
            [kind, name, owner, mode] => make(&directory.path().join(name), kind, owner, mode),
            _ => panic!("{line}"),
        }
    }
    panic!("nothing is run: {lines}")
}

async fn became(script: &Script) -> &'static str {
    match run(script, LONG).await {
        Ok(_) => "runs",
        Err(Error::Unsafe { .. }) => "refused",
        Err(Error::NotFound(_)) => "not found",
        Err(Error::NotStarted { .. }) => "not executable",
        Err(error @ Error::Lost { .. }) => panic!("{error}"),
    }
}

fn make(path: &Path, kind: &str, owner: &str, mode: &str) {
    match kind {
        "dir" => fs::create_dir(path).unwrap(),
        "bare" => fs::write(path, "exit 7\n").unwrap(),
        _ => fs::write(path, "#!/bin/sh\nexit 0\n").unwrap(),
    }
    let (user, group) = owner.split_once(':').unwrap();
    chown(
        path,
        Some(user.parse().unwrap()),
        Some(group.parse().unwrap()),
    )
    .unwrap();
    set_mode(path, u32::from_str_radix(mode, 8).unwrap());
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}
