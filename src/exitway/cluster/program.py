"""Rules and pods in, a snapshot for each group of pods out. Pure but for the certificate files that rules name.

The cost of a change follows the namespaces that it touches: only their groups are worked out again, and of these only what has changed is built
again. Nothing here depends on the order of events or on the replica: equal rules and pods give equal bytes.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from exitway.cluster.pins import Pins
from exitway.cluster.pods import Group, Pod, Pods
from exitway.envoy.api import LISTENER, ROUTE_CONFIGURATION
from exitway.envoy.cluster import verified_by
from exitway.envoy.listener import SIDECAR, Proxy, deciding_sidecar, sidecar_listener
from exitway.envoy.route import Denial, route_configuration
from exitway.envoy.snapshot import Resource, Snapshot
from exitway.names.address import Pinned
from exitway.names.cluster import AUTHORITIES
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.policy.compile import compile_policy, concerns
from exitway.policy.policy import Policy
from exitway.proxy.authorities import Authorities
from exitway.resources.intent import Intent
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource as Rule
from exitway.server.verifiers import Used, Verifiers

_log = logging.getLogger("exitway")


@dataclass(frozen=True)
class _Compiled:
    policy: Policy
    pinned: Pinned
    authorities: Used
    resources: tuple[Resource, ...]
    snapshot: Snapshot
    fault: str = ""


@dataclass
class _Namespace:
    pods: Pods
    verifiers: Verifiers
    compiled: dict[str, _Compiled] = field(default_factory=dict)


class Program:
    """``pods``: all that are captured, by uid. ``audit``: namespaces whose pods are let through where they would be denied."""

    def __init__(self, proxy: Proxy, audit: Container[str] = ()) -> None:
        self._proxy, self._audit = proxy, audit
        self._listener = Resource.of(LISTENER, sidecar_listener(proxy))
        self._registry = Registry()
        self._namespaces: dict[str, _Namespace] = {}
        self._pins = Pins()
        self.pods: dict[str, Pod] = {}

    def follow(self, registry: Registry, touched: Iterable[str], now: datetime) -> set[str]:
        """Take in new rules; ``touched``: the namespaces whose rules have changed. Returns the namespaces that they concern."""
        self._registry = registry
        touched, before = set(touched), self._pins.addresses
        self._pins.follow(registry, touched)
        everyone, repinned = SYSTEM_NAMESPACE in touched, self._pins.addresses is not before
        concerned = {
            name for name in self._namespaces if everyone or name in touched or (repinned and self._is_moved(name))
        }
        for name in concerned:
            self._compile(name, now)
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
            self._compile(name, now)
            if not len(self._namespaces[name].pods):
                del self._namespaces[name]
        return concerned

    def due(self, now: datetime) -> set[str]:
        """The namespaces whose policies have become others by the time, or by a file that a rule names; they are compiled anew."""
        due = {name for name, one in self._namespaces.items() if _expired(one, now) or one.verifiers.changed()}
        for name in due:
            self._compile(name, now)
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
        return self._namespaces.setdefault(name, _Namespace(Pods(name), Verifiers(self._proxy, AUTHORITIES)))

    def _pinned(self, policy: Policy) -> Pinned:
        """The addresses of the names that the policy speaks of for TCP. They may be moved by rules of other namespaces."""
        names = (str(host) for host in policy.tcp_hosts if not host.wildcard)
        return {name: self._pins.addresses.address_of(name) for name in names if self._pins.addresses.is_pinned(name)}

    def _is_moved(self, namespace: str) -> bool:
        return any(self._pinned(one.policy) != one.pinned for one in self._namespaces[namespace].compiled.values())

    def _compile(self, name: str, now: datetime) -> None:
        """Work out the policies of a namespace's groups. Groups that the same intents concern share one."""
        namespace = self._namespaces[name]
        intents = tuple(intent.proxied for intent in self._registry.intents_for(name))
        namespace.pods.ask(intents)
        shared: dict[tuple[int, ...], _Compiled] = {}
        compiled: dict[str, _Compiled] = {}
        for group in namespace.pods.groups.values():
            if group.pods:
                of_it = tuple(intent for intent in intents if concerns(intent, group.workload))
                same = tuple(map(id, of_it))
                before = namespace.compiled.get(group.id)
                shared[same] = shared.get(same) or self._carried_out(namespace, of_it, group, before, now)
                compiled[group.id] = shared[same]
        namespace.compiled = compiled
        namespace.verifiers.clusters(one.authorities for one in compiled.values())  # it forgets what is not in use

    def _carried_out(
        self, namespace: _Namespace, intents: Iterable[Intent], group: Group, before: _Compiled | None, now: datetime
    ) -> _Compiled:
        """What we fail to work out, which is a fault of ours, denies everything to its own pods, and stops nobody else."""
        try:
            return self._built(namespace, intents, group, before, now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is one namespace's
            _log.exception("the rules of %s cannot be carried out", group.workload.namespace)
            built = self._built(namespace, (), group, None, now)
            return replace(
                built, fault=f"Exitway failed to carry out the rules of this pod: {type(error).__name__}: {error}"
            )

    def _built(
        self, namespace: _Namespace, intents: Iterable[Intent], group: Group, before: _Compiled | None, now: datetime
    ) -> _Compiled:
        audit = group.workload.namespace in self._audit
        policy = compile_policy(intents, group.workload, now, audit=audit)
        pinned = self._pinned(policy)
        if (
            before
            and (before.policy, before.pinned) == (policy, pinned)
            and namespace.verifiers.hold(before.authorities)
        ):
            return before
        used: dict[str, Authorities | None] = {}
        denial = Denial(group.workload.namespace, self._proxy.denied_status, self._proxy.name)
        routes = route_configuration(SIDECAR.routes, policy, denial, namespace.verifiers.cluster_for(used))
        listener = self._listener.merged(Resource.of(LISTENER, deciding_sidecar(policy, pinned)))
        verified = {verified_by(one.id) for one in used.values() if one}
        clusters = [one for one in namespace.verifiers.clusters([used]) if one.name in verified]
        resources = _kept(before, [Resource.of(ROUTE_CONFIGURATION, routes), listener, *clusters])
        if before and resources == before.resources:
            return _Compiled(policy, pinned, used, resources, before.snapshot)
        return _Compiled(policy, pinned, used, resources, Snapshot.of(resources))


def _kept(before: _Compiled | None, resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The resources, as they were where they are equal: so it is seen that nothing is to be told."""
    known = {(one.type_url, one.name, one.version): one for one in before.resources} if before else {}
    return tuple(known.get((one.type_url, one.name, one.version), one) for one in resources)


def _expired(namespace: _Namespace, now: datetime) -> bool:
    return any(one.policy.valid_until and one.policy.valid_until <= now for one in namespace.compiled.values())


def sidecar_proxy(resolver: str, mark: int, denied_status: int) -> Proxy:
    """What the listeners of all sidecars share: they log to where the cluster collects logs, and their environment says which pod it is."""
    name = "%ENVIRONMENT(POD_NAME)%"
    identity = f"%ENVIRONMENT(POD_NAMESPACE)%/{name}"
    return Proxy(resolver, mark, "/dev/stdout", denied_status, id=identity, name=name)
