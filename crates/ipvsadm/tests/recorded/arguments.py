"""The table of argument rules: does every command line below with the real ipvsadm, in front of the same services each
time. Which lines there are follows from the lists alone. For lines that end well it says what they changed of
`ipvsadm -S -n`.

arguments.py record [PART PARTS]: in a guest with IPVS, prints each line with what came of it.
arguments.py group: reads that and prints the table, lines that came to the same end together."""
import itertools
import json
import subprocess
import sys

BASE = """\
-A -t 192.0.2.1:80 -s rr
-a -t 192.0.2.1:80 -r 10.0.0.1:80 -m -w 1
-A -u 192.0.2.1:53 -s wlc
-A -t [2001:db8::1]:80 -s rr
-A -f 5 -s rr
"""
STEMS = {
    "-A": "-t 192.0.2.9:80", "-E": "-t 192.0.2.1:80", "-D": "-t 192.0.2.1:80",
    "-a": "-t 192.0.2.1:80 -r 10.0.0.2:80", "-e": "-t 192.0.2.1:80 -r 10.0.0.1:80",
    "-d": "-t 192.0.2.1:80 -r 10.0.0.1:80", "-L": "", "-Z": "", "-S": "", "-C": "", "-R": "", "--set": "1 2 3",
    "--start-daemon": "master", "--stop-daemon": "master",
}  # fmt: skip
# One good value of everything.
OPTIONS = [
    "-t 192.0.2.7:80", "-u 192.0.2.7:80", "--sctp-service 192.0.2.7:80", "-f 7", "-6", "-s sh", "-b sh-port", "-p 60",
    "-M 255.255.255.0", "--pe sip", "-o", "-r 10.0.0.3:80", "-m", "-g", "-i", "-w 3", "-x 9", "-y 4", "--tun-type gue",
    "--tun-port 6080", "--tun-nocsum", "--tun-csum", "--tun-remcsum", "-n", "-c", "--timeout", "--daemon", "--stats",
    "--rate", "--thresholds", "--persistent-conn", "--tun-info", "--nosort", "--sort", "-X", "--syncid 3",
    "--sync-maxlen 1000", "--mcast-interface lo", "--mcast-group 224.0.0.9", "--mcast-port 9000", "--mcast-ttl 3",
]  # fmt: skip
NUMBERS = [
    "\\e", "0", "1", "-1", "+1", "01", "08", "0x10", "1.5", "1e3", "1x", "x", "\\s1", "1\\s", "255", "256", "65535", "65536",
    "65507", "65508", "2678400", "2678401", "2147483647", "2147483648", "4294967295", "4294967296",
    "99999999999999999999",
]  # fmt: skip
VALUED = [
    ("-a", "-w"), ("-a", "-x"), ("-a", "-y"), ("-A", "-p"), ("-A", "-M"), ("-a", "-i --tun-type gue --tun-port"),
    ("-A", "-s"), ("-A", "-b"), ("-A", "--pe"), ("-a", "-i --tun-type"), ("--start-daemon", "--syncid"),
    ("--start-daemon", "--sync-maxlen"), ("--start-daemon", "--mcast-port"), ("--start-daemon", "--mcast-ttl"),
    ("--start-daemon", "--mcast-group"), ("--start-daemon", "--mcast-interface"), ("--stop-daemon", "--syncid"),
]  # fmt: skip


