"""Brings what the rules mean for each pod to its proxy, and counts who has it in force."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from exitway.cluster.counts import Count
from exitway.cluster.pods import Pod
from exitway.cluster.program import Program
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from exitway.xds.client import Versions, rules_snapshot
from exitway.xds.proxies import Proxies, Standing

_MOST_ERRORS = 10


class Publisher:
    """Joins a program and the proxies that are connected. No method waits, so nobody sees half of a change."""

    def __init__(self, program: Program, discovery: Proxies) -> None:
        self._program, self._discovery = program, discovery
        self._groups: dict[str, set[str]] = {}
        self._rules = rules_snapshot({})
        self._moved = asyncio.Event()
        discovery.moved = self._note

    def follow(self, registry: Registry, touched: Iterable[str], versions: Versions) -> None:
        """New rules. ``touched``: the namespaces whose rules have changed; ``versions``: up to where the rules go now."""
        heard = time.monotonic()
        self._rules = rules_snapshot(versions)
        concerned = self._program.follow(registry, touched, _now())
        self._publish(concerned, heard)
        for node in {node for namespace in concerned for node in self._program.nodes(namespace)}:
            self._discovery.publish(self._rules, _group(node), heard)
        self._discovery.revision = registry.revision
        self._note("")

    def pods(self, put: Iterable[Pod], gone: Iterable[str]) -> None:
        """Pods are there or have changed, or (uids) are gone: what proved to be one of these is heard no more."""
        put, gone = list(put), list(gone)
        self._publish(self._program.put(put, gone, _now()))
        for uid in (*gone, *(pod.uid for pod in put if pod.node)):
            self._discovery.end(uid)
        for node in {pod.node for pod in put if pod.node}:
            self._discovery.publish(self._rules, _group(node))
        self._note("")

    def look(self) -> None:
        """Rules that have expired are withdrawn. Costs next to nothing where none has."""
        self._publish(self._program.due(_now()))

    def node(self, node: str) -> str:
        """The group of a node's agent, which is about to connect."""
        group = _group(node)
        self._discovery.publish(self._rules, group)
        return group

    def count(self, rule: Resource, revision: int) -> Count:
        """See :class:`exitway.cluster.counts.Counts`. Of a rule that is not yet worked out nobody has anything in force."""
        groups = list(self._program.concerned(rule))
        nodes = {node for group in groups for node in group.nodes}
        standing = self._discovery.standing([*(group.id for group in groups), *map(_group, nodes)], revision)
        if self._discovery.revision < revision:
            return Count(max(1, standing.proxies), 0)
        faults = [fault for fault in map(self._program.fault, groups) if fault]
        errors = (*faults, *self._sentences(standing))[:_MOST_ERRORS]
        return Count(standing.proxies, 0 if faults else standing.acknowledged, errors)

    async def moved(self) -> None:
        """Return when a count may be another than it was."""
        await self._moved.wait()
        self._moved.clear()

    def _publish(self, namespaces: Iterable[str], changed: float = 0.0) -> None:
        for namespace in namespaces:
            snapshots = dict(self._program.snapshots(namespace))
            for group, snapshot in snapshots.items():
                self._discovery.publish(snapshot, group, changed)
            for uid, group in self._program.members(namespace):
                self._discovery.move(uid, group)
            for group in self._groups.pop(namespace, set()) - snapshots.keys():
                self._discovery.forget(group)
            if snapshots:
                self._groups[namespace] = set(snapshots)

    def _sentences(self, standing: Standing) -> tuple[str, ...]:
        said = (f"{self._name(peer.id, peer.group)}: {error}" for peer, error in standing.errors)
        return tuple(sorted(said))

    def _name(self, uid: str, group: str) -> str:
        pod = self._program.pods.get(uid)
        return f"pod {pod.namespace}/{pod.name}" if pod else group

    def _note(self, _group: str) -> None:
        self._moved.set()


def _group(node: str) -> str:
    return f"node {node}"


def _now() -> datetime:
    return datetime.now(UTC)
