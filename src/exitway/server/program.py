"""Rules and workloads in, a snapshot for the proxy out.

Workloads that must have the same policy (namespace, labels, rules of their own) share one route configuration. What did not change is not
built again: a policy equal to the last one keeps its resources.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from exitway.envoy.api import CLUSTER, LISTENER, ROUTE_CONFIGURATION
from exitway.envoy.cluster import published
from exitway.envoy.listener import (
    Captured,
    Proxy,
    capturing_listener,
    deciding,
    deciding_tcp,
    publishing_listener,
    tcp_listener,
)
from exitway.envoy.route import Denial, route_configuration
from exitway.envoy.snapshot import Resource, Snapshot
from exitway.envoy.tracing import collector, keeping
from exitway.names.address import Pinned
from exitway.names.traces import Traces
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.policy import Policy
from exitway.policy.shared import shared
from exitway.proxy.authorities import Authorities
from exitway.resources.intent import Intent, Network
from exitway.resources.registry import Registry
from exitway.server.verifiers import Used, Verifiers


@dataclass(frozen=True, slots=True)
class Publication:
    """A port of the program (``target``, on its loopback) offered at an address and port of the machine."""

    address: str
    port: int
    target: int


@dataclass(frozen=True)
class Member:
    """A running workload, as far as its configuration goes.

    ``intents`` are of the rules that it brought itself, ``ranges`` what it reaches directly.
    """

    id: str
    workload: Workload
    netns: str
    intents: tuple[Intent, ...] = ()
    publications: tuple[Publication, ...] = ()
    ranges: tuple[Network, ...] = ()
    audit: bool = False

    @cached_property
    def policy_class(self) -> str:
        """Equal for workloads whose policies cannot differ; stable while rules change."""
        identity = [
            self.workload.namespace,
            sorted(self.workload.labels.items()),
            [repr(intent) for intent in self.intents],
            self.audit,
            [str(network) for network in self.ranges],
        ]
        return hashlib.blake2b(json.dumps(identity).encode(), digest_size=6).hexdigest()


@dataclass(frozen=True)
class _Compiled:
    policy: Policy
    routes: Resource
    matchers: tuple[Resource, Resource]
    """The parts of the two listeners that all workloads of the class have in common."""
    authorities: Used


class Program:
    """Builds snapshots, and remembers the last one's parts. ``policies``: what is to be in force, by workload id.

    ``direct``: whether anything may go past the proxy. ``authorities``: the directory that files of authorities must be in; empty: any.
    """

    def __init__(self, proxy: Proxy, *, direct: bool = True, authorities: str = "") -> None:
        self._proxy = proxy
        self._direct = direct
        self._verifiers = Verifiers(proxy, authorities)
        self._traces = _traces(proxy.traces) if proxy.traces else []
        self._compiled: dict[str, _Compiled] = {}
        self._built: dict[str, Member] = {}
        self._constant: dict[str, list[Resource]] = {}
        self._listeners: dict[str, dict[Resource, Resource]] = {}
        self._named: dict[str, Resource] = {}
        self._members: list[Member] = []
        self.policies: Mapping[str, Policy] = {}

    def fork(self) -> Program:
        """Another one that knows what this one has built, to be told of other rules."""
        other = copy(self)
        other._constant, other._listeners = {**self._constant}, {**self._listeners}  # noqa: SLF001 - all else is replaced, never changed
        return other

    def compile(self, registry: Registry, members: Iterable[Member], now: datetime) -> None:
        """Work out what the rules mean for the workloads."""
        self._members = list(members)
        self._compiled = self._compile(registry, self._members, now)
        self.policies = {member.id: self._compiled[member.policy_class].policy for member in self._members}

    def snapshot(self, pinned: Mapping[str, Pinned]) -> Snapshot:
        """Everything the proxy should have. ``pinned``: by workload id, the addresses of names that rules for TCP speak of."""
        members = self._members
        for member in members:
            if self._built.get(member.id, member) != member:  # its labels are others now
                del self._constant[member.id], self._listeners[member.id]
        self._built = {member.id: member for member in members}
        self._constant = {member.id: self._constant.get(member.id) or self._build(member) for member in members}
        self._named = {member.id: self._named[member.id] for member in members if member.id in self._named}
        self._listeners = {member.id: self._listening(member, pinned.get(member.id, {})) for member in members}
        resources = [compiled.routes for compiled in self._compiled.values()]
        resources += [listener for listeners in self._listeners.values() for listener in listeners.values()]
        resources += [resource for _, _, *published in self._constant.values() for resource in published]
        resources += self._traces
        resources += self._verifiers.clusters(compiled.authorities for compiled in self._compiled.values())
        return Snapshot.of(resources)

    def policy(self, registry: Registry, member: Member, now: datetime) -> Policy:
        """What the rules mean for one workload."""
        intents: Iterable[Intent] = registry.intents_for(member.workload.namespace) + member.intents
        if not self._direct:
            intents = shared(intents)
        return compile_policy(intents, member.workload, now, member.ranges, audit=member.audit)

    def holds(self, now: datetime) -> bool:
        """Whether the same rules and workloads give the same snapshot still: no rule has expired, and no file that one names has changed."""
        expired = any(policy.valid_until and policy.valid_until <= now for policy in self.policies.values())
        return not expired and not self._verifiers.changed()

    def _compile(self, registry: Registry, members: Iterable[Member], now: datetime) -> dict[str, _Compiled]:
        compiled: dict[str, _Compiled] = {}
        for member in members:
            name = member.policy_class
            if name not in compiled:
                policy = self.policy(registry, member, now)
                compiled[name] = self._routes(name, policy, member.workload.namespace)
        return compiled

    def _routes(self, name: str, policy: Policy, namespace: str) -> _Compiled:
        before = self._compiled.get(name)
        if before is not None and before.policy == policy and self._verifiers.hold(before.authorities):
            return before
        used: dict[str, Authorities | None] = {}
        cluster_for = self._verifiers.cluster_for(used)
        denial = Denial(namespace, self._proxy.denied_status)
        routes = route_configuration(f"http/{name}", policy, denial, cluster_for, self._proxy.traces)
        matchers = Resource.of(LISTENER, deciding(policy)), Resource.of(LISTENER, deciding_tcp(policy, {}))
        if before is not None:
            one, other = (
                old if old.version == new.version else new for old, new in zip(before.matchers, matchers, strict=True)
            )
            matchers = one, other
        return _Compiled(policy, Resource.of(ROUTE_CONFIGURATION, routes), matchers, used)

    def _listening(self, member: Member, pinned: Pinned) -> dict[Resource, Resource]:
        """The listeners, each by the matcher in it."""
        before = self._listeners.get(member.id, {})
        matchers = self._compiled[member.policy_class].matchers
        if pinned:
            matchers = matchers[0], self._naming(member, pinned)
        return {
            matcher: before.get(matcher) or constant.merged(matcher)
            for matcher, constant in zip(matchers, self._constant[member.id][:2], strict=True)
        }

    def _naming(self, member: Member, pinned: Pinned) -> Resource:
        """The matcher of a TCP listener whose workload has names of its own."""
        matcher = Resource.of(LISTENER, deciding_tcp(self._compiled[member.policy_class].policy, pinned))
        before = self._named.get(member.id, matcher)
        self._named[member.id] = before if before.version == matcher.version else matcher
        return self._named[member.id]

    def _build(self, member: Member) -> list[Resource]:
        """What of a workload no rule changes: the two listeners but for their matchers, then what it publishes."""
        captured = Captured(member.id, member.workload, member.netns, f"http/{member.policy_class}")
        listeners = capturing_listener(captured, self._proxy), tcp_listener(captured, self._proxy)
        resources = [Resource.of(LISTENER, listener) for listener in listeners]
        for publication in member.publications:
            name = f"in/{member.id}/{publication.address}:{publication.port}"
            resources.append(Resource.of(CLUSTER, published(name, publication.target, member.netns)))
            resources.append(Resource.of(LISTENER, publishing_listener(name, publication.address, publication.port)))
        return resources


def _traces(traces: Traces) -> list[Resource]:
    return [Resource.of(CLUSTER, collector(traces)), Resource.of(LISTENER, keeping(traces))]
