"""Calls and workloads that stand for all others, as far as some rules can tell them apart.

Two calls that the same patterns, networks, methods and paths match get the same verdict, so one of each sort is enough. A name is made up that
only the patterns match which it shall stand for; so are addresses, methods and paths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from exitway.names.address import SYNTHETIC
from exitway.names.call import Call, Sort
from exitway.names.example import method_beside, name_in, path_in
from exitway.names.host import Host, patterns
from exitway.names.port import Port
from exitway.names.ranges import without
from exitway.names.request import decoded, path_matches
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.resources.intent import Action, Intent, Network, Target

_DOUBTFUL_METHOD = "other"
_NOT_PLAIN = "//"


def workloads(intent: Intent, others: Sequence[Intent]) -> Iterator[Workload]:
    """Those that decide whether the intent matters: one that nobody else speaks of as far as can be, and one for each of the others.

    More labels bring only more rules, and one ALLOW beside it is all that an intent needs to matter.
    """
    seen = set[tuple[str, tuple[tuple[str, str], ...]]]()
    for one in (intent, *others):
        labels = dict(intent.selector.match_labels) | dict(one.selector.match_labels)
        places = {intent.key.namespace, one.key.namespace} - {SYSTEM_NAMESPACE}
        namespace = places.pop() if places else SYSTEM_NAMESPACE
        identity = namespace, tuple(sorted(labels.items()))
        if identity not in seen:
            seen.add(identity)
            yield Workload(namespace, "any", labels)


def calls(intent: Intent, others: Sequence[Intent]) -> Iterator[Call]:
    """One of each sort among those that the intent could have a say in."""
    everyone = (intent, *others)
    known = _by_host(everyone)
    networks = {network for one in everyone for target in one.to for network in target.cidrs}
    for target in intent.to:
        for port in target.ports:
            whole = _is_whole(intent, target, port, others)
            requests = _requests(intent, port, others)
            for name in _names(target.hosts, known):
                if whole or port.sort is not Sort.HTTP:
                    yield from _connections(port, name, whole=whole)
                if whole or port.sort is Sort.HTTP:
                    speaking = _speaking(known, name, port.number)
                    own = [] if whole else _speaking(_by_host([intent]), name, port.number)
                    yield from _of_requests(name, port.number, speaking, _paths_of_effect(own), whole=whole)
                yield from (replace(one, asked=name) for one in requests)
            for address in _addresses(target.cidrs, networks):
                yield from (Call(sort, port.number, address=address, asked="") for sort in Sort)
                yield from (replace(one, address=address, asked="") for one in requests)


def _is_whole(intent: Intent, target: Target, port: Port, others: Sequence[Intent]) -> bool:
    """Whether the intent has a say in all that goes to a name at the port: rules for TCP do, what is direct, and a DENY that ends direct there."""
    ends_direct = intent.action is Action.DENY and any(to.direct for other in others for to in other.to)
    return port.sort is Sort.TCP or target.direct or ends_direct


def _connections(port: Port, name: str, *, whole: bool) -> Iterator[Call]:
    """``asked`` is the name, or is not considered: rules for TCP look at nothing else."""
    for sort in (Sort.TLS, Sort.TCP) if whole else (port.sort,):
        yield from (Call(sort, port.number, name=name, asked=asked) for asked in ((None, name) if whole else (None,)))


def _of_requests(
    name: str, port: int, speaking: Sequence[Target], of_effect: Collection[str], *, whole: bool
) -> Iterator[Call]:
    """``asked`` is nothing: a program may dial any address and name the host in the request. What is direct has no say in that."""
    named = {method for target in speaking for method in target.methods}
    methods = (method_beside(named), _DOUBTFUL_METHOD, *sorted(named))
    for path in _paths({path for target in speaking for path in target.paths}, of_effect):
        for method in methods:
            for asked in ("", None, name) if whole else ("",):
                yield Call(Sort.HTTP, port, name=name, asked=asked, method=method, path=path)


def _paths_of_effect(own: Sequence[Target]) -> set[str]:
    """Patterns that match all plain paths with which these may have a say. Where methods are named, doubt about one is denied at any path."""
    some = own and all(target.paths and not target.methods for target in own)
    return {path for target in own for path in target.paths} if some else {"/*"}


def _requests(intent: Intent, port: Port, others: Sequence[Intent]) -> list[Call]:
    """Where a DENY of connections stops requests that others allow, whatever their names."""
    return _allowed_requests(others, port.number) if intent.action is Action.DENY and port.sort is Sort.TCP else []


def _by_host(everyone: Iterable[Intent]) -> Mapping[Host, Sequence[Target]]:
    known: dict[Host, list[Target]] = defaultdict(list)
    for target in (target for one in everyone for target in one.to):
        for host in target.hosts:
            known[host].append(target)
    return known


def _speaking(known: Mapping[Host, Sequence[Target]], name: str, port: int) -> list[Target]:
    there = (target for host in patterns(name) for target in known.get(host, ()))
    return [target for target in there if any(at.number == port for at in target.ports)]


def _allowed_requests(others: Sequence[Intent], port: int) -> list[Call]:
    """One for each name, and what is said of it, to which one of the others allows requests at the port."""
    known = _by_host(others)
    return [
        replace(_first_request(target), port=port, name=name, asked=name)
        for one in others
        if one.action is Action.ALLOW
        for target in one.to
        if any(at.number == port and at.protocol.is_http for at in target.ports)
        for name in (name_in(host, known) for host in target.hosts)
    ]


def _first_request(target: Target) -> Call:
    path = path_in(target.paths[0], ()) if target.paths else "/"
    return Call(Sort.HTTP, 0, method=next(iter(target.methods), "GET"), path=path)


def _names(own: Iterable[Host], known: Collection[Host]) -> Iterator[str]:
    """For each pattern, and each narrower one that is known, a name of which it is the narrowest."""
    for host in dict.fromkeys(own):
        narrower = (one for one in known if one != host and host.covers(one)) if host.wildcard else ()
        within = [host, *sorted(narrower)]
        for one in within:
            yield name_in(one, known)


def _addresses(own: Iterable[Network], known: set[Network]) -> Iterator[str]:
    """The same for networks; nothing for one that narrower ones fill."""
    for network in dict.fromkeys(own):
        within = [network, *sorted(one for one in known if one != network and _holds(network, one))]
        for one in within:
            rest = without(one, [*(other for other in within if other != one and _holds(one, other)), *SYNTHETIC])
            if rest:
                yield str(rest[0].network_address)


def _holds(wider: Network, network: Network) -> bool:
    return wider.version == network.version and network.subnet_of(wider)  # type: ignore[arg-type]


def _paths(patterns: set[str], within: Collection[str]) -> Iterator[str]:
    """For each set of the patterns that a path ``within`` can match at once, such a path; and one that no server reads alike."""
    yield _NOT_PLAIN
    known = {decoded(pattern) for pattern in ("/*", *patterns)}
    for path in (path_in(pattern, known) for pattern in sorted(known)):
        if any(path_matches(one, path) for one in within):
            yield path
