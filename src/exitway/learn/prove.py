"""The proof: what was recorded passes with the rules that were written, and nothing else does.

Three ways, none of which trusts how the rules were made. Each recorded call is replayed. Calls near them are tried. And all that the rules
permit is held against the recording, piece by piece: ``policy.decide`` lets out nothing that is not permitted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import chain

from exitway.explain.scene import Scene
from exitway.explain.target import call_text
from exitway.learn.extent import NOBODY, Extent, outside
from exitway.learn.rule import Learned
from exitway.learn.use import Use
from exitway.names.call import Call, Sort, Verdict
from exitway.names.guard import permitted
from exitway.names.workload import Workload
from exitway.policy.decide import decide
from exitway.policy.policy import Policy
from exitway.resources.intent import Permission, Permissions

SceneOf = Callable[[Workload], Scene]
"""A workload under the rules that were written, and no others."""


MOST_SIMULATED = 2000
"""Calls that are tried on the proxy's configuration, too, about: of more every second, third, ... one. Each takes a millisecond or so."""


@dataclass(frozen=True, slots=True)
class Proof:
    """``replayed``: recorded calls that pass; ``tried``: calls near them that are denied. ``faults``: what could not be proven, in sentences."""

    replayed: int
    tried: int
    faults: tuple[str, ...] = ()


def prove(learned: Sequence[Learned], scene_of: SceneOf, *, hosts_only: bool) -> Proof:
    """Try it all. What is let out beyond the recording because that was asked for is no fault."""
    replayed, tried, faults = 0, 0, list[str]()
    for kind in learned:
        extent, scene = Extent(kind, hosts_only), scene_of(kind.workload)
        inside = [use.call for use in kind.uses]
        beyond = [*(near.call for near in outside(extent)), *_of_others(kind, learned, extent)]
        wrong = [*_wrong(scene, inside, Verdict.ALLOW), *_wrong(scene, beyond, Verdict.DENY)]
        wrong += _misled(scene.policy, kind.uses)
        faults += wrong + [f"more is permitted than was recorded: {what}" for what in _surplus(scene.policy, extent)]
        replayed += len(inside)
        tried += len(beyond)
    return Proof(replayed, tried, tuple(faults))


def _of_others(kind: Learned, learned: Iterable[Learned], extent: Extent) -> Iterator[Call]:
    """What other workloads of the recording have called, and this kind has not."""
    others = chain.from_iterable(other.uses for other in learned if other is not kind)
    yield from (call for call in dict.fromkeys(use.call for use in others) if not extent.holds(call))


def _wrong(scene: Scene, calls: Iterable[Call], expected: Verdict) -> Iterator[str]:
    """The calls that get another verdict, by the policy's meaning or by the proxy's configuration."""
    every = list(calls)
    step = max(1, len(every) // MOST_SIMULATED)
    for number, call in enumerate(every):
        decided = decide(scene.policy, call).verdict
        done = scene.way(scene.located(call)).verdict if number % step == 0 else decided
        if decided is not expected or done is not expected:
            who = f"{scene.workload.namespace} {dict(scene.workload.labels) or ''}".strip()
            how = f"{decided}" if decided is done else f"{decided} by the rules, {done} by the proxy's configuration"
            yield f"{call_text(call)} of {who} gets {how}, not {expected}"


def _misled(policy: Policy, uses: Iterable[Use]) -> Iterator[str]:
    """Where a name led that no name may lead to, and the rules do not say that it may."""
    for use in uses:
        for address in use.addresses:
            if not permitted(ip_address(address), use.call.port, policy.exceptions):
                yield f"{call_text(use.call)} led to {address}, where its name may not lead with these rules"


def _surplus(policy: Policy, extent: Extent) -> Iterator[str]:
    """What is permitted and is not in the extent. A request of each method and path stands for all of them."""
    for host, permissions in policy.hosts.items():
        name = f"x{host.suffix}" if host.wildcard else host.suffix
        yield from _permitted(f"{host}", name, "", permissions, extent)
    for network, permissions in policy.networks.items():
        if network.num_addresses > 1:
            yield str(network)
        yield from _permitted(f"{network}", "", str(network.network_address), permissions, extent)
    for name, port in policy.direct.names:
        yield from _unless(extent, f"{name}:{port}", Call(Sort.TCP, port, asked=name))
    for network, port in policy.direct.networks:
        yield from _unless(
            extent, f"{network}:{port}", Call(Sort.TCP, port, address=str(network.network_address), asked="")
        )


def _permitted(what: str, name: str, address: str, permissions: Permissions, extent: Extent) -> Iterator[str]:
    for (port, sort), said in permissions.items():
        for permission in said:
            for method, path in _requests(permission, sort):
                call = Call(sort, port, name, address, name, method=method, path=path)
                yield from _unless(extent, f"{sort} {what}:{port} {method} {path}", call)


def _requests(permission: Permission, sort: Sort) -> Iterator[tuple[str, str]]:
    """Each method and path that is spoken of; where all are, one that nobody has asked for."""
    if sort is not Sort.HTTP:
        yield "GET", "/"
        return
    for method in permission.methods or (NOBODY.upper(),):
        yield from ((method, path) for path in permission.paths or (f"/{NOBODY}",))


def _unless(extent: Extent, what: str, call: Call) -> Iterator[str]:
    if not extent.holds(call):
        yield what
