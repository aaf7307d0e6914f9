//! The lab itself: its networks carry traffic, and nothing of them stays.
#![cfg(feature = "privileged")]

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use weir_lab::{Family, Lab, Network, Nginx, Plan, Shape, UdpEcho, UdpLoad, curl, curl_hash};

#[test]
fn every_shape_routes_both_families() {
    for shape in [Shape::TwoInterfaces, Shape::OneInterface] {
        let network = Network::new(Plan {
            shape,
            real_servers: 2,
            offload: true,
        })
        .expect("a network");
        let server = &network.real_servers[1];
        let nginx = Nginx::start(network.lab(), server, 80).expect("nginx");
        let _echo = UdpEcho::start(&server.namespace, &server.name, 53).expect("a UDP server");
        for family in Family::BOTH {
            let url = format!("http://{}/", server.at(family, 80));
            let answers = curl(&network.client, &url, 20).expect("answers");
            assert_eq!(answers.of("real2"), 20, "{shape:?} {family:?}");
            let load = UdpLoad {
                service: server.at(family, 53),
                questions: 20,
            };
            assert_eq!(
                load.run(&network.client).expect("answers").of("real2"),
                20,
                "{shape:?} {family:?}"
            );
        }
        assert_eq!(nginx.answered(), 40);
    }
}

#[test]
fn a_big_file_keeps_its_hash_on_the_way() {
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 1,
        offload: true,
    })
    .expect("a network");
    let file = Nginx::make_big_file(network.lab()).expect("a big file");
    let _nginx = Nginx::start(network.lab(), &network.real_servers[0], 80).expect("nginx");
    let sum = network
        .client
        .run(&format!("sha256sum {}", file.display()))
        .expect("a sum");
    let url = format!("http://{}/big", network.real_servers[0].at(Family::V4, 80));
    let fetched = curl_hash(&network.client, &url, 30).expect("the file");
    assert_eq!(sum.split(' ').next(), Some(fetched.as_str()));
}

#[test]
fn nothing_stays_after_a_panic() {
    let names = std::sync::Mutex::new(Vec::new());
    let panicked = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let network = Network::new(Plan {
                    shape: Shape::TwoInterfaces,
                    real_servers: 1,
                    offload: true,
                })
                .expect("a network");
                network.lab().bpffs().expect("a BPF file system");
                let place = network.lab().directory();
                names.lock().expect("names").extend([
                    std::path::Path::new("/run/netns").join(network.client.name()),
                    place,
                ]);
                panic!("on purpose");
            })
            .join()
    });
    assert!(panicked.is_err());
    let names = names.into_inner().expect("names");
    assert_eq!(names.len(), 2);
    for name in names {
        assert!(!name.exists(), "{} stayed", name.display());
    }
}

/// Tells the test below that it is the process to be killed.
const OWNER: &str = "WEIR_LAB_TEST_OWNER";

/// Makes a network, says where it is, and waits to be killed.
fn wait_to_be_killed() {
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 1,
        offload: true,
    })
    .expect("a network");
    let _nginx = Nginx::start(network.lab(), &network.real_servers[0], 80).expect("nginx");
    println!(
        "\nat {} {}",
        network.lab().bpffs().expect("a BPF file system").display(),
        network.client.name()
    );
    std::thread::park();
}

#[test]
fn a_killed_process_leaves_nothing_to_the_next_lab() {
    if std::env::var_os(OWNER).is_some() {
        return wait_to_be_killed();
    }
    let itself = std::env::current_exe().expect("our own path");
    let name = "a_killed_process_leaves_nothing_to_the_next_lab";
    let mut owner = Command::new(itself)
        .args(["--exact", name, "--nocapture"])
        .env(OWNER, "")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the owner");
    let said = BufReader::new(owner.stdout.take().expect("its output"));
    let line = said
        .lines()
        .map_while(Result::ok)
        .find(|line| line.starts_with("at "))
        .expect("where it is");
    let mut words = line.split(' ').skip(1);
    let bpffs = PathBuf::from(words.next().expect("a directory"));
    let namespace = PathBuf::from("/run/netns").join(words.next().expect("a namespace"));
    assert!(bpffs.exists() && namespace.exists());

    owner.kill().expect("a kill");
    owner.wait().expect("its end");
    let _next = Lab::new().expect("a lab");
    assert!(!bpffs.exists() && !namespace.exists());
}
