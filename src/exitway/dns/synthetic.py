"""Synthetic addresses: each name has its own, so the address that a program dials says which name it asked for. Pure.

As Istio allocates addresses to service entries without any (https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/),
but for every name that is asked for.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import NamedTuple

from exitway.names.address import SYNTHETIC_IPV4, SYNTHETIC_IPV6

_IPV4 = int(ipaddress.IPv4Network(SYNTHETIC_IPV4).network_address)
_IPV6 = int(ipaddress.IPv6Network(SYNTHETIC_IPV6).network_address)
_FIRST, _LAST = 2, 0xFFFE
"""Of the numbers in a network of 16 bits: not the network itself, not the resolver, not the broadcast address."""


class Synthetic(NamedTuple):
    """The two addresses of a name; they differ only in the network."""

    ipv4: str
    ipv6: str


class SyntheticAddresses:
    """The names of one workload. It remembers 65,533; then the name that was longest unused gives its addresses to the next one."""

    def __init__(self, capacity: int = _LAST - _FIRST + 1) -> None:
        self._capacity = capacity
        self._names: list[str] = []  # by number
        self._numbers: OrderedDict[str, int] = OrderedDict()  # the longest unused first

    def address_of(self, name: str) -> Synthetic:
        """The addresses of a name (in normal form), always the same ones while it is remembered."""
        number = self._numbers.get(name)
        if number is None:
            number = self._number(name)
        self._numbers.move_to_end(name)
        offset = _FIRST + number
        return Synthetic(str(ipaddress.IPv4Address(_IPV4 + offset)), str(ipaddress.IPv6Address(_IPV6 + offset)))

    def name_of(self, address: str) -> str | None:
        """The name that an address (IPv4 or IPv6, in any spelling) stands for; asking for it counts as use of the name."""
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return None
        number = int(parsed) - (_IPV4 if parsed.version == 4 else _IPV6) - _FIRST
        if not 0 <= number < len(self._names):
            return None
        name = self._names[number]
        self._numbers.move_to_end(name)
        return name

    def _number(self, name: str) -> int:
        if len(self._names) < self._capacity:
            number = len(self._names)
            self._names.append(name)
        else:
            _, number = self._numbers.popitem(last=False)
            self._names[number] = name
        self._numbers[name] = number
        return number
