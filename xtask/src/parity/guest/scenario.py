"""A scenario from a seed: commands and packets, the same for every pair of directors.

What it draws depends on the seed and on what the first director answered, never on the second.
"""

import random

import packets
from director import CLIENT_SIDE, CLIENTS, SERVER_SIDE, SERVERS, VIPS
from packets import ACK, FIN, PSH, RST, SYN

SCHEDULERS = ["rr", "wrr", "lc", "wlc", "dh"]
PORTS = [80, 443]
SERVER_PORTS = [80, 80, 8080]
# What a client or a server does next on a connection: mostly what happens in life.
TCP_EVENTS = [
    (SERVER_SIDE, SYN | ACK, 5),
    (CLIENT_SIDE, ACK, 5),
    (CLIENT_SIDE, PSH | ACK, 4),
    (SERVER_SIDE, PSH | ACK, 4),
    (CLIENT_SIDE, FIN | ACK, 3),
    (SERVER_SIDE, FIN | ACK, 3),
    (CLIENT_SIDE, SYN, 3),
    (CLIENT_SIDE, RST, 1),
    (SERVER_SIDE, RST | ACK, 1),
    (CLIENT_SIDE, RST | ACK, 1),
    (SERVER_SIDE, ACK, 2),
    (CLIENT_SIDE, SYN | ACK, 0.3),
    (SERVER_SIDE, SYN, 0.3),
    (CLIENT_SIDE, 0, 0.3),
    (SERVER_SIDE, 0, 0.3),
    (CLIENT_SIDE, SYN | FIN, 0.2),
    (CLIENT_SIDE, SYN | RST, 0.2),
]


def family(address):
    return 6 if ":" in address else 4


