//! Checks of a real web server, in a network and process namespace of their own. Needs root, and the
//! programs `unshare`, `ip` and `nginx`.

mod common;

use std::path::Path;
use std::process::Command;

use common::{ask, failed, passed};
use weir_config::model::health::{
    CheckKind, HttpBody, HttpCheck, HttpRequest, HttpTurns, HttpVersion, PingCheck, TcpCheck, Tls,
};

/// Set inside the namespace.
const INSIDE: &str = "WEIR_PROBE_INSIDE";
const NAME: &str = "web.example";

#[test]
fn nginx_is_checked() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        return runtime.block_on(inside());
    }
    // With us goes all that we have started there.
    let status = Command::new("unshare")
        .args(["--net", "--pid", "--fork", "--kill-child"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "nginx_is_checked", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// Returns when nginx listens.
fn start(directory: &Path) {
    let certificate = rcgen::generate_simple_self_signed(vec![NAME.to_owned()]).unwrap();
    std::fs::write(directory.join("certificate"), certificate.cert.pem()).unwrap();
    let key = certificate.signing_key.serialize_pem();
    std::fs::write(directory.join("key"), key).unwrap();
    let at = directory.display();
    let text = format!(
        r#"
        worker_processes 1; pid {at}/pid; error_log {at}/error.log; user root;
        events {{ worker_connections 64; }}
        http {{
            access_log off; client_body_temp_path {at}; proxy_temp_path {at}; fastcgi_temp_path {at};
            uwsgi_temp_path {at}; scgi_temp_path {at};
            server {{
                listen 127.0.0.1:8080; listen [::1]:8080;
                location / {{ return 200 "hello from $host\n"; }}
                location /busy {{ return 503; }}
                location /gone {{ return 444; }}
                location /moved {{ return 302 /; }}
            }}
            server {{ listen 127.0.0.1:8081 proxy_protocol; location / {{ return 200 "proxied\n"; }} }}
            server {{
                listen 127.0.0.1:8443 ssl http2;
                ssl_certificate {at}/certificate; ssl_certificate_key {at}/key;
                location / {{ return 200 "hello by $server_protocol\n"; }}
            }}
        }}"#
    );
    let file = directory.join("nginx.conf");
    std::fs::write(&file, text).unwrap();
    run(Command::new("nginx").arg("-c").arg(&file));
}

fn get(path: &str, version: HttpVersion, tls: Option<Tls>, pattern: &str) -> HttpCheck {
    HttpCheck {
        requests: vec![HttpRequest {
            method: "GET".to_owned(),
            path: path.to_owned(),
            host: Some(NAME.to_owned()),
            headers: Vec::new(),
            status: Vec::new(),
            body: vec![HttpBody::Matches {
                pattern: pattern.to_owned(),
                not: false,
                from: 0,
                before: None,
                options: String::new(),
            }],
        }],
        version,
        tls,
        proxy: false,
        turns: HttpTurns::All,
    }
}

async fn inside() {
    let directory = tempfile::tempdir().unwrap();
    run(Command::new("ip").args(["link", "set", "lo", "up"]));
    start(directory.path());
    let [plain, plain6, proxied, secure, nobody] = [
        "127.0.0.1:8080",
        "[::1]:8080",
        "127.0.0.1:8081",
        "127.0.0.1:8443",
        "127.0.0.1:9",
    ]
    .map(|address| address.parse().unwrap());

    for version in [
        HttpVersion::Http10,
        HttpVersion::Http10Close,
        HttpVersion::Http11,
        HttpVersion::Http2,
    ] {
        let check = get("/", version, None, "^hello from web.example$");
        if version == HttpVersion::Http2 {
            // This one speaks HTTP/2 in TLS only.
            failed(&ask(CheckKind::Http(check), plain).await, "");
        } else {
            passed(&ask(CheckKind::Http(check.clone()), plain).await);
            passed(&ask(CheckKind::Http(check), plain6).await);
        }
    }
    for (path, reason) in [
        ("/busy", "status 503"),
        ("/gone", "without an answer"),
        ("/moved", "status 302"),
    ] {
        let check = CheckKind::Http(get(path, HttpVersion::Http11, None, ""));
        failed(&ask(check, plain).await, reason);
    }

    let mut check = get("/", HttpVersion::Http11, None, "proxied");
    failed(&ask(CheckKind::Http(check.clone()), proxied).await, "");
    check.proxy = true;
    passed(&ask(CheckKind::Http(check), proxied).await);

    let trusted = Tls {
        server_name: Some(NAME.to_owned()),
        verify: true,
        authorities: Some(directory.path().join("certificate")),
        identity: None,
    };
    let stranger = Tls {
        authorities: None,
        ..trusted.clone()
    };
    for tls in [trusted.clone(), Tls::default()] {
        for (version, spoken) in [
            (HttpVersion::Http11, "HTTP/1.1"),
            (HttpVersion::Http2, "HTTP/2.0"),
        ] {
            let pattern = format!("hello by {spoken}");
            let check = get("/", version, Some(tls.clone()), &pattern);
            passed(&ask(CheckKind::Http(check), secure).await);
        }
    }
    let check = get("/", HttpVersion::Http11, Some(stranger), "");
    let verdict = ask(CheckKind::Http(check), secure).await;
    assert!(
        !matches!(verdict.outcome, weir_health::verdict::Outcome::Passed),
        "{verdict:?}"
    );

    let ping = || CheckKind::Ping(PingCheck::default());
    passed(&ask(ping(), plain).await);
    passed(&ask(ping(), plain6).await);
    failed(
        &ask(ping(), "192.0.2.1:0".parse().unwrap()).await,
        "network unreachable",
    );
    let tcp = || CheckKind::Tcp(TcpCheck::default());
    passed(&ask(tcp(), plain).await);
    failed(&ask(tcp(), nobody).await, "connection refused");
}
