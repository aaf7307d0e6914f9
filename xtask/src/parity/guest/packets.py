"""Packets as bytes, made and read without any code of Weir."""

import ipaddress
import struct

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packed(address):
    return ipaddress.ip_address(address).packed


def pseudo_header(source, destination, protocol, length):
    return packed(source) + packed(destination) + struct.pack("!LHBB", length, 0, 0, protocol)


def tcp(source, destination, source_port, destination_port, flags, sequence, acknowledgement, data=b"", options=b""):
    offset = (5 + len(options) // 4) << 4
    header = struct.pack(
        "!HHLLBBHHH", source_port, destination_port, sequence, acknowledgement, offset, flags, 64000, 0, 0
    )
    segment = header + options + data
    value = checksum(pseudo_header(source, destination, TCP, len(segment)) + segment)
    return segment[:16] + struct.pack("!H", value) + segment[18:]


def udp(source, destination, source_port, destination_port, data, with_checksum=True):
    datagram = struct.pack("!HHHH", source_port, destination_port, 8 + len(data), 0) + data
    if not with_checksum:
        return datagram
    value = checksum(pseudo_header(source, destination, UDP, len(datagram)) + datagram) or 0xFFFF
    return datagram[:6] + struct.pack("!H", value) + datagram[8:]


def echo_request(source, destination, number):
    """A ping."""
    if ":" not in source:
        message = struct.pack("!BBHHH", 8, 0, 0, 7, number)
        return ICMP, message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    message = struct.pack("!BBHHH", 128, 0, 0, 7, number)
    value = checksum(pseudo_header(source, destination, ICMPV6, len(message)) + message)
    return ICMPV6, message[:2] + struct.pack("!H", value) + message[4:]


def ip(source, destination, protocol, payload, ttl=64, tos=0, number=0, options=False):
    """An IPv4 or IPv6 packet; `options` are four bytes of no operation, or a hop-by-hop header of padding."""
    if ":" in source:
        if options:
            payload = struct.pack("!BBBBL", protocol, 0, 1, 4, 0) + payload
            protocol = 0
        first = 6 << 28 | tos << 20 | number
        return struct.pack("!LHBB", first, len(payload), protocol, ttl) + packed(source) + packed(destination) + payload
    padding = b"\1\1\1\1" if options else b""
    length = 20 + len(padding)
    header = struct.pack("!BBHHHBBH", 0x40 | length // 4, tos, length + len(payload), number, 0x4000, ttl, protocol, 0)
    header += packed(source) + packed(destination) + padding
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def frame(to, sender, packet):
    ether_type = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return to + sender + struct.pack("!H", ether_type) + packet


def read(data):
    """Next hop and packet of a frame, without what a short frame is filled up with; None if it is not traffic of a
    scenario but the namespaces' own talk."""
    ether_type = struct.unpack_from("!H", data, 12)[0]
    packet = data[14:]
    if ether_type == 0x0800:
        return data[:6], packet[: struct.unpack_from("!H", packet, 2)[0]]
    if ether_type != 0x86DD:
        return None
    packet = packet[: 40 + struct.unpack_from("!H", packet, 4)[0]]
    protocol, kind = packet[6], packet[40]
    if protocol == 0:
        protocol, kind = packet[40], packet[48]
    # Multicast listener and neighbour discovery.
    if protocol == ICMPV6 and 130 <= kind <= 143:
        return None
    return data[:6], packet


def comparable(packet):
    """The packet without what a kernel chooses by itself: the identification of an ICMP message that it makes."""
    if packet[0] >> 4 == 4 and packet[9] == ICMP:
        return packet[:4] + b"\0\0" + packet[6:10] + b"\0\0" + packet[12:]
    return packet


def without_checksum(packet):
    """Whether it is a UDP datagram that says that it has no checksum; only IPv4 has such."""
    start = (packet[0] & 15) * 4
    return packet[0] >> 4 == 4 and packet[9] == UDP and packet[start + 6 : start + 8] == b"\0\0"


def without_udp_checksum(packet):
    """The comparable packet with its UDP checksum, if it has one, taken away."""
    start = (packet[0] & 15) * 4
    if packet[0] >> 4 != 4 or packet[9] != UDP:
        return comparable(packet)
    return packet[: start + 6] + b"\0\0" + packet[start + 8 :]


def ends(packet):
    """Protocol, source and destination, each address and port, of a TCP or UDP packet; None of another."""
    if packet[0] >> 4 == 4:
        protocol, source, destination, start = packet[9], packet[12:16], packet[16:20], (packet[0] & 15) * 4
    else:
        protocol, source, destination, start = packet[6], packet[8:24], packet[24:40], 40
        if protocol == 0:
            protocol, start = packet[40], 48
    if protocol not in (TCP, UDP):
        return None
    ports = struct.unpack_from("!HH", packet, start)
    return protocol, (str(ipaddress.ip_address(source)), ports[0]), (str(ipaddress.ip_address(destination)), ports[1])


def describe(packet):
    """A packet for a person: who to whom, then every byte."""
    return f"{ends(packet)} {packet.hex()}"
