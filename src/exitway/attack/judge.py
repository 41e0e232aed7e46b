"""What of all that arrived outside should not have. Pure; the lab's witness and that of ``exitway attack`` are judged alike.

A fact is what :mod:`exitway.lab.witness` says it is, or ``{"kind": "helper", "what": ...}``: somebody spoke to a service of the machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from posixpath import normpath
from typing import Any
from urllib.parse import unquote

from exitway.attack.target import Target

Fact = Mapping[str, Any]


def leaks(facts: Iterable[Fact], target: Target, *, nothing: bool = False) -> list[str]:
    """One sentence for each thing that no rule permits. ``nothing``: the attempt has no business with what is allowed, either."""
    return [sentence for fact in facts if (sentence := _leak(fact, target, nothing=nothing))]


def _leak(fact: Fact, target: Target, *, nothing: bool) -> str:
    kind = fact["kind"]
    if kind == "query":
        return "" if _may_be_asked(fact["name"], target) else f"a DNS query for {fact['name']}"
    if kind == "request":
        return "" if not nothing and _may_be_requested(fact, target) else _request(fact)
    if kind == "helper":
        return f"somebody spoke to {fact['what']}"
    where = f"{fact['address']} port {fact['port']}"
    if kind == "connection":
        return "" if not nothing and _may_be_dialled(fact, target) else f"a connection to {where}"
    asks_resolver = fact["protocol"] in ("udp", "tcp") and fact["port"] == 53 and fact["address"] in target.resolvers
    may_open = fact["protocol"] == "tcp" and not nothing and _may_be_dialled(fact, target)
    return "" if asks_resolver or may_open else f"a packet, {fact['protocol']}, to {where}"


def _may_be_asked(name: str, target: Target) -> bool:
    name = name.lower().removesuffix(".")
    named = {target.allowed, *(target.others or {}), *target.inward, *target.aliased}
    below = bool(target.wildcard) and name.endswith("." + target.wildcard)
    return name in named or (below and name != target.barred)


def _may_be_dialled(fact: Fact, target: Target) -> bool:
    if fact["address"] in (target.peer[0], *target.further_peers) and fact["port"] == target.peer[1]:
        return True
    addresses = {*target.addresses, *(one for several in (target.others or {}).values() for one in several)}
    return fact["address"] in addresses and fact["port"] in (target.http, target.tls, target.limited_port)


def _may_be_requested(fact: Fact, target: Target) -> bool:
    """A request that says of itself what it is: to the name that is reached, in origin form, and nothing that was hidden in another."""
    host = fact["host"].lower().partition(":")[0]
    reached = {name for name, addresses in (target.others or {}).items() if fact["address"] in addresses}
    if fact["address"] in target.addresses:
        reached.add(target.allowed)
    below = any(name == f"*.{target.wildcard}" for name in reached) and host.endswith("." + target.wildcard)
    if not (host in reached or below) or host in (target.barred, target.untrusted):
        return False
    if not fact["path"].startswith("/") or "smuggled" in fact["path"] or fact["method"] == "CONNECT":
        return False
    return (host, fact["port"]) != (target.limited, target.limited_port) or _is_open(fact)


def _is_open(fact: Fact) -> bool:
    """However a server reads the path."""
    path = fact["path"].partition("?")[0]
    decoded = unquote(unquote(path)).replace("\\", "/")
    without_parameters = "/".join(segment.partition(";")[0] for segment in decoded.split("/"))
    readings = (path, normpath(decoded), normpath(without_parameters))
    return fact["method"] == "GET" and all(reading.startswith("/open/") for reading in readings)


def _request(fact: Fact) -> str:
    return f"a request, {fact['method']} {fact['path']}, Host {fact['host']}, at {fact['address']} port {fact['port']}"
