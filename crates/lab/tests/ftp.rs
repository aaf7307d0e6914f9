//! FTP by a real client and real servers, through NAT: active and passive, both families.
#![cfg(feature = "privileged")]

mod common;

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use weir_lab::{Director, Family, Network, Plan, Process, Shape};

const FTP: u16 = 21;

/// How curl asks for its data connections: EPSV, PASV, EPRT, PORT.
const WAYS: [(&str, &str); 4] = [
    ("EPSV", ""),
    ("PASV", "--disable-epsv --no-ftp-skip-pasv-ip"),
    ("EPRT", "--ftp-port -"),
    ("PORT", "--ftp-port - --disable-eprt"),
];

/// Listings and large files, with many data connections on one control connection; the address in the answer to
/// PASV has another length than the real server's.
fn carries(mode: &str) {
    let network = Network::new(Plan {
        shape: Shape::TwoInterfaces,
        real_servers: 2,
        offload: !mode.starts_with("xdp"),
    })
    .expect("a network");
    let place = network.lab().directory();
    let root = place.join("ftp");
    fs::create_dir(&root).expect("a directory");
    let bytes: Vec<u8> = (0..3_000_000u32)
        .map(|n| (n.wrapping_mul(n) >> 7) as u8)
        .collect();
    fs::write(root.join("big"), &bytes).expect("a file");
    let configuration = place.join("vsftpd.conf");
    let text = format!(
        "listen=NO\nlisten_ipv6=YES\nbackground=NO\nanonymous_enable=YES\nno_anon_password=YES\n\
         local_enable=NO\nanon_root={}\nconnect_from_port_20=YES\nseccomp_sandbox=NO\n\
         secure_chroot_dir=/var/empty-for-ftp\n",
        root.display()
    );
    let text = text.replace("/var/empty-for-ftp", &place.display().to_string());
    fs::write(&configuration, text).expect("a configuration");
    // The director is a real server too.
    let own = (&network.director, "director");
    let others = network.real_servers.iter();
    let servers: Vec<Process> = others
        .map(|server| (&server.namespace, server.name.as_str()))
        .chain([own])
        .map(|(namespace, name)| {
            let mut command = namespace.command("vsftpd");
            let log = place.join(format!("vsftpd-{name}.log"));
            Process::start(command.arg(&configuration), &log).expect("an FTP server")
        })
        .collect();
    let director = Director::start(&network, &common::weir(), mode).expect("a director");
    for family in Family::BOTH {
        let service = Network::service(family, FTP);
        director
            .ipvsadm(&format!("-A -t {service} -s rr"))
            .expect("a service");
        for server in &network.real_servers {
            let line = format!("-a -t {service} -r {} -m", server.at(family, FTP));
            director.ipvsadm(&line).expect("a real server");
        }
        let own = SocketAddr::new(family.director(), FTP);
        let line = format!("-a -t {service} -r {own} -m");
        director.ipvsadm(&line).expect("a real server");
    }
    let began = Instant::now();
    for family in Family::BOTH {
        let url = format!("ftp://{}", Network::service(family, FTP));
        for (way, options) in WAYS {
            if family == Family::V6 && (way == "PASV" || way == "PORT") {
                continue;
            }
            let got = place.join("got");
            let line = format!(
                "curl -sS --retry 3 --retry-connrefused --max-time 20 {options} {url}/big -o {got} --next \
                 -sS --max-time 20 {options} {url}/",
                got = got.display()
            );
            let listing = network
                .client
                .run(&line)
                .unwrap_or_else(|error| panic!("{mode} {family:?} {way}: {error}"));
            assert!(
                listing.contains("big"),
                "{mode} {family:?} {way}: {listing}"
            );
            assert_eq!(
                fs::read(&got).expect("the file"),
                bytes,
                "{mode} {family:?} {way}"
            );
            // Five files by one control connection.
            let line = format!(
                "curl -sS --max-time 20 {options} {url}/big {url}/big {url}/big {url}/big {url}/big -o {0} -o {0} \
                 -o {0} -o {0} -o {0}",
                got.display()
            );
            network
                .client
                .run(&line)
                .unwrap_or_else(|error| panic!("{mode} {family:?} {way}, again: {error}"));
            assert_eq!(
                fs::read(&got).expect("the file"),
                bytes,
                "{mode} {family:?} {way}"
            );
        }
    }
    assert!(
        began.elapsed() < Duration::from_secs(100),
        "something waits"
    );
    drop(servers);
}

#[test]
fn tc_carries_ftp() {
    carries("tc");
}

#[test]
fn xdp_carries_ftp() {
    carries("xdp");
}
