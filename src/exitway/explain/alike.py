"""Destinations that one could mistake for another."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from exitway.names.host import LOCAL_HOST, Host
from exitway.resources.intent import Network

FAR = 99
_NEARBY = {4: 24, 6: 64}
"""Addresses that have so many bits in common are each other's neighbours."""


@dataclass(frozen=True, slots=True)
class Differing:
    """A sentence, and how far it takes a rule away from a call."""

    sentence: str
    distance: int


def host_differs(host: Host, name: str) -> Differing | None:
    """What keeps a host from matching a name; None: nothing."""
    if host.matches(name):
        return Differing(f"no pattern stands for {name}", 2) if host.wildcard and name == LOCAL_HOST else None
    if host.wildcard and host.suffix == f".{name}":
        return Differing(f"{host} does not stand for {name} itself", 2)
    suffix = host.suffix.removeprefix(".")
    if not host.wildcard and _is_below(name, host.suffix):
        return Differing(f"{host} does not stand for the names below it, such as {name}", 3)
    if not host.wildcard and (name == f"www.{suffix}" or suffix == f"www.{name}"):
        return Differing(f"it names {host}, you asked for {name}", 2)
    if suffix and (errors := _typing_errors(suffix, _ending(name, suffix) if host.wildcard else name)):
        return Differing(f"it names {host}, you asked for {name}: a typing error?", 2 + errors)
    return Differing("", FAR)


def address_differs(network: Network, address: str) -> Differing | None:
    """The same of a network and an address."""
    dialled = ip_address(address)
    if dialled.version != network.version:
        return Differing("", FAR)
    if dialled in network:
        return None
    if dialled in ip_network((network.network_address, min(network.prefixlen, _NEARBY[network.version])), strict=False):
        return Differing(f"it names {network}, you asked for {address}", 3)
    return Differing("", FAR)


def _is_below(name: str, suffix: str) -> bool:
    return name.endswith(f".{suffix}") and "." in suffix


def _ending(name: str, suffix: str) -> str:
    """The last labels of a name, as many as the suffix has; at least one is left out."""
    return ".".join(name.split(".")[1:][-(suffix.count(".") + 1) :])


def _typing_errors(one: str, other: str) -> int:
    """How many characters were changed, added, left out or swapped, one or two; 0: none, or these are two names. Short ones need to be nearer."""
    most = 1 if min(len(one), len(other)) < 8 else 2
    if abs(len(one) - len(other)) > most:
        return 0
    for _ in range(2):  # what both begin with, and what both end in, does not matter
        same = _same(one, other)
        one, other = one[same:][::-1], other[same:][::-1]
    distance = _distance(one, other, most)
    return distance if distance <= most else 0


def _same(one: str, other: str) -> int:
    """With how many characters both begin."""
    differing = (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differing, min(len(one), len(other)))


def _distance(one: str, other: str, most: int) -> int:
    """Damerau and Levenshtein's (optimal string alignment); more than ``most``: whatever."""
    above: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, above, row = above, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(above[j] + 1, row[-1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return row[-1]
