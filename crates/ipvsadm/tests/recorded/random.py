"""Prints a table of random invocations, good and bad: random.py SEED COUNT."""
import random
import sys

random.seed(int(sys.argv[1]))
one = random.choice

HOSTS = ["10.0.0.1", "10.0.0.2", "192.0.2.10", "web", "web.example", "[2001:db8::1]", "2001:db8::1", "[2001:db8::80]",
         "10.1", "0xa000001", "nowhere", "7", "", "[10.0.0.1]", "six.example", "10.0.0.256", "[::1", "::"]
PORTS = ["", ":80", ":http", ":443", ":0", ":domain", ":", ":65536", ":08", ":x", ":+80"]
NUMBERS = ["0", "1", "7", "65535", "65536", "-1", "x", "", "010", "+3", "2147483647", "2147483648", "1x", "\\s5"]
# 2147483648 is as far from 0 one way as the other: its place depends on the kernel's hash.
MARKS = [number for number in NUMBERS if number != "2147483648"]
FLAGS = ["flag-1", "flag-2,flag-3", "sh-port", "sh-fallback,sh-port", "mh-port", "mh-fallback", "x", "flag-1,,flag-2"]
ENDS = ["-n", "-n", "-n", "", "--stats", "--rate", "--thresholds", "--persistent-conn", "--tun-info", "--exact", "--sort",
        "-X", "-c", "--timeout", "-s", "foo", "--", "-q", "--numeric"]


def endpoint():
    if random.random() < 0.75:
        return one(HOSTS[:5]) + one(PORTS[1:4])
    return one(HOSTS) + one(PORTS)


def valued(short, long, value):
    value = value or "\\e"
    attached = "" if value == "\\e" else value
    forms = [f"{long} {value}", f"{long}={attached}"]
    if short:
        forms += [f"{short} {value}"] * 4 + [f"{short}{attached}" if attached else f"{short} \\e", f"{short}={attached}"]
    return one(forms)


def service():
    return one([lambda: valued("-t", "--tcp-service", endpoint())] * 4 + [
        lambda: valued("-u", "--udp-service", endpoint()),
        lambda: valued(None, "--sctp-service", endpoint()),
        lambda: valued("-f", "--fwmark-service", one(["1", "2", "3", "4", "5"] + MARKS)) + one(["", "", " -6", " --ipv6"]),
    ])()


def persistent():
    value = one(["7", "100", "360"] + NUMBERS)
    return one(["-p", "--persistent", f"-p {value or chr(92) + 'e'}", f"--persistent={value}", f"-p{value}"])


SERVICE = [
    lambda: valued("-s", "--scheduler", one(["rr", "wrr", "lc", "wlc", "dh", "sh", "mh", "sed", "nonsense", ""])),
    lambda: valued("-s", "--scheduler", one(["rr", "sh", "mh"])) + " " + valued("-b", "--sched-flags", one(FLAGS)),
    persistent,
    persistent,
    lambda: persistent() + " " + valued("-M", "--netmask", one(["255.255.255.0", "255.0.0.0", "64", "128", "129", "x", "web"])),
    lambda: valued("-M", "--netmask", one(["255.255.255.0", "24", "0", "48x"])),
    lambda: one(["-o", "--ops"]),
    lambda: valued(None, "--pe", one(["sip", "sip", "x", ""])),
    lambda: valued("-b", "--sched-flags", one(FLAGS)),
]
SERVER = [
    lambda: one(["-m", "-m", "-m", "-g", "-i", "--masquerading", "--ipip", "--gatewaying"]),
    lambda: one(["-m", "-m", "-m", "-g", "-i"]),
    lambda: valued("-w", "--weight", one(NUMBERS)),
    lambda: valued("-x", "--u-threshold", one(NUMBERS)),
    lambda: valued("-y", "--l-threshold", one(NUMBERS)),
    lambda: "-i --tun-type " + one(["ipip", "gre", "gre --tun-csum", "gue --tun-port 7", "gue --tun-port 7 --tun-remcsum", "x"]),
    lambda: one(["--tun-csum", "--tun-nocsum", "--tun-remcsum", "--tun-type=gue", "--tun-port=9"]),
]


def some(makers, most):
    return [one(makers)() for _ in range(random.randint(0, most))]


def server():
    return valued("-r", "--real-server", endpoint())


def command():
    letter, words = one([
        lambda: (one(["-A", "--add-service"]), [service()] + some(SERVICE, 2)),
        lambda: (one(["-A", "--add-service"]), [service()] + some(SERVICE, 2)),
        lambda: (one(["-A", "--add-service"]), [service()] + some(SERVICE, 4)),
        lambda: (one(["-E", "--edit-service"]), [service()] + some(SERVICE, 2)),
        lambda: (one(["-D", "--delete-service"]), [service()]),
        lambda: (one(["-a", "--add-server"]), [service(), server()] + some(SERVER, 2)),
        lambda: (one(["-a", "--add-server"]), [service(), server(), "-m"] + some(SERVER[2:5], 1)),
        lambda: (one(["-a", "--add-server"]), [service(), server()] + some(SERVER, 4)),
        lambda: (one(["-e", "--edit-server"]), [service(), server()] + some(SERVER, 2)),
        lambda: (one(["-d", "--delete-server"]), [service(), server()]),
        lambda: (one(["-Z", "--zero"]), [service()] if random.random() < 0.5 else []),
        lambda: (one(["-L", "-l", "--list"]), [service()] + [one(ENDS) for _ in range(random.randint(0, 3))]),
        lambda: (one(["-L", "-l", "--list"]), [one(ENDS) for _ in range(random.randint(0, 4))]),
        lambda: ("--set", [one(NUMBERS[:5] + ["60", "600", "2678401"]) or "\\e" for _ in range(random.randint(2, 4))]),
        lambda: (one(["-S", "--save"]), [one(["-n", "", "-c", "--exact"])]),
    ])()
    if random.random() < 0.1:
        words.append(one([one(SERVICE), one(SERVER), lambda: one(ENDS), service, server])())
    if random.random() < 0.25:
        random.shuffle(words)
    return " ".join(word for word in [letter, *words] if word)


print(f"# Random invocations, made by random.py with seed {sys.argv[1]}.")
for number in range(int(sys.argv[2])):
    if number % 60 == 0:
        print("@ a new table")
    print("$", command())
    if number % 20 == 19:
        print("$ -S -n")
        print(one(["$ -L", "$ -L -n --tun-info", "$ -L --thresholds", "$ -S", "$ -L -n"]))