def lines():
    # Every option with every command: before what belongs to it, and after.
    for command, rest in STEMS.items():
        yield command
        yield f"{command} {rest}"
        for option in OPTIONS:
            if (command, option) == ("-L", "--nosort"):
                continue  # The order of the kernel's hash.
            yield f"{command} {option}"
            yield f"{command} {rest} {option}"
            yield f"{command} {option} {rest}"
            yield f"{option} {command} {rest}"
    # Every pair of options with the commands that take most.
    for command in ("-A", "-a"):
        for first, second in itertools.combinations(OPTIONS, 2):
            yield f"{command} {STEMS[command]} {first} {second}"
    for first, second in itertools.combinations(OPTIONS[-6:] + ["-n", "-w 3"], 2):
        yield f"--start-daemon backup --mcast-interface nowhere {first} {second}"
    # Every pair of commands.
    for first, second in itertools.product(STEMS, STEMS):
        yield f"{first} {STEMS[first]} {second} {STEMS[second]}"
    # Orders.
    for words in (["-t 192.0.2.9:80", "-s wrr", "-p 30", "-M 255.255.0.0"], ["-f 9", "-6", "-M 64", "-p 30"]):
        for order in itertools.permutations(words):
            yield "-A " + " ".join(order)
    for words in (["-t 192.0.2.1:80", "-r 10.0.0.2", "-m", "-w 2"], ["-u 192.0.2.1:53", "-r 10.0.0.2:53", "-i", "-x 7"],
                  ["-f 5", "-r 10.0.0.2", "--tun-type gre", "-i"]):  # fmt: skip
        for order in itertools.permutations(words):
            yield "-a " + " ".join(order)
    # Values.
    for command, option in VALUED:
        for number in NUMBERS:
            yield f"{command} {STEMS[command]} {option} {number}"
    for place, number in itertools.product(range(3), NUMBERS):
        values = ["5", "6", "7"]
        values[place] = number
        yield "--set " + " ".join(values)
    for number in NUMBERS:
        yield f"-A -f {number}"
        yield f"-A -f {number} -6"
        yield f"-A -t 192.0.2.9:{number}".replace("\\e", "")
        yield f"-a -t 192.0.2.1:80 -r 10.0.0.2:{number}".replace("\\e", "")
    # Tunnels.
    kinds = ["", "--tun-type ipip", "--tun-type gue", "--tun-type gre", "--tun-type GUE", "--tun-type none"]
    ports = ["", "--tun-port 7", "--tun-port 0"]
    sums = ["", "--tun-nocsum", "--tun-csum", "--tun-remcsum", "--tun-csum --tun-remcsum"]
    for kind, port, checksum, method in itertools.product(kinds, ports, sums, ["-i", "", "-m"]):
        yield f"-a {STEMS['-a']} {method} {kind} {port} {checksum}"
    for kind, port, checksum in itertools.product(kinds[:4], ports[:2], sums[:4]):
        yield f"-e {STEMS['-e']} -i {kind} {port} {checksum}"
        yield f"-a -t [2001:db8::1]:80 -r 10.0.0.2:80 -i {kind} {port} {checksum}"
        yield f"-a -t 192.0.2.1:80 -r [2001:db8::2]:80 -i {kind} {port} {checksum}"
    # Families and ports.
    services = ["-t 192.0.2.1:80", "-t [2001:db8::1]:80", "-f 5", "-u 192.0.2.1:53"]
    servers = ["10.0.0.2", "10.0.0.2:81", "10.0.0.2:0", "[2001:db8::2]:80", "[2001:db8::2]", "2001:db8::2", "0.0.0.0:80",
               "224.0.0.1:80", "255.255.255.255:80", "127.0.0.1:80", "[ff02::1]:80", "[::1]:80", "[fe80::1]:80",
               "[::]:80"]  # fmt: skip
    for service, server, method in itertools.product(services, servers, ["-m", "-g", "-i"]):
        yield f"-a {service} -r {server} {method}"
    for service, server in itertools.product(services, servers):
        yield f"-d {service} -r {server}"
    # Schedulers and their flags.
    schedulers = ["", "-s rr", "-s wlc", "-s sh", "-s mh", "-s none", "-s lblc", "-s bogus", "-s SH"]
    flags = ["sh-port", "sh-fallback", "sh-port,sh-fallback", "mh-port", "mh-fallback,mh-port", "sh-port,mh-port",
             "flag-1", "flag-2,flag-3", "flag-1,flag-1", "flag-4", "sh_port", "", "flag-1,", "sh"]  # fmt: skip
    for command in ("-A", "-E"):
        for scheduler, some in itertools.product(schedulers, flags):
            yield f"{command} {STEMS[command]} {scheduler} -b {some or chr(92) + 'e'}"
            yield f"{command} {STEMS[command]} -b {some or chr(92) + 'e'} {scheduler}"
    # Engines, one packet, persistence.
    for service, engine, persistent, ops in itertools.product(
        ["-t 192.0.2.9:80", "-u 192.0.2.9:53", "--sctp-service 192.0.2.9:9", "-f 9", "-t 192.0.2.9:0", "-t 192.0.2.9"],
        ["", "--pe sip", "--pe bogus"], ["", "-p", "-p 99", "-p 99 -M 255.255.255.0"], ["", "-o"]):  # fmt: skip
        yield f"-A {service} {engine} {persistent} {ops}"
    # Thresholds.
    limits = ["", "0", "1", "5", "-1", "2147483647", "2147483648"]
    for command in ("-a", "-e"):
        for upper, lower in itertools.product(limits, limits):
            options = (f"-x {upper} " if upper else "") + (f"-y {lower}" if lower else "")
            yield f"{command} {STEMS[command]} -m {options}"


ESCAPES = {"s": " ", "t": "\t", "r": "\r", "\\": "\\"}


def unescaped(word):
    if word == "\\e":
        return ""
    out, characters = "", iter(word)
    for character in characters:
        out += ESCAPES[next(characters)] if character == "\\" else character
    return out


def ipvsadm(arguments, given=""):
    done = subprocess.run(["ipvsadm", *arguments], input=given.encode(), capture_output=True)
    return done.returncode & 255, done.stdout.decode(), done.stderr.decode()


def fresh():
    ipvsadm(["-C"])
    assert ipvsadm(["-R"], BASE) == (0, "", "")


def marked(mark, text):
    return [f"{mark} {line}".rstrip() for line in text.split("\n")[:-1]]


def record(part, parts):
    fresh()
    before = ipvsadm(["-S", "-n"])[1].splitlines()
    for line in list(dict.fromkeys(" ".join(line.split()) for line in lines()))[part::parts]:
        code, output, errors = ipvsadm([unescaped(word) for word in line.split(" ")])
        outcome = [f"= {code}", *marked(">", output), *marked("!", errors)]
        if code == 0 and not line.startswith(("-L", "-S")):
            after = ipvsadm(["-S", "-n"])[1].splitlines()
            outcome += [f"+ {row}" for row in after if row not in before]
            outcome += [f"- {row}" for row in before if row not in after]
            # What is saved is not all: thresholds are not.
            if line.startswith(("-A", "-E", "-D", "-a", "-e", "-d", "-C")):
                fresh()
            ipvsadm(["--set", "900", "120", "300"]) if "--set" in line else None
            for role in ("master", "backup"):
                ipvsadm(["--stop-daemon", role]) if "--start-daemon" in line else None
        print(json.dumps([line, outcome]), flush=True)


def group():
    outcomes = {}
    for line, outcome in map(json.loads, sys.stdin):
        outcomes.setdefault(tuple(outcome), []).append(line)
    print("# What becomes of every argument with every other; made by arguments.py, see README.md.")
    for line in BASE.splitlines():
        print("@", line)
    for outcome in sorted(outcomes):
        print("\n".join(outcome))
        for line in sorted(outcomes[outcome]):
            print("$", line)


if sys.argv[1] == "record":
    record(*(map(int, sys.argv[2:]) if sys.argv[2:] else (0, 1)))
else:
    group()
