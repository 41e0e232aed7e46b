"""The rules that come nearest to a call, and what each of them says otherwise.

Two words say how far a rule is from a call: how many of its terms differ, and how much the destination does. A rule for another destination is near
only where somebody may have mistaken one for the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from exitway.explain.alike import FAR, Differing, address_differs, host_differs
from exitway.explain.scene import Scene
from exitway.names.call import Call, Sort
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.names.request import is_plain, is_upper_case, path_matches
from exitway.names.words import listed
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.resources.intent import Action, Intent, Target

MOST = 3
"""More rules than that help nobody."""
FARTHEST = 6


@dataclass(frozen=True, slots=True)
class Near:
    """A rule: which of its destinations (an index into ``to`` of its intent), and what differs, a sentence for each."""

    rule: Key
    target: int
    differs: tuple[str, ...]
    distance: int = 0


def nearest(scene: Scene, call: Call, because: Key | None = None) -> tuple[Near, ...]:
    """The nearest rules, the nearest first. ``because``: the one that the decision names, which is the nearest of all that are as near."""
    found: dict[Key, Near] = {}
    for intent in scene.intents:
        for near in _of(intent, scene, call):
            if near.rule not in found or near.distance < found[near.rule].distance:
                found[near.rule] = near
    ordered = sorted(found.values(), key=lambda near: (near.distance, near.rule != because, near.rule))
    return tuple(ordered[:MOST])


def target_of(scene: Scene, call: Call, rule: Key) -> int | None:
    """Which of a rule's destinations speaks of the call, with nothing that differs; of two, the first."""
    for intent in scene.intents:
        if intent.key == rule:
            for index, target in enumerate(intent.to):
                if not list(_differences(intent, target, scene, call)):
                    return index
    return None


def _of(intent: Intent, scene: Scene, call: Call) -> Iterator[Near]:
    for index, target in enumerate(intent.to):
        differences = list(_differences(intent, target, scene, call))
        distance = sum(one.distance for one in differences)
        if intent.action is Action.DENY:
            if not differences:
                yield Near(intent.key, index, ("its action is DENY, which wins over any ALLOW",))
        elif distance <= FARTHEST and differences:
            yield Near(intent.key, index, tuple(one.sentence for one in differences), distance)


def _differences(intent: Intent, target: Target, scene: Scene, call: Call) -> Iterator[Differing]:
    """What of a rule does not fit; a destination that nobody would mistake for the call's is infinitely far."""
    destination = _destination(target, call)
    if destination is not None:
        yield destination
        if destination.distance > FARTHEST:
            return
    yield from _concern(intent, scene)
    yield from _port(target, call)
    if call.sort is Sort.HTTP and not target.direct:
        yield from _request(intent, target, call)


def _destination(target: Target, call: Call) -> Differing | None:
    """None: it is the call's own."""
    name = _spoken_of(target, call)
    differing = [host_differs(host, name) for host in target.hosts if name]
    if call.address and not call.asked:
        differing += [address_differs(network, call.address) for network in target.cidrs]
    if not differing:
        return Differing("", FAR)
    return min(differing, key=lambda one: one.distance if one else 0)


def _spoken_of(target: Target, call: Call) -> str:
    """The name that the rule speaks of: for TCP and past the proxy the one that was asked for, else the one that is said."""
    by_tcp = any(port.number == call.port and port.protocol is Protocol.TCP for port in target.ports)
    return call.asked or "" if by_tcp or target.direct or call.sort is Sort.TCP else call.name


def _concern(intent: Intent, scene: Scene) -> Iterator[Differing]:
    workload = scene.workload
    if intent.key.namespace not in (workload.namespace, SYSTEM_NAMESPACE):
        yield Differing(f"it holds in namespace {intent.key.namespace}, not in {workload.namespace}", 2)
    if wrong := _labels(intent, workload):
        yield Differing(f"it is for workloads with {wrong[0]}; this one has {wrong[1]}", 2)
    if intent.expires is not None and intent.expires <= scene.now:
        yield Differing(f"it expired at {intent.expires:%Y-%m-%dT%H:%M:%SZ}", 1)


def _labels(intent: Intent, workload: Workload) -> tuple[str, str] | None:
    """What it selects by that the workload has not, and what it has instead."""
    missing = [(key, value) for key, value in intent.selector.match_labels if workload.labels.get(key) != value]
    if not missing:
        return None
    has = [f"{key}={workload.labels[key]}" for key, _ in missing if key in workload.labels]
    lacks = [f"no {key}" for key, _ in missing if key not in workload.labels]
    return listed(f"{key}={value}" for key, value in missing), listed(has + lacks)


def _port(target: Target, call: Call) -> Iterator[Differing]:
    there = [port for port in target.ports if port.number == call.port]
    if target.direct and there:
        return
    if not there:
        ports = [_port_text(port, call) for port in target.ports]
        word = "port {} is" if len(ports) == 1 else "ports {} are"
        yield Differing(f"{word.format(listed(ports))} allowed, you asked for {call.port}", 1)
    elif not any(port.sort in (call.sort, Sort.TCP) for port in there):
        yield Differing(f"port {there[0].number} is allowed for {_how(there[0])}, you speak {call.sort.upper()}", 1)


def _port_text(port: Port, call: Call) -> str:
    """The number, and what is spoken there if that is something else."""
    return str(port.number) if port.sort in (call.sort, Sort.TCP) else f"{port.number} (for {_how(port)})"


def _how(port: Port) -> str:
    """The protocol, and how a program speaks it."""
    if port.originate_tls:
        return f"{port.protocol}, to which the proxy adds TLS: http://...:{port.number}/"
    return {Protocol.TLS: "TLS: https://", Protocol.TCP: "TCP"}.get(port.protocol, f"{port.protocol}: http://")


def _request(intent: Intent, target: Target, call: Call) -> Iterator[Differing]:
    if target.methods:
        if call.method not in target.methods:
            yield Differing(f"{_allowed(target.methods)}, you asked with {call.method}", 1)
        elif intent.action is Action.ALLOW and (call.overridden or not is_upper_case(call.method)):
            yield Differing("a header asks for another method", 1)
    path = call.path.partition("?")[0]
    if target.paths:
        if not is_plain(path):
            yield Differing(f"it speaks of paths, and not every server reads {path} alike", 1)
        elif not any(path_matches(pattern, path) for pattern in target.paths):
            yield Differing(f"{_allowed(target.paths)}, you asked for {path}", 1)


def _allowed(words: tuple[str, ...]) -> str:
    return f"{listed(words)} {'is' if len(words) == 1 else 'are'} allowed"
