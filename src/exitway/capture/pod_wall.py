"""A second wall round the pods of a node, outside of their namespaces: text for ``nft -f -``. Pure.

A pod's own ruleset (``pod.py``) is passed by what sends frames of its own making, and knows no more of a service than its address. Here, on the node:

1. What comes out of a pod's interface has an address of the pod. (Where the node's end of it is known: a veth.)
2. What a pod begins, and the node forwards, goes to the cluster: wherever a service has led it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from exitway.capture.table import digest, elements, removal
from exitway.names.guard import ALWAYS_NETWORKS, Network
from exitway.names.ranges import joined, without

_SPEECH = ((4, "ip", "ipv4_addr", ()), (6, "ip6", "ipv6_addr", ("fe80::/10", "::")))
"""In IPv6, a pod also speaks from link-local addresses, and from none before it has one; to its neighbours only."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """Where a pod's packets come out. ``device``: the node's end of its interface; empty: not known."""

    device: str
    addresses: tuple[IPv4Address | IPv6Address, ...]


def table(owner: str) -> str:
    """The name of an agent's table. ``owner``: its runtime directory."""
    return f"exitway-pods-{digest(owner)}"


def ruleset(owner: str, outlets: Iterable[Outlet], cluster: Iterable[Network]) -> str:
    """Replaces it, in one transaction. Connections that came to a pod from elsewhere are answered."""
    outlets, cluster = list(outlets), [part for network in cluster for part in without(network, ALWAYS_NETWORKS)]
    refused = [
        f"{ip} saddr @pods{version} {ip} daddr != @cluster{version} goto refuse" for version, ip, _, _ in _SPEECH
    ]
    lines = [
        f"table inet {table(owner)} {{",
        *(line for version, _, kind, _ in _SPEECH for line in _sets(version, kind, outlets, cluster)),
        "chain refuse {",
        "counter",
        "meta l4proto tcp reject with tcp reset",
        "reject with icmpx admin-prohibited",
        "}",
        "chain forward {",
        "type filter hook forward priority filter - 5; policy accept;",
        "ct direction reply accept",
        "ct state untracked accept",  # whoever has the kernel not track a connection answers for it
        "ip6 daddr ff02::/16 accept",  # of one link: neighbours are looked for, and a bridge may ask us (br_netfilter)
        *refused,
        "}",
        "}",
        f"table netdev {table(owner)} {{",
        *(line for number, outlet in enumerate(outlets) if outlet.device for line in _from(number, outlet)),
        "}",
    ]
    return removed(owner) + "\n".join(lines) + "\n"


def removed(owner: str) -> str:
    """Takes it away, if it is there."""
    return removal(table(owner)) + removal(table(owner), "netdev")


def _sets(version: int, kind: str, outlets: Iterable[Outlet], cluster: Iterable[Network]) -> Iterator[str]:
    pods = sorted({one for outlet in outlets for one in outlet.addresses if one.version == version})
    yield f"set pods{version} {{ type {kind};{elements(pods)} }}"
    yield f"set cluster{version} {{ type {kind}; flags interval;{elements(joined(cluster, version))} }}"


def _from(number: int, outlet: Outlet) -> Iterator[str]:
    yield f"chain from{number} {{"
    yield f'type filter hook ingress device "{outlet.device}" priority -500; policy accept;'
    for version, ip, _, others in _SPEECH:
        own = [*(str(one) for one in outlet.addresses if one.version == version), *others]
        if own:
            yield f"{ip} saddr != {{ {', '.join(own)} }} counter drop"
        else:
            yield f"meta protocol {ip} counter drop"
    yield "}"
