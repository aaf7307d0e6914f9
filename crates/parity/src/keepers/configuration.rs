//! The file of both keepers: one virtual service for each thing that keepalived does otherwise than plainly.

use super::servers::{SERVERS, address, address6, pinged};
use std::path::Path;

/// Which of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// What it starts with.
    First,
    /// What it reads later.
    Second,
}

/// How often is checked, and what is not said otherwise.
const PACE: &str = "delay_loop 2\n warmup 0\n connect_timeout 1\n retry 1\n delay_before_retry 1\n";
const HTTP: &str = "HTTP_GET {\n url {\n path /\n status_code 200\n }\n connect_timeout 1\n retry 1\n delay_before_retry 1\n }\n";
const TCP: &str = "TCP_CHECK {\n connect_timeout 1\n retry 1\n delay_before_retry 1\n }\n";

/// The file, which names files of that directory.
pub fn text(place: &Path, edition: Edition) -> String {
    let dir = place.display();
    let note = |words: &str| format!("\"{dir}/note {words}\"");
    let script = |number: u8, dynamic: bool| {
        let dynamic = if dynamic { "misc_dynamic\n" } else { "" };
        format!(
            "MISC_CHECK {{\n misc_path \"{dir}/check {dir}/code{number}\"\n misc_timeout 5\n {dynamic} }}\n"
        )
    };
    let mut text = format!(
        "global_defs {{
 router_id lab
 notification_email {{
  one@example.net
  two@example.net
 }}
 notification_email_from lb@example.net
 smtp_server 10.0.0.250 25
 smtp_connect_timeout 5
 script_user root
 notify_fifo {dir}/all
 lvs_notify_fifo {dir}/lvs
}}
"
    );
    let told = |service: &str| {
        let (up, down) = (
            format!("{service} quorum up"),
            format!("{service} quorum down"),
        );
        format!(
            "smtp_alert\n quorum_up {}\n quorum_down {}\n",
            note(&up),
            note(&down)
        )
    };
    let weights = match edition {
        Edition::First => [1, 2, 3],
        Edition::Second => [5, 2, 3],
    };
    let notified = |service: &str, server: &str| {
        let (up, down) = (format!("{service} up"), format!("{service} down"));
        format!(
            "notify_up {}
 notify_down {}
{server}",
            note(&up),
            note(&down)
        )
    };
    text += &service("192.0.2.1 80", &told("first"), weights, |_| {
        notified("first", HTTP)
    });
    text += &service(
        "192.0.2.2 80",
        "inhibit_on_failure\n smtp_alert\n",
        [1, 1, 1],
        |_| TCP.to_owned(),
    );
    text += &service(
        "192.0.2.3 80",
        &format!(
            "quorum 3\n hysteresis 1\n sorry_server 10.0.0.99 80\n {}",
            told("sorry")
        ),
        [2, 2, 1],
        |_| HTTP.to_owned(),
    );
    text += &service(
        "192.0.2.4 80",
        "sorry_server 10.0.0.99 80\n sorry_server_inhibit\n inhibit_on_failure\n",
        [1, 1, 1],
        |_| TCP.to_owned(),
    );
    text += &service(
        "192.0.2.5 80",
        &format!("alpha\n omega\n {}", told("alpha")),
        [1, 1, 1],
        |_| notified("alpha", TCP),
    );
    text += &service(
        "192.0.2.6 80",
        "smtp_alert\n",
        [4, 4, 4],
        |number| match number {
            1 => script(1, true),
            2 => script(2, true),
            // Both together.
            _ => script(1, true) + &script(2, true),
        },
    );
    text += &service(
        "192.0.2.7 80",
        "quorum 4\n inhibit_on_failure\n sorry_server 10.0.0.99 80\n",
        [3, 2, 1],
        |number| {
            if number == 1 {
                script(1, true)
            } else {
                TCP.to_owned()
            }
        },
    );
    text += &service("192.0.2.8 80", "", [1, 1, 1], |_| {
        TCP.to_owned() + &script(2, false)
    });
    text += &service("fwmark 7", "smtp_alert\n", [1, 1, 1], |_| {
        TCP.replacen("{\n", "{\n connect_port 80\n ", 1)
    });
    text += "virtual_server_group SEVERAL {\n 192.0.2.20 80\n 192.0.2.21-22 80\n fwmark 9\n}\n";
    text += &service("group SEVERAL", "", [1, 1, 1], |_| HTTP.to_owned());
    text += &service(
        "192.0.2.9 80",
        "alpha\n inhibit_on_failure\n",
        [1, 1, 1],
        |_| TCP.to_owned(),
    );
    if edition == Edition::First {
        text += &service("192.0.2.10 80", &told("old"), [1, 1, 1], |_| {
            notified("old", TCP)
        });
    } else {
        text += &service("192.0.2.11 80", &told("new"), [1, 1, 1], |_| {
            notified("new", TCP)
        });
    }
    let without = match edition {
        Edition::First => 0,
        Edition::Second => 2,
    };
    text += &service(
        "192.0.2.12 80",
        &told("smaller"),
        [1, 1, 1],
        |number| match number == without {
            true => String::new(),
            false => notified("smaller", TCP),
        },
    );
    text += &every_kind(dir.to_string().as_str());
    text += &service6("2001:db8:1::1 80", &told("six"));
    text += "virtual_server 192.0.2.13 53 {\n lb_algo sh\n lb_kind DR\n protocol UDP\n ops\n persistence_timeout 60\n";
    text += PACE;
    for number in 1..=SERVERS {
        text += &format!(
            "real_server {} 53 {{\n weight 1\n {} }}\n",
            address(number),
            TCP.replacen("{\n", "{\n connect_port 80\n ", 1)
        );
    }
    text += "}\n";
    text
}