def name(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Command:
    """An ipvsadm invocation, with what it reads."""

    def __init__(self, *arguments, given=""):
        self.arguments, self.given = list(arguments), given

    def removes_services(self):
        return self.arguments[0] in ("-C", "-D")

    def __str__(self):
        return "ipvsadm " + " ".join(self.arguments)


class Packet:
    """A packet and the side that it comes from."""

    def __init__(self, side, packet, about):
        self.side, self.packet, self.about = side, packet, about

    def __str__(self):
        return f"{self.about}, from {self.side}: {packets.describe(self.packet)}"


class Scenario:
    def __init__(self, seed):
        self.random = random.Random(seed)
        # What the scenario believes to be set; the directors are asked all the same.
        self.services = {}
        # Server by (protocol, client, VIP), as the first director chose it.
        self.connections = {}
        self.saved = ""

    def next(self):
        draw = self.random.random()
        if len(self.services) < 3 or draw < 0.16:
            return self.command()
        if draw < 0.48:
            return self.begin()
        if draw < 0.94 and self.connections:
            return self.go_on()
        return self.stray()

    def heard(self, action, towards_servers):
        """Learns which server the first director chose."""
        for _, packet in towards_servers:
            out, sent = packets.ends(packet), packets.ends(action.packet)
            if out and sent and action.side == CLIENT_SIDE and out[1] == sent[1]:
                self.connections[sent] = out[2]
                if len(self.connections) > 80:
                    del self.connections[self.random.choice(sorted(self.connections))]

    # Packets

    def begin(self):
        """A packet that may open a connection, or reopen one."""
        known = sorted(self.services)
        if known and self.random.random() < 0.95:
            protocol, vip, port = self.random.choice(known)
        else:
            protocol, vip, port = self.any_service()
        client = self.random.choice(CLIENTS[family(vip)]), self.random.randint(1024, 1060)
        return self.make(protocol, CLIENT_SIDE, client, (vip, port), SYN, "opening")

    def go_on(self):
        """The next packet of a connection that there was."""
        protocol, client, virtual = self.random.choice(sorted(self.connections))
        server = self.connections[protocol, client, virtual]
        side, flags, _ = self.random.choices(TCP_EVENTS, [event[2] for event in TCP_EVENTS])[0]
        if side == SERVER_SIDE:
            return self.make(protocol, side, server, client, flags, "answer")
        return self.make(protocol, side, client, virtual, flags, "request")

    def stray(self):
        """A packet that belongs to no connection."""
        protocol, vip, port = self.any_service()
        client = self.random.choice(CLIENTS[family(vip)]), self.random.randint(2000, 65000)
        kind = self.random.randrange(4)
        if kind == 0:
            number, message = packets.echo_request(client[0], vip, self.random.randrange(1 << 16))
            return Packet(CLIENT_SIDE, packets.ip(client[0], vip, number, message), "ping")
        if kind == 1:
            server = self.random.choice(SERVERS[family(vip)]), self.random.choice(SERVER_PORTS)
            return self.make(protocol, SERVER_SIDE, server, client, SYN | ACK, "stray answer")
        if kind == 2:
            return self.make(protocol, CLIENT_SIDE, client, (vip, 9999), SYN, "no service")
        return self.make(protocol, CLIENT_SIDE, client, (vip, port), ACK, "stray request")

    def make(self, protocol, side, source, destination, flags, about):
        draw = self.random
        data = draw.randbytes(draw.choice([1, 7, 64, 512])) if protocol == "udp" or flags & PSH else b""
        if protocol == "tcp":
            options = bytes([2, 4, 5, 0xB4]) if flags & SYN else b""
            ends = source[0], destination[0], source[1], destination[1]
            segment = packets.tcp(*ends, flags, draw.getrandbits(32), draw.getrandbits(32), data, options)
            number = packets.TCP
        else:
            with_checksum = ":" in source[0] or draw.random() < 0.9
            segment = packets.udp(source[0], destination[0], source[1], destination[1], data, with_checksum)
            number = packets.UDP
        ttl = draw.choice([64, 64, 64, 255, 2, 2, 1]) if draw.random() < 0.1 else 64
        tos = draw.choice([0, 0, 0x10, 0xB8])
        options = draw.random() < 0.03
        packet = packets.ip(source[0], destination[0], number, segment, ttl, tos, draw.randrange(1 << 16), options)
        return Packet(side, packet, about)

    # Commands

    def any_service(self):
        return self.random.choice(["tcp", "tcp", "udp"]), self.random.choice(VIPS), self.random.choice(PORTS)

    def server(self, vip):
        return self.random.choice(SERVERS[family(vip)]), self.random.choice(SERVER_PORTS)

    def weight(self):
        return ["-w", str(self.random.choice([0, 1, 1, 2, 3, 4, 5]))] if self.random.random() < 0.9 else []

    def command(self):
        if len(self.services) < 3:
            return self.add_service()
        choices = [
            (self.add_service, 1.5),
            (self.edit_service, 1.5),
            (self.delete_service, 0.5),
            (self.add_server, 6),
            (self.edit_server, 3),
            (self.delete_server, 2),
            (self.set_timeouts, 0.5),
            (self.flush, 0.1),
            (self.restore, 0.3),
            (self.nonsense, 1),
        ]
        return self.random.choices([make for make, _ in choices], [weight for _, weight in choices])[0]()

    def service_arguments(self, key):
        protocol, vip, port = key
        return ["-t" if protocol == "tcp" else "-u", name(vip, port)]

    def known_service(self):
        if self.services and self.random.random() < 0.95:
            return self.random.choice(sorted(self.services))
        return self.any_service()

    def known_server(self, key):
        known = sorted(self.services.get(key, ()))
        if known and self.random.random() < 0.95:
            return self.random.choice(known)
        return self.server(key[1])

    def add_service(self):
        key = self.any_service()
        self.services.setdefault(key, set())
        scheduler = ["-s", self.random.choice(SCHEDULERS)] if self.random.random() < 0.9 else []
        return Command("-A", *self.service_arguments(key), *scheduler)

    def edit_service(self):
        return Command("-E", *self.service_arguments(self.known_service()), "-s", self.random.choice(SCHEDULERS))

    def delete_service(self):
        key = self.known_service()
        self.services.pop(key, None)
        return Command("-D", *self.service_arguments(key))

    def add_server(self):
        key = self.known_service()
        server = self.server(key[1])
        if key in self.services:
            self.services[key].add(server)
        return Command("-a", *self.service_arguments(key), "-r", name(*server), "-m", *self.weight())

    def edit_server(self):
        key = self.known_service()
        server = self.known_server(key)
        return Command("-e", *self.service_arguments(key), "-r", name(*server), "-m", *self.weight())

    def delete_server(self):
        key = self.known_service()
        server = self.known_server(key)
        self.services.get(key, set()).discard(server)
        return Command("-d", *self.service_arguments(key), "-r", name(*server))

    def set_timeouts(self):
        # Nothing may be about to expire while it is compared: no short ones.
        seconds = [str(self.random.choice([0, 100, 300, 900])) for _ in range(3)]
        return Command("--set", *seconds)

    def flush(self):
        self.services.clear()
        return Command("-C")

    def restore(self):
        return Command("-R", given=self.saved)

    def nonsense(self):
        key = self.known_service()
        service = self.service_arguments(key)
        server = name(*self.server(key[1]))
        return self.random.choice(
            [
                Command("-A", *service, "-s", "none-such"),
                Command("-A", "-t", "192.0.2.1"),
                Command("-A", "-t", "192.0.2.1:0"),
                Command("-A", "-t", "192.0.2.300:80"),
                Command("-A", "-t", "192.0.2.1:80:80"),
                Command("-A", *service, "-r", server),
                Command("-a", *service, "-m"),
                Command("-a", *service, "-r", server, "-m", "-w", "-1"),
                Command("-a", *service, "-r", server, "-m", "-w", "many"),
                Command("-d", *service, "-r", server, "-w", "3"),
                Command("-D"),
                Command("-D", "-t", "192.0.2.9:80"),
                Command("--set", "1", "2"),
                Command("--set", "-1", "2", "3"),
                Command("-Z", "-t", "192.0.2.9:80"),
                Command("-L", "-t", "192.0.2.9:80"),
                Command("-L", "-n", *service),
                Command("-h"),
                Command("-A", "-D", *service),
                Command("--none-such"),
            ]
        )
