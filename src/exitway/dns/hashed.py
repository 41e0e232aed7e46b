"""Synthetic addresses that are worked out of the name alone: every replica gives the same, and none remembers anything. Pure.

A name has a sequence of candidates, hashes of it. A *pinned* name, which rules are enforced for by its address, has the first one that no pinned
name before it has; names are taken in their order. Any other name has its first one that no pinned name has. So

- two names that are not pinned may have one address (one pair in 16 million, for IPv4): by it alone nothing is decided for these;
- a pinned name's address is its own;
- pinning or unpinning a name moves another one only where they meet: with 10,000 pinned names, one in 1,700.

The hash has no secret: a program can ask for the address of any name, and dial what it likes.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping

from exitway.dns.synthetic import Synthetic
from exitway.names.call import Sort
from exitway.names.cluster import HASHED_IPV4, HASHED_IPV6
from exitway.resources.intent import Intent

_PERSON = b"exitway name"
_IPV4 = ipaddress.IPv4Network(HASHED_IPV4)
_IPV6 = ipaddress.IPv6Network(HASHED_IPV6)
_FIRST_IPV4, _SIZE_IPV4 = int(_IPV4[1]), _IPV4.num_addresses - 2
_FIRST_IPV6, _SIZE_IPV6 = int(_IPV6[1]), _IPV6.num_addresses - 2
"""Without the first and the last address of each network."""


class HashedAddresses:
    """The addresses of all names, where some are pinned."""

    def __init__(self, pinned: Mapping[str, Synthetic] | None = None) -> None:
        self._pinned = pinned or {}
        self._names = {address: name for name, addresses in self._pinned.items() for address in addresses}

    def address_of(self, name: str) -> Synthetic:
        """The addresses of a name (in normal form)."""
        return self._pinned.get(name) or _first_free(name, self._names)

    def name_of(self, address: str) -> str | None:
        """The pinned name that an address (in any spelling) stands for; None: there is none, and of others nobody knows."""
        return self._names.get(_normal(address))

    def stands_for(self, address: str, name: str) -> bool:
        """Whether the address (in any spelling) is one of the name's."""
        return _normal(address) in self.address_of(name)

    def is_pinned(self, name: str) -> bool:
        """Whether no other name has the addresses of this one."""
        return name in self._pinned


def pinned_names(intents: Iterable[Intent]) -> frozenset[str]:
    """The names that rules for TCP speak of, whoever they are for and whether they are in force: what is pinned must not move for less."""
    return frozenset(
        host.suffix
        for intent in intents
        for target, permissions in intent.permissions
        if not target.direct and any(sort is Sort.TCP for _, sort in permissions)
        for host in target.hosts
        if not host.wildcard and not host.is_address
    )


def pin(names: Iterable[str]) -> dict[str, Synthetic]:
    """The addresses of pinned names, which are different for all of them. They follow from the set of names alone."""
    taken: set[str] = set()
    addresses: dict[str, Synthetic] = {}
    for name in sorted(set(names)):
        addresses[name] = _first_free(name, taken)
        taken.update(addresses[name])
    return addresses


def _first_free(name: str, taken: Collection[str]) -> Synthetic:
    return next(pair for pair in _candidates(name) if pair.ipv4 not in taken and pair.ipv6 not in taken)


def _candidates(name: str) -> Iterator[Synthetic]:
    attempt = 0
    while True:
        digest = hashlib.blake2b(name.encode(), digest_size=24, person=_PERSON, salt=attempt.to_bytes(4)).digest()
        ipv4, ipv6 = int.from_bytes(digest[:8]), int.from_bytes(digest[8:])
        yield Synthetic(
            str(ipaddress.IPv4Address(_FIRST_IPV4 + ipv4 % _SIZE_IPV4)),
            str(ipaddress.IPv6Address(_FIRST_IPV6 + ipv6 % _SIZE_IPV6)),
        )
        attempt += 1


def _normal(address: str) -> str:
    """The spelling that we use; empty where it is no address."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""
