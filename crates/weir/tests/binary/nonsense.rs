//! Nonsense on the socket: a reason for each, and a daemon that lives and has changed nothing.

use weir_control::Tables;

use crate::director::Director;
use crate::transcript::check;

fn request(method: &str, path: &str, body: &str) -> String {
    format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn a_wrong_request_gets_a_reason() {
    let director = Director::new();
    check(&director, "$ -A -t 192.0.2.10:80 -s rr\n= 0\n");
    let service = "/v1/services/tcp:192.0.2.10:80";
    let servers = "/v1/services/tcp:192.0.2.10:80/servers";
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str, u16, &str)] = &[
        // No such thing.
        ("GET", "/", "", 404, "not-found"),
        ("GET", "/v1", "", 404, "not-found"),
        ("GET", "/v1/../../etc/passwd", "", 404, "not-found"),
        ("GET", "/v1/services/tcp:192.0.2.99:80", "", 404, "service-not-found"),
        ("DELETE", "/v1/services/tcp:192.0.2.10:80/servers/10.0.0.9:80", "", 404, "server-not-found"),
        // A method that the path has not.
        ("PUT", "/v1/services", "{}", 405, "method-not-allowed"),
        ("DELETE", "/v1/status", "", 405, "method-not-allowed"),
        ("BREW", "/v1/status", "", 405, "method-not-allowed"),
        // Bodies.
        ("POST", "/v1/services", "", 400, "invalid"),
        ("POST", "/v1/services", "{", 400, "invalid"),
        ("POST", "/v1/services", "[]", 400, "invalid"),
        ("POST", "/v1/services", "\u{fffd}\0", 400, "invalid"),
        ("POST", "/v1/services", r#"{"key":"tcp:192.0.2.11:80","colour":"red"}"#, 400, "invalid"),
        ("POST", "/v1/services", r#"{"key":7}"#, 400, "invalid"),
        ("POST", "/v1/services", r#"{"key":"tcp:192.0.2.11:80","scheduler":"fastest"}"#, 422, "scheduler-not-found"),
        ("POST", "/v1/services", r#"{"key":"tcp:192.0.2.10:80"}"#, 409, "service-exists"),
        ("POST", "/v1/services", r#"{"key":"fwmark:0"}"#, 400, "invalid"),
        ("POST", "/v1/services", r#"{"key":"tcp:192.0.2.11:80","engine":"x"}"#, 422, "scheduler-not-found"),
        ("POST", "/v1/services", r#"{"key":"tcp:192.0.2.11:0"}"#, 400, "invalid"),
        ("POST", "/v1/services", r#"{"key":"tcp:192.0.2.11:80","one_packet":true}"#, 400, "invalid"),
        ("POST", servers, r#"{"address":"10.0.0.1:80","weight":2147483648}"#, 422, "out-of-range"),
        ("POST", servers, r#"{"address":"10.0.0.1:80","weight":-1}"#, 400, "invalid"),
        ("POST", servers, r#"{"address":"10.0.0.1:80","forwarding":"fullnat"}"#, 400, "invalid"),
        ("POST", servers, r#"{"address":"[2001:db8::1]:80","forwarding":"dr"}"#, 400, "invalid"),
        ("POST", servers, r#"{"address":"10.0.0.1:80","lower_threshold":1}"#, 422, "out-of-range"),
        ("POST", servers, r#"{"address":"10.0.0.1"}"#, 400, "invalid"),
        ("POST", servers, r#"{"address":"[2001:db8::1]:80"}"#, 400, "invalid"),
        ("PATCH", service, r#"{"scheduler":"rr","weight":1}"#, 400, "invalid"),
        ("PUT", "/v1/timeouts", r#"{"tcp":4294967295}"#, 400, "invalid"),
        ("POST", "/v1/sync-daemons", r#"{"role":"master","interface":"none"}"#, 422, "no-such-device"),
        ("POST", "/v1/sync-daemons", r#"{"role":"slave","interface":"lo"}"#, 400, "invalid"),
        ("POST", "/v1/sync-daemons", r#"{"role":"master","interface":"lo","group":"192.0.2.1"}"#, 400, "invalid"),
        ("DELETE", "/v1/sync-daemons/master", "", 404, "daemon-not-found"),
        ("POST", "/v1/apply", "[director\n", 400, "invalid"),
        ("POST", "/v1/apply", "colour = \"red\"\n", 400, "invalid"),
        // Queries and keys.
        ("GET", "/v1/connections?limit=0", "", 422, "out-of-range"),
        ("GET", "/v1/connections?limit=many", "", 400, "invalid"),
        ("GET", "/v1/connections?client=nobody", "", 400, "invalid"),
        ("GET", "/v1/services/tcp:192.0.2.10", "", 400, "invalid"),
        ("GET", "/v1/services/%ff", "", 400, "invalid"),
        ("POST", "/v1/plan?name=%ff&name=x", "", 400, "invalid"),
    ];
    for (method, path, body, status, code) in rows {
        let answer = director.raw(request(method, path, body).as_bytes());
        let row = format!("{method} {path} {body}");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{row}: {answer}"
        );
        let json = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        let json: serde_json::Value = serde_json::from_str(json).expect(&row);
        assert_eq!(json["error"]["code"], *code, "{row}: {answer}");
        let message = json["error"]["message"].as_str().expect(&row);
        assert!(message.len() > 5, "{row}: {message}");
    }
    unchanged(&director);
}

#[test]
fn what_is_not_http_is_refused() {
    let director = Director::new();
    check(&director, "$ -A -t 192.0.2.10:80 -s rr\n= 0\n");
    let rows: &[&[u8]] = &[
        b"\0\xff\0\xff nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /v1/status HTTP/9.9\r\n\r\n",
        b"GET /v1/status\r\nhost\r\n\r\n",
        b"POST /v1/services HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n",
        b"POST /v1/services HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ];
    for bytes in rows {
        let answer = director.raw(bytes);
        assert!(answer.starts_with("HTTP/1.1 4"), "{bytes:?}: {answer}");
    }
    unchanged(&director);
}

#[test]
fn who_goes_away_in_the_middle_disturbs_nobody() {
    let director = Director::new();
    check(&director, "$ -A -t 192.0.2.10:80 -s rr\n= 0\n");
    let whole = request("POST", "/v1/services", r#"{"key":"tcp:192.0.2.11:80"}"#);
    for end in [0, 1, 20, whole.len() - 1] {
        director.hang_up_after(&whole.as_bytes()[..end]);
    }
    unchanged(&director);
}

#[test]
fn bodies_and_heads_without_end_are_cut_off() {
    let director = Director::new();
    check(&director, "$ -A -t 192.0.2.10:80 -s rr\n= 0\n");
    let mut body = request("POST", "/v1/services", "").into_bytes();
    body = String::from_utf8(body)
        .expect("text")
        .replace("content-length: 0", "content-length: 99999999")
        .into_bytes();
    body.resize(2 << 20, b' ');
    let answer = director.raw(&body);
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("too-large"), "{answer}");

    let mut head = b"GET /v1/status HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    head.resize(2 << 20, b'x');
    let answer = director.raw(&head);
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
    unchanged(&director);
}

/// The daemon answers, and there is the one service that there was.
fn unchanged(director: &Director) {
    check(director, "$ -Sn\n= 0\n> -A -t 192.0.2.10:80 -s rr\n");
    assert_eq!(director.tables.index().len(), 1);
    let timeouts = weir_control::settings::timeouts(director.tables.settings());
    assert_eq!(timeouts.tcp, 900);
}

#[test]
fn the_document_names_every_path_and_every_path_is_there() {
    let director = Director::new();
    let answer = director.raw(request("GET", "/v1/openapi.json", "").as_bytes());
    let json = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let document: serde_json::Value = serde_json::from_str(json).expect("JSON");
    let paths = document["paths"].as_object().expect("paths");
    let mut names: Vec<&str> = paths.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "/v1/apply",
            "/v1/audit",
            "/v1/bfd",
            "/v1/connections",
            "/v1/counters",
            "/v1/drift",
            "/v1/events",
            "/v1/health",
            "/v1/health/{key}",
            "/v1/history",
            "/v1/history/{number}",
            "/v1/maintenance",
            "/v1/marks",
            "/v1/openapi.json",
            "/v1/plan",
            "/v1/rollback",
            "/v1/services",
            "/v1/services/{key}",
            "/v1/services/{key}/servers",
            "/v1/services/{key}/servers/{address}",
            "/v1/services/{key}/servers/{address}/drain",
            "/v1/services/{key}/zero",
            "/v1/status",
            "/v1/sync-daemons",
            "/v1/sync-daemons/{role}",
            "/v1/sysctls",
            "/v1/sysctls/{name}",
            "/v1/timeouts",
            "/v1/vrrp",
            "/v1/zero",
        ]
    );
    // No path of the document is one that the server does not know, and no method either.
    for (path, methods) in paths {
        // The one has just answered, and has all those words in it; the other's answer never ends.
        if ["/v1/openapi.json", "/v1/events"].contains(&path.as_str()) {
            continue;
        }
        for method in methods.as_object().expect("methods").keys() {
            let path = path
                .replace("{key}", "tcp:192.0.2.1:1")
                .replace("{address}", "10.0.0.1:1")
                .replace("{role}", "backup")
                .replace("{number}", "1");
            let answer = director.raw(request(&method.to_uppercase(), &path, "").as_bytes());
            for unknown in ["\"not-found\"", "method-not-allowed", "HTTP/1.1 5"] {
                assert!(!answer.contains(unknown), "{method} {path}: {answer}");
            }
        }
    }
}
