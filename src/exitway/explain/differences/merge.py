"""Differences in few words: what is within a wider one is not said again, and what holds in several namespaces is said once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from exitway.explain.differences.difference import Change, Difference
from exitway.explain.differences.find import Finder
from exitway.explain.differences.parts import wider_hosts, wider_networks
from exitway.explain.differences.port import Port
from exitway.explain.differences.side import Side
from exitway.names.host import Host
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.intent import Network
from exitway.resources.registry import Registry

_ANY_NAMESPACE = ("default", "any", "other")


def differences(
    before: Registry, after: Registry, now: datetime, namespace: str | None = None, *, direct: bool = True
) -> list[Difference]:
    """All differences in meaning, from now on. ``namespace``: only for its workloads; ``direct``: whether anything may go past the proxy.

    Raises:
        TooManyClasses: the selectors of some destination tell apart more workloads than can be compared.
    """
    named = sorted({SYSTEM_NAMESPACE, *before.namespaces, *after.namespaces} - {SYSTEM_NAMESPACE})
    other = next(
        one for number in range(len(named) + 1) for one in (*_ANY_NAMESPACE, f"other-{number}") if one not in named
    )
    sides = Side(before, direct=direct), Side(after, direct=direct)
    found: list[Difference] = []
    for one in [namespace] if namespace else [*named, other]:
        for port, parts in Finder(*sides, one, now).found():
            found += _without_narrower(parts, port)
    return sorted(found if namespace else _without_namespaces(found, named, other), key=_order)


def _without_narrower(found: Iterable[Difference], port: Port) -> Iterator[Difference]:
    """What is said of a pattern or network is said of those within it, too, but for those that are excepted."""
    alike: dict[tuple[object, ...], dict[Host | Network, Difference]] = {}
    for one in found:
        of = replace(one.destination, to=_ANYTHING)
        key = isinstance(one.destination.to, Host), one.change, one.who, of, one.before, one.after
        alike.setdefault(key, {}).setdefault(one.destination.to, one)
    families = {True: _family(port.hosts, wider_hosts), False: _family(port.networks, wider_networks)}
    for (is_host, *_), group in alike.items():
        parents, children = families[bool(is_host)]
        for to, one in group.items():
            if parents[to] not in group:
                excepted = tuple(sorted(_excepted(to, group, children), key=str))
                yield replace(one, destination=replace(one.destination, but=excepted))


_Of = TypeVar("_Of", Host, Network)


def _family(known: Collection[_Of], wider: Callable[[_Of], Iterator[_Of]]) -> _Family:
    """Of each the next wider one that is known, and the next narrower ones."""
    parents: dict[Host | Network, Host | Network | None] = {}
    children: dict[Host | Network, list[Host | Network]] = {}
    for one in known:
        parents[one] = parent = next((other for other in wider(one) if other != one and other in known), None)
        if parent is not None:
            children.setdefault(parent, []).append(one)
    return parents, children


_Family = tuple[dict[Host | Network, Host | Network | None], dict[Host | Network, list[Host | Network]]]


def _excepted(
    to: Host | Network, group: Collection[Host | Network], children: Mapping[Host | Network, Sequence[Host | Network]]
) -> Iterator[Host | Network]:
    """The widest within it that are not in the group."""
    for one in children.get(to, ()):
        if one in group:
            yield from _excepted(one, group, children)
        else:
            yield one


def _without_namespaces(found: Iterable[Difference], named: Collection[str], other: str) -> Iterator[Difference]:
    """The same in several namespaces is one difference. What is so in the one that has no rules is so in all without."""
    alike: dict[tuple[object, ...], dict[str, Difference]] = {}
    for one in found:
        key = one.change, replace(one.who, namespaces=()), one.destination, one.before, one.after
        alike.setdefault(key, {})[one.who.namespaces[0]] = one
    for group in alike.values():
        one = next(iter(group.values()))
        others = other in group
        namespaces = tuple(name for name in named if (name in group) != others)
        yield replace(one, who=replace(one.who, namespaces=namespaces, others=others))


def _order(one: Difference) -> tuple[object, ...]:
    to = one.destination
    who = not one.who.others, one.who.namespaces, tuple(map(str, one.who.labels))
    return (
        list(Change).index(one.change),
        who,
        isinstance(to.to, Host),
        str(to.to),
        to.port,
        to.sort,
        str(to),
        str(one.who),
    )


_ANYTHING = Host("", wildcard=True)
