"""The part of a workload's ruleset that follows its rules (``steering.py``). Text for ``nft -f -``, which makes it so all at once. Pure.

What goes past the proxy is held to the sets packet by packet, both ways, so what is taken out of them stops at once:

1. A connection to what is in a set is marked when it begins, and so is each of its packets while it is there: marked packets are routed by the
   link (``link.py``), and those to a name have its synthetic address rewritten to the one that the name leads to.
2. A packet of such a connection that is not marked is answered with a reset.
3. What comes in by the link belongs to such a connection, or it is dropped. Only marked packets leave by it.

(Of a connection to a name, what comes in is not held to a set: nftables cannot look up a connection's original port. Each answer to it is.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exitway.capture.link import INSIDE, MARK, Link
from exitway.capture.ruleset import DIRECT_GROUP, LOCAL_IPV4, LOCAL_IPV6
from exitway.capture.steering import Steering, set_contents

_FAMILIES = ((4, "ip", "ipv4_addr", LOCAL_IPV4), (6, "ip6", "ipv6_addr", LOCAL_IPV6))
_SEEN_SECONDS = 3600
_OPENS = "tcp flags & (syn | ack) == syn"


def loaded(steering: Steering, link: Link | None) -> str:
    """The whole of it. Without a link, nothing goes past the proxy."""
    contents = set_contents(steering)
    sets = [name for name in contents if link or name.startswith("tcp")]
    declared = [*_declared(), *_chains(link)] if link else []
    filled = [f"add element inet exitway {name} {{ {', '.join(contents[name])} }}" for name in sets if contents[name]]
    return "\n".join([*declared, *(_flush(name) for name in sets), *filled]) + "\n"


def _flush(name: str) -> str:
    return f"flush {'map' if name.startswith('leads') else 'set'} inet exitway {name}"


def _declared() -> Iterator[str]:
    for version, _, kind, _ in _FAMILIES:
        for name in ("direct", "denied"):
            yield f"add set inet exitway {name}{version} {{ type {kind} . inet_service; flags interval; }}"
        yield f"add set inet exitway ranges{version} {{ type {kind}; flags interval; }}"
        for name in ("named", "absent"):
            yield f"add set inet exitway {name}{version} {{ type {kind} . inet_service; }}"
        yield f"add map inet exitway leads{version} {{ type {kind} . inet_service : {kind}; }}"
        flags = f"flags dynamic, timeout; timeout {_SEEN_SECONDS}s; size 65535;"
        yield f"add set inet exitway seen{version} {{ type {kind} . inet_service; {flags} }}"


def _chains(link: Link) -> Iterator[str]:
    yield from _chain("note", [
        *(f"add @seen{version} {{ {ip} daddr . tcp dport }}" for version, ip, _, _ in _FAMILIES),
        f"limit rate 100/second burst 200 packets log group {DIRECT_GROUP} snaplen 128",
    ])  # fmt: skip
    yield from _chain("take", [
        f"{_OPENS} ct mark set {MARK:#x}",
        f"ct mark {MARK:#x} meta mark set {MARK:#x}",
        *(f"{_OPENS} {ip} daddr . tcp dport @absent{version} meta mark set 0" for version, ip, _, _ in _FAMILIES),
        *(f"{_OPENS} {ip} daddr . tcp dport != @seen{version} goto note" for version, ip, _, _ in _FAMILIES),
    ])  # fmt: skip
    yield from _chain("choose", [
        f"meta l4proto tcp {ip} daddr != {local} {rule}"
        for version, ip, _, local in _FAMILIES
        for rule in _verdicts(version, f"{ip} daddr", "tcp dport", "goto take")
    ], "type route hook output priority mangle; policy accept;")  # fmt: skip
    yield from _chain("rewrite", [
        f"meta mark {MARK:#x} dnat {ip} to {ip} daddr . tcp dport map @leads{version}" for version, ip, _, _ in _FAMILIES
    ], "type nat hook output priority -100; policy accept;")  # fmt: skip
    yield from _chain("disguise", [
        f'oifname "{INSIDE}" meta nfproto ipv{version} snat {ip} to {address}'
        for (version, ip, _, _), address in zip(_FAMILIES, link.addresses, strict=True)
    ], "type nat hook postrouting priority 100; policy accept;")  # fmt: skip
    yield from _chain("depart", [
        'oif "lo" accept',
        f'oifname "{INSIDE}" meta mark {MARK:#x} {_OPENS} tcp option maxseg size set rt mtu',
        f'oifname "{INSIDE}" meta mark {MARK:#x} ip protocol tcp ip hdrlength 5 accept',  # no option may route it elsewhere
        f'oifname "{INSIDE}" meta mark {MARK:#x} ip6 nexthdr tcp accept',  # nor may a header
    ], "type filter hook postrouting priority filter; policy drop;")  # fmt: skip
    yield from _chain("stay", [
        f"ct mark {MARK:#x} ct direction original meta mark != {MARK:#x} meta l4proto tcp reject with tcp reset",
    ])  # fmt: skip
    yield from _chain("arrive", [
        f'iifname != "{INSIDE}" drop',
        f"ct mark != {MARK:#x} drop",
        "ct direction original drop",
        "ct state related icmp type destination-unreachable accept",
        "ct state related icmpv6 type { destination-unreachable, packet-too-big } accept",
        "ct state != established drop",
        "meta l4proto != tcp drop",
        "ct status dnat accept",
        *(rule for version, ip, _, _ in _FAMILIES for rule in _verdicts(version, f"{ip} saddr", "tcp sport", "accept")),
        "drop",
    ])  # fmt: skip


def _verdicts(version: int, address: str, port: str, verdict: str) -> Iterator[str]:
    yield f"{address} . {port} @denied{version} return"
    for name in ("direct", "named"):
        yield f"{address} . {port} @{name}{version} {verdict}"
    yield f"{address} @ranges{version} {verdict}"


def _chain(name: str, rules: Iterable[str], hook: str = "") -> Iterator[str]:
    yield f"add chain inet exitway {name} {{ {hook} }}" if hook else f"add chain inet exitway {name}"
    yield f"flush chain inet exitway {name}"
    yield from (f"add rule inet exitway {name} {rule}" for rule in rules)
