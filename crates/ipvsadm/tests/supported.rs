//! What Weir has not got yet is refused by name; everything else passes.

use weir_ipvsadm::{NoNames, parse, supported};

fn refusal(line: &str) -> Option<String> {
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let command = parse("ipvsadm", &arguments, &NoNames).unwrap();
    supported(&command)
        .err()
        .map(|unsupported| unsupported.to_string())
}

#[test]
fn what_weir_has_passes() {
    for line in [
        "-A -t 10.0.0.1:80",
        "-A -u [2001:db8::1]:53 -s dh",
        "-E -t 10.0.0.1:80 -s wrr",
        // The director says that there is no such scheduler, as the kernel does.
        "-A -t 10.0.0.1:80 -s nonsense",
        "-a -t 10.0.0.1:80 -r 10.1.0.1 -m -w 0",
        "-e -t 10.0.0.1:80 -r 10.1.0.1 -m -w 65535",
        "-d -t 10.0.0.1:80 -r 10.1.0.1",
        // There is none: the director says so.
        "-D -f 7",
        "-L -n --thresholds",
        "-L --daemon",
        "--set 1 2 3",
        "-Z",
        "-S",
        "-C",
        "-R",
    ] {
        assert_eq!(refusal(line), None, "{line}");
    }
}

#[test]
fn what_weir_has_not_is_named() {
    for (line, option) in [
        ("-A -f 7", "-f"),
        ("-A --sctp-service 10.0.0.1:80", "--sctp-service"),
        ("-A -t 10.0.0.1:80 -p", "-p"),
        ("-E -t 10.0.0.1:80 -p 5", "-p"),
        ("-A -u 10.0.0.1:80 --pe sip", "--pe"),
        ("-A -u 10.0.0.1:80 -o", "-o"),
        ("-A -t 10.0.0.1:80 -b flag-1", "-b"),
        ("-a -f 7 -r 10.1.0.1 -m", "-f"),
        (
            "-a -t 10.0.0.1:80 -r 10.1.0.1",
            "-g (the default: say -m for NAT)",
        ),
        (
            "-a -t 10.0.0.1:80 -r 10.1.0.1 -g",
            "-g (the default: say -m for NAT)",
        ),
        ("-e -t 10.0.0.1:80 -r 10.1.0.1 -i", "-i"),
        ("-a -t 10.0.0.1:80 -r 10.1.0.1 -m -x 5", "-x"),
        ("--start-daemon master", "--start-daemon"),
        ("--stop-daemon master", "--stop-daemon"),
    ] {
        let refusal = refusal(line).unwrap_or_else(|| panic!("{line} passes"));
        assert!(
            refusal.starts_with(&format!("Weir does not take {option} yet: ")),
            "{line}: {refusal}"
        );
    }
}