/// A service by NAT; of which nothing is said of a real server is left out.
fn service(head: &str, further: &str, weights: [u32; 3], checks: impl Fn(u8) -> String) -> String {
    let mut text = format!(
        "virtual_server {head} {{\n lb_algo wrr\n lb_kind NAT\n protocol TCP\n {PACE} {further}"
    );
    for (number, weight) in (1..=SERVERS).zip(weights) {
        let checks = checks(number);
        if !checks.is_empty() {
            text += &format!(
                "real_server {} 80 {{\n weight {weight}\n {checks} }}\n",
                address(number)
            );
        }
    }
    text + "}\n"
}

/// A service for each kind of check that is nowhere else.
fn every_kind(dir: &str) -> String {
    let repeated = "connect_timeout 1\n retry 1\n delay_before_retry 1\n";
    let mut text = String::new();
    for (number, weight) in [(1, 0), (2, 2)] {
        text += &format!(
            "track_file file{number} {{\n file {dir}/file{number}\n weight {weight}\n}}\n"
        );
    }
    let smtp = format!("SMTP_CHECK {{\n {repeated} helo_name lab\n }}\n");
    let dns = format!("DNS_CHECK {{\n {repeated} type A\n name www.example.net\n }}\n");
    let echo = format!(
        "UDP_CHECK {{\n {repeated} payload 77686f\n require_reply 6f6b\n min_reply_length 2\n max_reply_length 2\n }}\n"
    );
    for (head, protocol, port, check) in [
        ("192.0.2.30 25", "TCP", 25, smtp),
        ("192.0.2.31 53", "UDP", 53, dns),
        ("192.0.2.32 7", "UDP", 7, echo),
    ] {
        text += &format!(
            "virtual_server {head} {{\n lb_algo wrr\n lb_kind NAT\n protocol {protocol}\n smtp_alert\n {PACE}"
        );
        for number in 1..=SERVERS {
            text += &format!(
                "real_server {} {port} {{\n weight 1\n {check} }}\n",
                address(number)
            );
        }
        text += "}\n";
    }
    text += &format!(
        "virtual_server 192.0.2.33 80 {{\n lb_algo wrr\n lb_kind NAT\n smtp_alert\n protocol TCP\n {PACE}"
    );
    for number in 1..=SERVERS {
        text += &format!(
            "real_server {} 80 {{\n weight 1\n PING_CHECK {{\n {repeated} }}\n }}\n",
            pinged(number)
        );
    }
    text += "}\n";
    text + &service(
        "192.0.2.34 80",
        "smtp_alert\n",
        [4, 5, 6],
        |number| match number {
            1 => "FILE_CHECK {\n track_file file1\n }\n".to_owned(),
            2 => "FILE_CHECK {\n track_file file2\n }\n".to_owned(),
            _ => "FILE_CHECK {\n track_file file2\n weight -1\n }\n".to_owned(),
        },
    )
}

fn service6(head: &str, further: &str) -> String {
    let mut text = format!(
        "virtual_server {head} {{\n lb_algo rr\n lb_kind NAT\n protocol TCP\n {PACE} {further}"
    );
    for number in 1..=SERVERS {
        text += &format!(
            "real_server {} 80 {{\n weight 1\n {HTTP} }}\n",
            address6(number)
        );
    }
    text + "}\n"
}
