"""The machine's side of what goes past the proxy: a second wall, and the machine's own address. Text for ``nft -f -``. Pure.

A connection that comes by a link (``link.py``) may begin only to what that workload's rules call direct; for a name, to the addresses that it
leads to. Nothing begins towards a workload. Where the machine forwarded nothing before, it still forwards nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exitway.capture.link import PREFIX, Link
from exitway.capture.steering import Steering, set_contents
from exitway.capture.table import digest, removal
from exitway.names.address import LINK_IPV4, LINK_IPV6

_SOURCES = (("ip", f"{LINK_IPV4}/16"), ("ip6", f"{LINK_IPV6}/64"))


def table(owner: str) -> str:
    """The name of a server's table. ``owner``: its runtime directory."""
    return f"exitway-direct-{digest(owner)}"


def ruleset(owner: str, links: Mapping[Link, Steering]) -> str:
    """Replaces the table, in one transaction. Connections that are there stay: the workload's own ruleset ends them."""
    leaving = ", ".join(f'"{link.outside}" : goto {link.outside}' for link in links)
    arriving = ", ".join(f'"{link.outside}" : goto arrive' for link in links)
    lines = [
        f"table inet {table(owner)} {{",
        *_chain("refuse", ["meta l4proto tcp reject with tcp reset", "drop"]),
        *_chain("arrive", ["ct state established,related accept", "drop"]),
        *(line for link, steering in links.items() for line in _workload(link, steering)),
        *_chain("forward", [
            "type filter hook forward priority filter; policy accept;",
            f'iifname "{PREFIX}*" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu',
            f'oifname "{PREFIX}*" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu',
            f"oifname vmap {{ {arriving} }}",
            f"iifname vmap {{ {leaving} }}",
        ]),
        *_chain("input", [
            "type filter hook input priority filter; policy accept;",
            f"iifname vmap {{ {leaving} }}",
        ]),
        *_chain("disguise", [
            "type nat hook postrouting priority srcnat; policy accept;",
            *(f"{ip} saddr {network} masquerade" for ip, network in _SOURCES),
        ]),
        "}",
    ]  # fmt: skip
    return removal(table(owner)) + "\n".join(lines) + "\n"


def _workload(link: Link, steering: Steering) -> Iterator[str]:
    """In order: what is denied to networks and ranges may still be where a name leads."""
    contents = set_contents(steering)
    rules = ["ct state established accept", "meta l4proto != tcp drop"]
    for version, ip, source in zip((4, 6), ("ip", "ip6"), link.addresses, strict=True):
        rules.append(f"meta nfproto ipv{version} {ip} saddr != {source} drop")
        led = {f"{lead} . {port}" for _, port, lead in steering.names if lead is not None and lead.version == version}
        destination = f"{ip} daddr . tcp dport"
        for what, elements, verdict in (
            (destination, sorted(led), "accept"),
            (destination, contents[f"denied{version}"], "goto refuse"),
            (destination, contents[f"direct{version}"], "accept"),
            (f"{ip} daddr", contents[f"ranges{version}"], "accept"),
        ):
            rules += [f"{what} {{ {', '.join(elements)} }} {verdict}"] * bool(elements)
    yield from _chain(link.outside, [*rules, "goto refuse"])


def _chain(name: str, rules: Iterable[str]) -> Iterator[str]:
    yield f"chain {name} {{"
    yield from rules
    yield "}"


def in_place(family: str) -> str:
    """What `nft list tables` says where :func:`nothing_else` is in force. ``family``: ``ip`` or ``ip6``."""
    return f"table {family} exitway-forward"


def nothing_else(family: str) -> str:
    """While it is there, the machine forwards nothing but what comes or goes by links."""
    lines = [
        f"{in_place(family)} {{",
        'comment "exitway switched forwarding on; this goes when it switches it off"',
        *_chain("forward", [
            "type filter hook forward priority -10; policy drop;",
            f'iifname "{PREFIX}*" accept',
            f'oifname "{PREFIX}*" accept',
        ]),
        "}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def something_else(family: str) -> str:
    """Takes that away."""
    return f"delete {in_place(family)}\n"
