"""Addresses that mean something inside a sealed workload, and nothing outside it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from ipaddress import ip_address, ip_network

from exitway.names.cluster import HASHED_IPV4

SYNTHETIC_IPV4 = "240.240.0.0/16"
SYNTHETIC_IPV6 = "2001:2::/48"
"""Where each name gets an address of its own. Class E and benchmarking (RFC 1112, RFC 5180): nobody answers there; Istio's ranges."""

SYNTHETIC = tuple(map(ip_network, (SYNTHETIC_IPV4, HASHED_IPV4, SYNTHETIC_IPV6)))
"""Behind an address of these stands a name, on one machine and in a cluster (whose IPv6 addresses are in the same network)."""

RESOLVER_IPV4 = "240.240.0.1"
RESOLVER_IPV6 = "2001:2::1"
"""The workload's name server, and the source address of all it sends."""

LINK_IPV4 = "240.242.0.0"
LINK_IPV6 = "2001:2:0:f242::"
"""Where the pairs of addresses begin that direct workloads and the machine have between them. They are seen by nobody else."""

_PORTS = range(2**16)

Pinned = Mapping[str, tuple[str, str]]
"""Names of a workload that keep their synthetic addresses, IPv4 and IPv6, because rules are enforced by these."""

CAPTURE_PORT, TCP_PORT = 1, 2
"""Where the proxy listens in a workload's namespace, on both loopback addresses: the second for what rules allow for TCP, the first for all else.

The only ports that a workload may not bind (``capture/seal.py``): one that took them while no proxy runs would keep the next one from listening.
"""


def bracketed(address: str) -> str:
    """A name or an address as it stands before a port: ``[2001:db8::5]``."""
    return f"[{address}]" if ":" in address else address


def endpoint(text: str) -> tuple[str, int]:
    """Address and port of ``address:port`` or ``[address]:port``.

    Raises:
        ValueError: there is no port in it.
    """
    address, _, port = text.rpartition(":")
    if int(port) not in _PORTS:
        raise ValueError(f"{port} is no port")
    return address.strip("[]"), int(port)


@lru_cache(10_000)
def is_endpoint(text: str) -> bool:
    """Whether it is an IP address with a port. Records ask again and again about the same."""
    try:
        return ip_address(endpoint(text)[0]) is not None
    except ValueError:
        return False


def name_server(text: str) -> tuple[str, int]:
    """Address and port of a DNS server: the same, or ``address`` or ``[address]`` alone."""
    if text.endswith("]") or (text.count(":") != 1 and not text.startswith("[")):
        return text.strip("[]"), 53
    return endpoint(text)
