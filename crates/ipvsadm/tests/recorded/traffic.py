"""Sends packets through services of this machine and prints the table of what ipvsadm lists then."""
import socket
import subprocess
import threading
import time

RULES = """\
-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 10.0.0.2:8080 -m
-a -t 10.0.0.1:80 -r 10.0.0.3:8080 -m -w 3
-A -u 10.0.0.1:53 -s wlc
-a -u 10.0.0.1:53 -r 10.0.0.2:5353 -m
-A -t [2001:db8::1]:80 -s lc
-a -t [2001:db8::1]:80 -r [2001:db8::2]:8080 -m
-A -u 10.0.0.1:5060 -s rr -p 60 --pe sip
-a -u 10.0.0.1:5060 -r 10.0.0.2:5060 -m
-A -t 10.0.0.1:443 -s rr -p 300 -M 255.255.255.0
-a -t 10.0.0.1:443 -r 10.0.0.2:8080 -m
-A -f 7 -s rr -p 100
-a -f 7 -r 10.0.0.2:5353 -m
-A -u 10.0.0.1:99 -s rr
-a -u 10.0.0.1:99 -r 10.0.0.2:99 -m
-A --sctp-service 10.0.0.1:3868 -s sed
-a --sctp-service 10.0.0.1:3868 -r 10.0.0.3:3868 -m -w 2
-A -t 10.0.0.1:21 -s nq
-a -t 10.0.0.1:21 -r 10.0.0.2:21 -m"""
SIP = (b"INVITE sip:bob@example.net SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9:5060\r\n"
       b"Call-ID: a84b4c76e66710@pc33.example.net\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
keep = []


def shell(command):
    return subprocess.run(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout.decode()


def emit(mark, text):
    for line in text.split("\n")[:-1]:
        print(f"{mark} {line}" if line else mark)


def listed(listing):
    """`&` is a file of /proc/net, all else what ipvsadm is to list."""
    return f"cat /proc/net/{listing[2:]}" if listing[0] == "&" else f"ipvsadm {listing}"


def record(probe, listings):
    """Listings of one moment: between two probes that are alike. Returns the probe."""
    while True:
        before = shell(probe)
        texts = [shell(listed(listing)) for listing in listings]
        if shell(probe) == before:
            break
    if probe.startswith("cat"):
        emit("|", before)
    for listing, text in zip(listings, texts):
        print(listing if listing[0] == "&" else f"$ {listing}\n= 0")
        emit(">", text)


def serve(family, address):
    server = socket.socket(family, socket.SOCK_STREAM)
    server.bind(address)
    server.listen(50)
    threading.Thread(target=lambda: [keep.append(server.accept()) for _ in range(100)], daemon=True).start()


def connect(family, address, source=None):
    client = socket.socket(family, socket.SOCK_STREAM)
    if source:
        client.bind((source, 0))
    client.connect(address)
    keep.append(client)
    return client


def send(port, data, source=None, times=1):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if source:
        client.bind((source, 0))
    for _ in range(times):
        client.sendto(data, ("10.0.0.1", port))
    keep.append(client)


for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "198.51.100.7"):
    shell(f"ip addr add {address}/32 dev lo")
for address in ("2001:db8::1", "2001:db8::2"):
    shell(f"ip addr add {address}/128 dev lo nodad")
shell("ipvsadm -C; ipvsadm -Z; modprobe ip_vs_ftp")
print("# Listings with traffic: what the kernel has (|), and totals and rates.")
print("@ traffic")
for rule in RULES.split("\n"):
    print("$", rule)
    print("=", subprocess.run(["ipvsadm", *rule.split()]).returncode)
shell("nft add table ip t; nft add chain ip t o '{ type route hook output priority -150; }'; "
      "nft add rule ip t o udp dport 777 meta mark set 7")
serve(socket.AF_INET, ("10.0.0.2", 8080))
serve(socket.AF_INET, ("10.0.0.3", 8080))
serve(socket.AF_INET6, ("2001:db8::2", 8080))
serve(socket.AF_INET, ("10.0.0.2", 21))
for port in (5353, 5060, 99):
    receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    receiver.bind(("10.0.0.2", port))
    keep.append(receiver)

for _ in range(4):
    connect(socket.AF_INET, ("10.0.0.1", 80))
connect(socket.AF_INET, ("10.0.0.1", 80), "198.51.100.7").close()
for _ in range(2):
    connect(socket.AF_INET6, ("2001:db8::1", 80))
connect(socket.AF_INET, ("10.0.0.1", 443))
connect(socket.AF_INET, ("10.0.0.1", 21))
for _ in range(3):
    send(53, b"hello")
send(53, b"hello", "198.51.100.7")
send(777, b"hello")
for _ in range(2):
    send(5060, SIP)
record("cat /proc/net/ip_vs_conn",
       ["-L -n -c", "-L -c", "-L -n -c --persistent-conn", "-L -c --persistent-conn --exact",
        "& ip_vs_conn", "& ip_vs_conn_sync"])

# A hundred million bytes, so that there is something to shorten.
send(99, b"x" * 60000, times=2500)
time.sleep(3)
print("% totals")
record("ipvsadm -L -n --stats --exact",
       ["-L -n --stats --exact", "-L -n --stats", "-L --stats", "-L -n", "-L -n --persistent-conn",
        "-L -n --thresholds", "& ip_vs", "& ip_vs_app", "& ip_vs_stats", "& ip_vs_stats_percpu"])
running = True


def flood():
    while running:
        send(99, b"x" * 60000, times=200)


threading.Thread(target=flood, daemon=True).start()
time.sleep(7)
running = False
time.sleep(3)
print("% rates")
record("ipvsadm -L -n --rate --exact",
       ["-L -n --rate --exact", "-L -n --rate", "-L --rate --exact", "-L -n --stats --exact",
        "& ip_vs_stats"])
