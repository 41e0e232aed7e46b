"""The witness on the machine's own interfaces: packets of the attempts that leave it, seen through a packet socket (needs CAP_NET_RAW)."""

from __future__ import annotations

import ipaddress
import select
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any

from exitway.attack.watcher import Watcher

_ETH_P_ALL, _ETH_P_IPV4, _ETH_P_IPV6 = 0x0003, 0x0800, 0x86DD
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
SETTLING_SECONDS = 0.05
"""What an attempt has sent is seen after so long: the kernel queues a packet for the socket while it sends it."""


class Packets(Watcher):
    """Watches all interfaces for packets to certain addresses, or with a word in them, from the beginning to the end of a ``with`` block."""

    def __init__(self, addresses: Iterable[str], word: str) -> None:
        """Begin. ``word``: what only an attempt would say, such as a label of a name.

        Raises:
            PermissionError: we may not.
        """
        self._addresses = {ipaddress.ip_address(address) for address in addresses}
        self._word = word.lower().encode()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL))
        super().__init__()

    def _close(self) -> None:
        self._socket.close()

    def facts(self) -> list[dict[str, Any]]:
        """What has been on an interface since the last time it was asked, in whatever direction."""
        time.sleep(SETTLING_SECONDS)
        return super().facts()

    def _watch(self) -> None:
        while self._stop not in select.select([self._socket.fileno(), self._stop], [], [])[0]:
            packet, (_, kind, *_) = self._socket.recvfrom(2048)
            if kind in (_ETH_P_IPV4, _ETH_P_IPV6):
                fact = self._fact(packet)
                if fact:
                    self.note(fact)

    def _fact(self, packet: bytes) -> dict[str, Any] | None:
        """Of a packet that concerns us; as the lab's sniffer says it."""
        if packet[0] >> 4 == 4:
            number, address, payload = packet[9], ipaddress.ip_address(packet[16:20]), packet[4 * (packet[0] & 15) :]
        else:
            number, address, payload = packet[6], ipaddress.ip_address(packet[24:40]), packet[40:]
        protocol = _PROTOCOLS.get(number, str(number))
        port = struct.unpack_from("!H", payload, 2)[0] if protocol in ("tcp", "udp") and len(payload) >= 4 else 0
        within = (
            protocol == "tcp" and address.is_loopback
        )  # what an allowed site is told, by whoever may tell it anything
        if self._word in payload.lower() and not within:
            return {
                "kind": "packet",
                "protocol": f"{protocol} that names {self._word.decode()}",
                "address": str(address),
                "port": port,
            }
        if address in self._addresses:
            return {"kind": "packet", "protocol": protocol, "address": str(address), "port": port}
        return None
