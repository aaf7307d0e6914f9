//! Mistakes as people see them: file, line, column, a caret, what was expected, all at once.

mod support;

use support::{Files, read_with};
use weir_keepalived::Limits;

#[track_caller]
fn check(text: &str, files: &[(&str, &str)], expected: &str) {
    let mut there = Files::default();
    for (path, text) in files {
        there.files.insert((*path).to_owned(), (*text).to_owned());
    }
    let reading = read_with(text, &mut there, Limits::default());
    let said: Vec<String> = reading
        .diagnostics
        .iter()
        .map(ToString::to_string)
        .collect();
    let (said, expected) = (said.join("\n\n"), expected.trim());
    assert!(said == expected, "said:\n{said}\n\nexpected:\n{expected}");
}

#[test]
fn all_mistakes_of_a_file_are_said_at_once() {
    check(
        "\
vrrp_instance A {
    interface eth0
    virtual_router_id 256   # too great
    prority 100
    advert_int often
    virtual_ipaddress {
        192.0.2.10/24 colour blue
    }
}
",
        &[],
        "
error: `256` is not right here
 --> keepalived.conf:3:23
  |
3 |     virtual_router_id 256   # too great
  |                       ^^^ expected a whole number from 1 to 255

error: there is no keyword `prority`
 --> keepalived.conf:4:5
  |
4 |     prority 100
  |     ^^^^^^^ did you mean `priority`?

error: `often` is not right here
 --> keepalived.conf:5:16
  |
5 |     advert_int often
  |                ^^^^^ expected seconds from 0.01 to 255, with up to 6 decimal places

error: `colour` is not right here
 --> keepalived.conf:7:23
  |
7 |         192.0.2.10/24 colour blue
  |                       ^^^^^^ expected dev, brd, scope, label, peer, preferred_lft, home, -nodad, mngtmpaddr, noprefixroute, autojoin, no_track or use_vmac

error: `blue` is not right here
 --> keepalived.conf:7:30
  |
7 |         192.0.2.10/24 colour blue
  |                              ^^^^ expected dev, brd, scope, label, peer, preferred_lft, home, -nodad, mngtmpaddr, noprefixroute, autojoin, no_track or use_vmac
",
    );
}

#[test]
fn a_mistake_in_an_included_file_is_said_there() {
    check(
        "include conf.d/*.conf\n",
        &[(
            "/etc/keepalived/conf.d/a.conf",
            "global_defs {\n  router_id\n}\n",
        )],
        "
error: `router_id` says nothing
 --> /etc/keepalived/conf.d/a.conf:2:3
  |
2 |   router_id
  |   ^^^^^^^^^ expected `router_id NAME`
",
    );
}

#[test]
fn a_mistake_in_a_definition_is_said_with_its_use() {
    check(
        "\
$PRIO=high

vrrp_instance A {
    interface eth0
    virtual_router_id 51
    priority $PRIO
    virtual_ipaddress {
        192.0.2.10/24
    }
}
",
        &[],
        "
error: `high` is not right here
 --> keepalived.conf:1:7
  |
1 | $PRIO=high
  |       ^^^^ expected a whole number from 1 to 255
...
6 |     priority $PRIO
  |              ----- used here
",
    );
}

#[test]
fn a_word_of_which_a_part_was_put_in_is_said_where_it_is_written() {
    check(
        "\
$NET=192.0.300
static_ipaddress {
    ${NET}.10/24 dev eth0
}
",
        &[],
        "
error: `192.0.300.10/24` is not right here
 --> keepalived.conf:3:5
  |
3 |     ${NET}.10/24 dev eth0
  |     ^^^^^^^^^^^^ expected an address with or without its prefix, like 192.0.2.1/24
",
    );
}

#[test]
fn what_weir_does_not_do_is_said_with_why() {
    check(
        "\
net_namespace blue
global_defs {
    enable_dbus
}
",
        &[],
        "
error: `net_namespace` is known, but Weir cannot do it
 --> keepalived.conf:1:1
  |
1 | net_namespace blue
  | ^^^^^^^^^^^^^ start Weir in that namespace: `ip netns exec NAME weir run ...`

note: `enable_dbus` has no effect in Weir
 --> keepalived.conf:3:5
  |
3 |     enable_dbus
  |     ^^^^^^^^^^^ Weir has no D-Bus; its API is HTTP on a socket
",
    );
}

#[test]
fn a_keyword_in_the_wrong_block_is_said_to_belong_elsewhere() {
    check(
        "\
global_defs {
    advert_int 1
}
vrrp_instance A {
    interface eth0
    virtual_router_id 51
    virtual_ipaddress {
        192.0.2.10/24
    }
    vrrp_instance B {
        interface eth1
    }
}
",
        &[],
        "
error: `advert_int` does not stand here
 --> keepalived.conf:2:5
  |
2 |     advert_int 1
  |     ^^^^^^^^^^ it stands in `vrrp_instance`

error: `vrrp_instance` does not stand here
  --> keepalived.conf:10:5
   |
10 |     vrrp_instance B {
   |     ^^^^^^^^^^^^^ it stands in no block; is a `}` missing before?
",
    );
}

#[test]
fn an_undefined_name_is_said() {
    check(
        "global_defs {\n  router_id ${NOWHERE}\n}\n",
        &[],
        "
error: `router_id` says nothing
 --> keepalived.conf:2:3
  |
2 |   router_id ${NOWHERE}
  |   ^^^^^^^^^ expected `router_id NAME`

error: `${NOWHERE}` is not defined
 --> keepalived.conf:2:13
  |
2 |   router_id ${NOWHERE}
  |             ^^^^^^^^^^ expected a name that is defined before, as $NAME=VALUE
",
    );
}

#[test]
fn what_would_change_what_a_check_means_is_said() {
    check(
        "\
SSL {
    ca /etc/ca.pem
}
virtual_server 192.0.2.1 443 {
    lvs_sched rr
    lvs_method NAT
    protocol TCP
    real_server 10.0.0.1 443 {
        SSL_GET {
            url {
                path /
                regex \"(?=ok)\"
            }
        }
    }
}
",
        &[],
        "
note: keepalived reads `ca`, but verifies nobody; nor does Weir here
 --> keepalived.conf:2:5
  |
2 |     ca /etc/ca.pem
  |     ^^ `verify` and `authorities` in weir.toml verify

error: a look-ahead (?=...) cannot be matched in linear time and is not supported: say it without, or use several patterns
  --> keepalived.conf:12:17
   |
12 |                 regex \"(?=ok)\"
   |                 ^^^^^ expected an expression that can be matched in linear time
",
    );
}
