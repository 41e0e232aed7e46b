"""Addresses that no name may lead to, unless a rule for a network allows the address: what a name resolves to is somebody else's choice."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network

Network = IPv4Network | IPv6Network

PRIVATE = (
    "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.168.0.0/16", "168.63.129.16/32",
    "fc00::/7", "fe80::/10", "fec0::/10",
)  # fmt: skip
"""Private, shared (CGNAT), loopback, link-local, metadata (Azure's and Oracle's among them). IANA special-purpose registries (RFC 6890)."""

NEVER = (
    "0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4",
    "::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2001:2::/48", "2002::/16", "ff00::/8",
)  # fmt: skip
"""Nobody's, multicast, and forms that embed another address (v4-compatible, v4-mapped, NAT64, Teredo, 6to4). No rule excepts these."""

ALWAYS = (
    "127.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32",
    "fe80::/10", "fd00:ec2::254/128", "fd20:ce::254/128", "fd00:c1::a9fe:a9fe/128", "fd00:42::42/128",
)  # fmt: skip
"""Of the private ones: loopback, link-local, and the metadata addresses of AWS, Google, Azure, Oracle, Alibaba and Scaleway.

No audit leads there, and no IP range means them.
"""

ALWAYS_NETWORKS: tuple[Network, ...] = tuple(map(ip_network, ALWAYS))
"""The same, read."""
_PRIVATE = tuple(map(ip_network, PRIVATE))
_NEVER = tuple(map(ip_network, NEVER))

Excepted = tuple[Network, int, bool]
"""A network, a port, and whether the rules for networks allow it. The narrowest network that holds an address counts."""


def permitted(
    address: IPv4Address | IPv6Address, port: int, exceptions: Iterable[Excepted], closed: Iterable[Network] = ()
) -> bool:
    """Whether a name may lead to this address and port. ``closed``: networks that are like private ones, such as a cluster's own."""
    if any(address in network for network in _NEVER):
        return False
    if not any(address in network for network in (*_PRIVATE, *closed)):
        return True
    holding = [(network.prefixlen, allowed) for network, of, allowed in exceptions if of == port and address in network]
    return bool(holding) and max(holding)[1]


def audited(address: IPv4Address | IPv6Address) -> bool:
    """Whether an audit lets through what leads to this address."""
    return not any(address in network for network in (*_NEVER, *ALWAYS_NETWORKS))


def is_private(network: Network) -> bool:
    """Whether the network holds an address that is :data:`PRIVATE`: a rule for it is an exception to the guard."""
    return any(network.version == private.version and network.overlaps(private) for private in _PRIVATE)
