"""Sees every packet that comes into the world and opens something, whatever its protocol, and tells the witness.

A packet socket with a filter in the kernel (classic BPF, ``Documentation/networking/filter.rst``), so that established connections cost nothing.
"""

from __future__ import annotations

import ctypes
import ipaddress
import socket
import struct
import threading

from exitway.lab.witness import Fact, Witness

_SO_ATTACH_FILTER = 26
_ETH_P_ALL, _ETH_P_IPV4, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_OUTGOING = 4
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_NEIGHBOUR_DISCOVERY = range(130, 144)
"""ICMPv6 types that the cable itself speaks: neighbours, routers, listener reports."""

_LDH, _LDB, _LDB_AT_X, _LDX_IPV4_LENGTH, _AND, _JEQ, _JA, _RET = 0x28, 0x30, 0x50, 0xB1, 0x54, 0x15, 0x05, 0x06
_TCP, _SYN, _SYN_ACK = 6, 0x02, 0x12
_OPENING_PACKETS = (  # instruction, steps when true, steps when false, operand
    (_LDH, 0, 0, 12),  # the type of the frame
    (_JEQ, 0, 5, _ETH_P_IPV4),
    (_LDB, 0, 0, 23),  # IPv4: the protocol
    (_JEQ, 0, 9, _TCP),
    (_LDX_IPV4_LENGTH, 0, 0, 14),
    (_LDB_AT_X, 0, 0, 14 + 13),  # TCP's flags
    (_JA, 0, 0, 4),
    (_JEQ, 0, 6, _ETH_P_IPV6),
    (_LDB, 0, 0, 20),  # IPv6: the next header
    (_JEQ, 0, 3, _TCP),
    (_LDB, 0, 0, 14 + 40 + 13),  # TCP's flags
    (_AND, 0, 0, _SYN_ACK),
    (_JEQ, 0, 1, _SYN),
    (_RET, 0, 0, 0xFFFF),  # to the witness
    (_RET, 0, 0, 0),  # not
)


def start(interface: str, witness: Witness) -> None:
    """Watch an interface from now on, in a thread."""
    packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in _OPENING_PACKETS))
    packets.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(_OPENING_PACKETS), ctypes.addressof(program))
    )
    packets.bind((interface, 0))
    threading.Thread(target=_watch, args=(packets, witness), daemon=True).start()


def _watch(packets: socket.socket, witness: Witness) -> None:
    while True:
        frame, (_, _, direction, *_) = packets.recvfrom(256)
        fact = _fact(frame[14:]) if direction != _OUTGOING else None
        if fact:
            witness.record("packet", **fact)


def _fact(packet: bytes) -> Fact | None:
    """Protocol, destination address and port (0: the protocol has none) of an IP packet."""
    if packet[0] >> 4 == 4:
        number, address, payload = packet[9], packet[16:20], packet[4 * (packet[0] & 15) :]
    else:
        number, address, payload = packet[6], packet[24:40], packet[40:]
    protocol = _PROTOCOLS.get(number, str(number))
    if (protocol == "icmpv6" and payload[0] in _NEIGHBOUR_DISCOVERY) or number == 0:  # 0: multicast listener reports
        return None
    port = struct.unpack_from("!H", payload, 2)[0] if protocol in ("tcp", "udp") else 0
    return {"protocol": protocol, "address": str(ipaddress.ip_address(address)), "port": port}
