"""Synthetic addresses: each name has its own, so the address that a program dials says which name it asked for. Pure.

As Istio allocates addresses to service entries without any (https://istio.io/latest/docs/ops/configuration/traffic-management/dns-proxy/),
but for every name that is asked for.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import NamedTuple, Protocol

from exitway.names.address import SYNTHETIC_IPV4, SYNTHETIC_IPV6

_IPV4 = int(ipaddress.IPv4Network(SYNTHETIC_IPV4).network_address)
_IPV6 = int(ipaddress.IPv6Network(SYNTHETIC_IPV6).network_address)
_FIRST, _LAST = 2, 0xFFFE
"""Of the numbers in a network of 16 bits: not the network itself, not the resolver, not the broadcast address."""


class Synthetic(NamedTuple):
    """The two addresses of a name; they differ only in the network."""

    ipv4: str
    ipv6: str


class Addresses(Protocol):
    """The names of a workload, or of many, and their addresses: remembered (here) or worked out (:mod:`exitway.dns.hashed`)."""

    def address_of(self, name: str) -> Synthetic:
        """The addresses of a name (in normal form)."""

    def name_of(self, address: str) -> str | None:
        """The name that an address (IPv4 or IPv6, in any spelling) stands for, if that is known."""

    def stands_for(self, address: str, name: str) -> bool:
        """Whether the address (in any spelling) is one of the name's."""

    def is_pinned(self, name: str) -> bool:
        """Whether no other name can have the addresses of this one, so that rules may be enforced by them."""


class SyntheticAddresses:
    """The names of one workload. It remembers 65,533; then the name that was longest unused gives its addresses to the next one.

    A program that asks for names and never dials them cannot take a name away that is dialled: those, up to a quarter of all, have a queue of
    their own. Pinned names keep their addresses, used or not: they stand in rulesets.
    """

    def __init__(self, capacity: int = _LAST - _FIRST + 1) -> None:
        self._capacity = capacity
        self._next = 0
        self._names: dict[int, str] = {}
        self._numbers: OrderedDict[str, int] = OrderedDict()  # the longest unused first
        self._dialled: OrderedDict[str, int] = OrderedDict()  # the same
        self._pinned: dict[str, int] = {}

    def address_of(self, name: str) -> Synthetic:
        """The addresses of a name (in normal form), always the same ones while it is remembered."""
        for queue in (self._numbers, self._dialled):
            if name in queue:
                queue.move_to_end(name)
                return _synthetic(queue[name])
        number = self._pinned.get(name)
        if number is None:
            number = self._numbers[name] = self._free_number()
            self._names[number] = name
        return _synthetic(number)

    def name_of(self, address: str) -> str | None:
        """The name that an address (IPv4 or IPv6, in any spelling) stands for; it counts as dialled."""
        name = self._names.get(_number_of(address))
        if name is not None and name not in self._pinned:
            self._dialled[name] = self._take(name)
            if len(self._dialled) > max(1, self._capacity // 4):
                oldest, number = self._dialled.popitem(last=False)
                self._numbers[oldest] = number
        return name

    def stands_for(self, address: str, name: str) -> bool:
        """Whether the address (in any spelling) is one of the name's; it counts as dialled."""
        return self.name_of(address) == name

    def pin(self, name: str, wanted: str = "") -> Synthetic | None:
        """From now on the name keeps its addresses; a name that has none yet gets ``wanted``, if that is free.

        None: half of all addresses are pinned already, and no more can be.
        """
        if name not in self._pinned and len(self._pinned) >= self._capacity // 2:
            return None
        number = _number_of(wanted)
        known = any(name in queue for queue in (self._numbers, self._dialled, self._pinned))
        if not known and 0 <= number < self._capacity and number not in self._names:
            self._numbers[name] = number
            self._names[number] = name
        addresses = self.address_of(name)
        if name not in self._pinned:
            self._pinned[name] = self._take(name)
        return addresses

    def unpin(self, name: str) -> None:
        """From now on the name is one like the others."""
        if name in self._pinned:
            self._numbers[name] = self._pinned.pop(name)

    def is_pinned(self, name: str) -> bool:
        """Whether the name keeps its addresses."""
        return name in self._pinned

    @property
    def pinned(self) -> list[str]:
        """The names that are pinned."""
        return list(self._pinned)

    def _take(self, name: str) -> int:
        """Out of whichever queue it is in: its number."""
        return self._numbers.pop(name) if name in self._numbers else self._dialled.pop(name)

    def _free_number(self) -> int:
        while self._next < self._capacity:
            self._next += 1
            if self._next - 1 not in self._names:
                return self._next - 1
        _, number = self._numbers.popitem(last=False)
        return number


def _synthetic(number: int) -> Synthetic:
    offset = _FIRST + number
    return Synthetic(str(ipaddress.IPv4Address(_IPV4 + offset)), str(ipaddress.IPv6Address(_IPV6 + offset)))


def _number_of(address: str) -> int:
    """Not a number of ours (such as a negative one) where the address is not synthetic."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return -1
    return int(parsed) - (_IPV4 if parsed.version == 4 else _IPV6) - _FIRST
