"""Rules and pods in, a snapshot for each group of pods out. Pure but for the certificate files that rules name.

The cost of a change follows the namespaces that it touches: only their groups are worked out again, and of these only what has changed is built
again. Nothing here depends on the order of events or on the replica: equal rules and pods give equal bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from exitway.cluster.compiler import Compiled, Compiler, Selection
from exitway.cluster.pins import Pins
from exitway.cluster.pods import Group, Pod, Pods
from exitway.envoy.listener import Proxy
from exitway.envoy.snapshot import Snapshot
from exitway.names.cluster import Placement
from exitway.names.traces import Traces
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.policy.compile import concerns, labels_asked
from exitway.resources.intent import Intent
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource as Rule


@dataclass
class _Namespace:
    pods: Pods
    compiled: dict[str, Compiled] = field(default_factory=dict)


class Program:
    """``pods``: all that are captured, by uid. ``audit``: namespaces whose pods are let through where they would be denied."""

    def __init__(self, proxy: Proxy, audit: Container[str] = ()) -> None:
        self._audit = audit
        self._registry = Registry()
        self._namespaces: dict[str, _Namespace] = {}
        self._pins = Pins()
        self._compiler = Compiler(proxy, self._pins)
        self.pods: dict[str, Pod] = {}

    def follow(self, registry: Registry, touched: Iterable[str], now: datetime) -> set[str]:
        """Take in new rules; ``touched``: the namespaces whose rules have changed. Returns the namespaces that they concern."""
        self._registry = registry
        touched, before = set(touched), self._pins.addresses
        self._pins.follow(registry, touched)
        everyone, repinned = SYSTEM_NAMESPACE in touched, self._pins.addresses is not before
        concerned = {
            name for name in self._namespaces if everyone or name in touched or (repinned and self._is_moved(name, now))
        }
        self._compile(concerned, now)
        return concerned

    def put(self, pods: Iterable[Pod], gone: Iterable[str], now: datetime) -> set[str]:
        """Pods are there or have changed, or (uids) are gone. Returns the namespaces that they concern."""
        concerned: set[str] = set()
        for uid in gone:
            if pod := self.pods.pop(uid, None):
                self._namespaces[pod.namespace].pods.remove(uid)
                concerned.add(pod.namespace)
        for pod in pods:
            self.pods[pod.uid] = pod
            self._in(pod.namespace).pods.put(pod)
            concerned.add(pod.namespace)
        for name in concerned:
            if not len(self._namespaces[name].pods):
                del self._namespaces[name]
        self._compile(concerned & self._namespaces.keys(), now)
        return concerned

    def due(self, now: datetime) -> set[str]:
        """The namespaces whose policies have become others by the time, or by a file that a rule names; they are compiled anew."""
        files = self._compiler.files_changed
        due = {name for name, one in self._namespaces.items() if _is_due(one, now, files=files)}
        self._compile(due, now)
        return due

    def snapshots(self, namespace: str) -> Iterator[tuple[str, Snapshot]]:
        """The groups of a namespace that have proxies of their own, and what these should have."""
        known = self._namespaces.get(namespace)
        return iter([(name, one.snapshot) for name, one in known.compiled.items()] if known else [])

    def members(self, namespace: str) -> Iterator[tuple[str, str]]:
        """The pods of a namespace that have proxies of their own (uids), each with its group."""
        known = self._namespaces.get(namespace)
        groups = known.pods.groups.values() if known else ()
        return ((uid, group.id) for group in groups for uid in group.pods)

    def group_of(self, uid: str) -> str | None:
        """The group of a pod that is there and has a proxy of its own."""
        pod = self.pods.get(uid)
        return self._namespaces[pod.namespace].pods.group_of(uid) if pod and not pod.node else None

    def counts(self) -> Counter[tuple[str, str]]:
        """How many pods there are, by placement and mode (``enforce``, ``audit``)."""
        modes = {True: "audit", False: "enforce"}
        return Counter(
            (Placement.NODE if pod.node else Placement.SIDECAR, modes[pod.namespace in self._audit])
            for pod in self.pods.values()
        )

    def concerned(self, rule: Rule) -> Iterator[Group]:
        """The groups that a rule speaks of."""
        names = self._namespaces if rule.key.namespace == SYSTEM_NAMESPACE else [rule.key.namespace]
        selectors = {intent.selector for intent in rule.intents}
        for name in names:
            if name in self._namespaces:
                yield from self._namespaces[name].pods.selected(selectors)

    def fault(self, group: Group) -> str:
        """Why the rules of a group are not in force; empty: they are."""
        compiled = self._namespaces[group.workload.namespace].compiled.get(group.id)
        return compiled.fault if compiled else ""

    def nodes(self, namespace: str) -> set[str]:
        """The nodes that have pods of the namespace, with no proxy of their own."""
        known = self._namespaces.get(namespace)
        return {node for group in known.pods.groups.values() for node in group.nodes} if known else set()

    def _in(self, name: str) -> _Namespace:
        return self._namespaces.setdefault(name, _Namespace(Pods(name)))

    def _is_moved(self, namespace: str, now: datetime) -> bool:
        return not all(self._compiler.holds(one, now) for one in self._namespaces[namespace].compiled.values())

    def _compile(self, names: Iterable[str], now: datetime) -> None:
        """Work out the policies of the groups of some namespaces."""
        choice = _Choice()
        for name in names:
            namespace, intents = self._namespaces[name], self._registry.intents_for(name)
            namespace.pods.ask(choice.labels(intents))
            namespace.compiled = {
                group.id: self._compiler.compiled(
                    choice.of(group, intents, audit=name in self._audit),
                    group.workload,
                    namespace.compiled.get(group.id),
                    now,
                )
                for group in namespace.pods.groups.values()
                if group.pods
            }
        self._compiler.keep(one for namespace in self._namespaces.values() for one in namespace.compiled.values())


class _Choice:
    """Which intents concern whom, worked out once for namespaces without rules of their own: these have the same tuple, that of the system's."""

    def __init__(self) -> None:
        self._labels: dict[int, tuple[tuple[Intent, ...], frozenset[str]]] = {}  # holds what it knows by id
        self._selections: dict[object, Selection] = {}

    def labels(self, intents: tuple[Intent, ...]) -> frozenset[str]:
        """The labels that intents speak of."""
        if id(intents) not in self._labels:
            self._labels[id(intents)] = intents, labels_asked(intents)
        return self._labels[id(intents)][1]

    def of(self, group: Group, intents: tuple[Intent, ...], *, audit: bool) -> Selection:
        """Those of the intents that concern a group."""
        key = id(intents), tuple(sorted(group.workload.labels.items())), audit
        if key not in self._selections:
            of_it = tuple(intent for intent in intents if concerns(intent, group.workload))
            self._selections[key] = Selection(of_it, audit)
        return self._selections[key]


def _is_due(namespace: _Namespace, now: datetime, *, files: bool) -> bool:
    return any(
        (one.policy.valid_until and one.policy.valid_until <= now) or (files and one.authorities)
        for one in namespace.compiled.values()
    )


def sidecar_proxy(resolver: str, mark: int, denied_status: int, traces: Traces | None = None) -> Proxy:
    """What the listeners of all sidecars share: they log to where the cluster collects logs, and their environment says which pod it is."""
    name = "%ENVIRONMENT(POD_NAME)%"
    identity = f"%ENVIRONMENT(POD_NAMESPACE)%/{name}"
    return Proxy(resolver, mark, "/dev/stdout", denied_status, id=identity, name=name, traces=traces)
