"""A director between two wires: the kernel's IPVS or Weir, in a namespace like the other's in everything else.

The far ends of its wires are in the first namespace, where frames go in and come out by hand.
"""

import ctypes
import os
import select
import socket
import subprocess
import time

import packets

CLIENT_SIDE, SERVER_SIDE = "front", "back"
VIPS = ["192.0.2.1", "192.0.2.2", "2001:db8:f::1"]
CLIENTS = {4: [f"203.0.113.{n}" for n in range(1, 7)], 6: [f"2001:db8:c::{n}" for n in range(1, 7)]}
SERVERS = {4: [f"10.0.0.{n}" for n in range(11, 19)], 6: [f"2001:db8:2::{n}" for n in range(11, 19)]}
MACS = {CLIENT_SIDE: bytes([2, 0, 0, 0, 1, 1]), SERVER_SIDE: bytes([2, 0, 0, 0, 2, 1])}
ROUTER = bytes([2, 0, 0, 0, 1, 2])
FENCE = {CLIENT_SIDE: "203.0.113.250", SERVER_SIDE: "10.0.0.250"}

SYSCTLS = """
net.ipv4.ip_forward=1
net.ipv4.conf.all.rp_filter=0
net.ipv4.conf.front.rp_filter=0
net.ipv4.conf.back.rp_filter=0
net.ipv4.icmp_ratelimit=0
net.ipv6.icmp.ratelimit=0
net.ipv6.auto_flowlabels=0
net.ipv6.conf.all.forwarding=1
net.ipv6.conf.front.accept_dad=0
net.ipv6.conf.back.accept_dad=0
"""


def call(*command, **options):
    return subprocess.run(command, check=True, text=True, capture_output=True, **options).stdout


def enter(namespace):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "cannot enter a namespace")


def server_mac(address):
    return bytes([2, 0, 0, 0, 6 if ":" in address else 4, packets.packed(address)[-1]])


def text(mac):
    return ":".join(f"{byte:02x}" for byte in mac)


class Lost(Exception):
    """Packets do not pass any more."""


