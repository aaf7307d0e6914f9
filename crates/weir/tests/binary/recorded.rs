//! What was done to the real ipvsadm on a kernel with IPVS is done to ours in front of a daemon: every
//! byte and every exit code, and so every refusal of the kernel, has to be the same.

use weir::verbs::ipvsadm::RemoteDirector;
use weir_api::client::Client;
use weir_ipvsadm::listing::Header;
use weir_ipvsadm::{Director as _, proc};

use crate::director::Director;

#[path = "../../../ipvsadm/tests/arguments/mod.rs"]
mod arguments;
#[path = "../../../ipvsadm/tests/machine/mod.rs"]
mod machine;
#[path = "../../../ipvsadm/tests/replay/mod.rs"]
mod replay;
#[path = "../../../ipvsadm/tests/table/mod.rs"]
mod table;

use replay::{difference, run};
use table::{Entry, Recorded};

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../../ipvsadm/tests/recorded/", $name, ".txt"))
    };
}

#[test]
fn options() {
    compare("options", recorded!("options"));
}

#[test]
fn addresses() {
    compare("addresses", recorded!("addresses"));
}

#[test]
fn values() {
    compare("values", recorded!("values"));
}

#[test]
fn restore() {
    compare("restore", recorded!("restore"));
}

#[test]
fn legality() {
    compare("legality", recorded!("legality"));
}

#[test]
fn scripts() {
    compare("scripts", recorded!("scripts"));
}

#[test]
fn daemons() {
    compare("daemons", recorded!("daemons"));
}

#[test]
fn proc_files() {
    compare("proc", recorded!("proc"));
}

#[test]
fn random() {
    compare("random1", recorded!("random1"));
    compare("random2", recorded!("random2"));
}

#[test]
fn arguments() {
    let director = Director::large();
    let mut remote = RemoteDirector::new(Client::new(&director.socket()).expect("a client"));
    let differences = arguments::differences(recorded!("arguments"), |recorded| {
        run(&mut remote, recorded)
    });
    let count = differences.len();
    assert!(
        count == 0,
        "{count} differences\n{}",
        differences.join("\n")
    );
}

fn compare(name: &str, text: &str) {
    let director = Director::large();
    let mut remote = RemoteDirector::new(Client::new(&director.socket()).expect("a client"));
    let mut differences = Vec::new();
    for entry in table::read(text) {
        let difference = match &entry {
            Entry::Fresh => {
                fresh(&mut remote);
                None
            }
            Entry::Moment => panic!("{name}: no packets come here"),
            Entry::Connection(line) => panic!("{name}: whose is {line}?"),
            Entry::Invocation(recorded) => difference(&mut remote, recorded),
            Entry::File(recorded) => file_difference(&mut remote, recorded),
        };
        if let (Some(difference), Entry::Invocation(recorded) | Entry::File(recorded)) =
            (difference, &entry)
        {
            differences.push(format!("{name}.txt:{}: {difference}", recorded.line));
        }
    }
    let count = differences.len();
    assert!(
        count == 0,
        "{count} differences\n{}",
        differences.join("\n")
    );
}

/// As what recorded the tables did before each part of them.
fn fresh(remote: &mut RemoteDirector) {
    for arguments in [
        &["-C"][..],
        &["--set", "900", "120", "300"],
        &["--stop-daemon", "master"],
        &["--stop-daemon", "backup"],
    ] {
        let arguments = arguments.iter().map(|&one| one.to_owned()).collect();
        run(
            remote,
            &Recorded {
                arguments,
                ..Recorded::default()
            },
        );
    }
}

/// Services in a file of the kernel, in any order; connections, of which there are none.
fn file_difference(remote: &mut RemoteDirector, recorded: &Recorded) -> Option<String> {
    let name = recorded.arguments[0].as_str();
    let ours = match name {
        "ip_vs" => {
            let header = Header {
                version: (1, 2, 1),
                connection_table_size: 4_096,
            };
            proc::services(header, &remote.services().expect("services"), 250)
        }
        "ip_vs_conn" => proc::connection_title(false).to_owned(),
        "ip_vs_conn_sync" => proc::connection_title(true).to_owned(),
        other => panic!("{other} tells of packets"),
    };
    let sorted = |text: &str| {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let same = sorted(&ours) == sorted(&recorded.stdout);
    (!same).then(|| format!("{name}\n  recorded\n{}  here\n{ours}", recorded.stdout))
}