class Director:
    def __init__(self, name, weir=None, mode="tc"):
        self.name, self.weir, self.mode, self.daemon, self.fences = name, weir, mode, None, 0
        if weir is None:
            call("modprobe", "ip_vs")
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY)
        call("ip", "netns", "add", name)
        self.namespace = os.open(f"/run/netns/{name}", os.O_RDONLY)
        for side, far in ((CLIENT_SIDE, ROUTER), (SERVER_SIDE, bytes([2, 0, 0, 0, 2, 2]))):
            wire = f"{name}-{side}"
            call("ip", "link", "add", wire, "address", text(far), "type", "veth",
                 "peer", "name", side, "address", text(MACS[side]), "netns", name)  # fmt: skip
            with open(f"/proc/sys/net/ipv6/conf/{wire}/disable_ipv6", "w") as file:
                file.write("1")
            call("ip", "link", "set", wire, "up")
            # XDP can send into a wire only if its far end polls.
            call("ethtool", "-K", wire, "gro", "on")
        self.wires = {side: self.open_wire(f"{name}-{side}") for side in MACS}
        self.inside(self.set_up)

    def open_wire(self, name):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        wire.bind((name, 3))
        wire.setsockopt(263, 23, 1)  # SOL_PACKET, PACKET_IGNORE_OUTGOING
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        wire.setblocking(False)
        return wire

    def set_up(self):
        lines = ["link set lo up"]
        for side in MACS:
            # What the director itself sends comes with its checksums done.
            call("ethtool", "-K", side, "tx", "off")
            lines += [f"link set {side} addrgenmode none", f"link set {side} up"]
        lines += [
            "address add 198.51.100.1/24 dev front",
            "address add 2001:db8:1::1/64 dev front nodad",
            "address add 10.0.0.1/24 dev back",
            "address add 2001:db8:2::1/64 dev back nodad",
            f"neighbour add 198.51.100.2 lladdr {text(ROUTER)} dev front nud permanent",
            f"neighbour add 2001:db8:1::2 lladdr {text(ROUTER)} dev front nud permanent",
            "route add 203.0.113.0/24 via 198.51.100.2",
            "route add 2001:db8:c::/64 via 2001:db8:1::2",
        ]
        lines += [f"address add {vip}/{128 if ':' in vip else 32} dev lo" for vip in VIPS]
        for server in SERVERS[4] + SERVERS[6] + [FENCE[SERVER_SIDE]]:
            lines.append(f"neighbour add {server} lladdr {text(server_mac(server))} dev back nud permanent")
        call("sysctl", "-q", "-w", *SYSCTLS.split())
        call("ip", "-batch", "-", input="\n".join(lines) + "\n")

    def inside(self, work):
        enter(self.namespace)
        try:
            return work()
        finally:
            enter(self.home)

    def start(self):
        """Starts Weir; IPVS is there by itself."""
        if self.weir is None:
            return
        with open("/run/weir.toml", "w") as file:
            # Small, as the guest is; nothing here needs more.
            file.write("[tables]\nservices = 1024\nreal_servers = 4096\nconnections = 16384\n")
        self.socket = f"/run/{self.name}.sock"
        command = [self.weir, "run", "--config", "/run/weir.toml", "--socket", self.socket, "--mode", self.mode,
                   "--bpffs", "/sys/fs/bpf/parity", "--interface", "front", "--interface", "back"]  # fmt: skip
        self.log = open("/run/weir.log", "w+")
        self.daemon = self.inside(lambda: subprocess.Popen(command, stdout=self.log, stderr=self.log))
        begin = time.monotonic()
        while True:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.connect(self.socket)
                    return
            except OSError:
                self.check_alive()
                if time.monotonic() - begin > 300:
                    raise Lost("weir does not answer:\n" + self.daemon_log()) from None
                time.sleep(0.05)

    def daemon_log(self):
        self.log.seek(0)
        return self.log.read()

    def check_alive(self):
        if self.daemon and self.daemon.poll() is not None:
            raise Lost(f"weir ended by itself with {self.daemon.returncode}:\n{self.daemon_log()}")

    def ipvsadm(self, arguments, given=""):
        """Exit status, output and errors of a command."""
        program, environment = ["ipvsadm"], dict(os.environ)
        if self.weir:
            program, environment["WEIR_SOCKET"] = [self.weir, "ipvsadm"], self.socket
        run = lambda: subprocess.run(program + arguments, input=given, capture_output=True, text=True, env=environment)
        done = self.inside(run)
        return done.returncode, done.stdout, done.stderr

    def exchange(self, side, packet):
        """Puts a packet on a wire; returns what came out, as next hop and packet, on the client's and the server's side.

        A second packet that no director touches follows the first. Where it comes out, all that the first one caused
        has come out, so that silence needs no waiting.
        """
        other = SERVER_SIDE if side == CLIENT_SIDE else CLIENT_SIDE
        self.fences += 1
        token = b"fence %d" % self.fences
        fence = packets.udp(FENCE[side], FENCE[other], 9, 9, token)
        near, far = self.wires[side], self.wires[other]
        for data in (packet, packets.ip(FENCE[side], FENCE[other], packets.UDP, fence)):
            near.send(packets.frame(MACS[side], ROUTER, data))
        beyond = []
        while True:
            if not select.select([far], [], [], 5)[0]:
                self.check_alive()
                raise Lost(f"{self.name}: packets do not pass: the fence was lost after {packets.describe(packet)}")
            data = far.recv(65536)
            if data.endswith(token):
                break
            beyond.append(data)
        returned = []
        while True:
            try:
                returned.append(near.recv(65536))
            except BlockingIOError:
                break
        out = {other: beyond, side: returned}
        return tuple([read for read in map(packets.read, out[at]) if read] for at in (CLIENT_SIDE, SERVER_SIDE))

    def nearest_expiry(self):
        """Seconds until the first of IPVS's connections expires; None if there is none."""
        with_header = self.inside(lambda: open("/proc/net/ip_vs_conn").read()).splitlines()
        return min((int(line.split()[-1]) for line in with_header[1:]), default=None)
