"""Intents to what a proxy is told: once for all pods that the same intents concern, in whatever namespaces. Pure but for certificate files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from exitway.cluster.pins import Pins
from exitway.envoy.api import CLUSTER, LISTENER, ROUTE_CONFIGURATION
from exitway.envoy.cluster import verified_by
from exitway.envoy.listener import SIDECAR, Proxy, deciding_sidecar, sidecar_listener
from exitway.envoy.route import Denial, route_configuration
from exitway.envoy.snapshot import Resource, Snapshot
from exitway.envoy.tracing import collector
from exitway.names.address import Pinned
from exitway.names.cluster import AUTHORITIES
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.policy import Policy
from exitway.policy.shared import shared
from exitway.proxy.authorities import Authorities
from exitway.resources.intent import Intent
from exitway.server.verifiers import Used, Verifiers

_log = logging.getLogger("exitway")


@dataclass(frozen=True, eq=False)
class Selection:
    """The intents that concern some pods. ``audit``: whether those are under audit."""

    intents: Sequence[Intent]
    audit: bool

    @cached_property
    def key(self) -> tuple[int, ...]:
        """Equal for the same intents: they are known by what they are, not by what they say."""
        return (*map(id, self.intents), self.audit)


@dataclass(frozen=True, eq=False)
class Compiled:
    """What that means for them. ``fault``: why it is not in force; empty: it is."""

    selection: Selection
    policy: Policy
    pinned: Pinned
    authorities: Used
    resources: tuple[Resource, ...]
    snapshot: Snapshot
    fault: str = ""


class Compiler:
    """Remembers what is in use. ``pins``: the addresses of names."""

    def __init__(self, proxy: Proxy, pins: Pins) -> None:
        self._proxy, self._pins = proxy, pins
        self._listener = Resource.of(LISTENER, sidecar_listener(proxy))
        self._collector = [Resource.of(CLUSTER, collector(proxy.traces))] if proxy.traces else []
        self._verifiers = Verifiers(proxy, AUTHORITIES)
        self._known: dict[tuple[int, ...], Compiled] = {}

    def compiled(self, selection: Selection, workload: Workload, before: Compiled | None, now: datetime) -> Compiled:
        """What this means for the workload. ``before``: what was built for it; of that is kept what has not changed."""
        known = self._known.get(selection.key)
        if known is None or not self.holds(known, now):
            known = self._known[selection.key] = self._carried_out(selection, workload, before, now)
        return known

    def holds(self, compiled: Compiled, now: datetime) -> bool:
        """Whether the same would come of it now: no rule has expired, no address has moved, and no file that a rule names has changed."""
        ends = compiled.policy.valid_until
        return (
            not (ends and ends <= now)
            and self._pinned(compiled.policy) == compiled.pinned
            and self._verifiers.hold(compiled.authorities)
        )

    def keep(self, used: Iterable[Compiled]) -> None:
        """Forget everything else."""
        self._known = {one.selection.key: one for one in used}
        self._verifiers.clusters(one.authorities for one in self._known.values())

    @property
    def files_changed(self) -> bool:
        """Whether a file that a rule names has been touched."""
        return self._verifiers.changed()

    def _carried_out(
        self, selection: Selection, workload: Workload, before: Compiled | None, now: datetime
    ) -> Compiled:
        """What we fail to work out, which is a fault of ours, denies everything to the pods that it is for, and stops nobody else."""
        try:
            policy = compile_policy(shared(selection.intents), workload, now, audit=selection.audit)
            return self._built(selection, policy, before)
        except Exception as error:  # noqa: BLE001 - whatever it is
            _log.exception("the rules of %s cannot be carried out", workload.namespace)
            why = f"Exitway failed to carry out the rules of this pod: {type(error).__name__}: {error}"
            return replace(self._built(selection, Policy(), None), fault=why)

    def _built(self, selection: Selection, policy: Policy, before: Compiled | None) -> Compiled:
        pinned = self._pinned(policy)
        if before and (before.policy, before.pinned) == (policy, pinned) and self._verifiers.hold(before.authorities):
            return replace(before, selection=selection, fault="")
        used: dict[str, Authorities | None] = {}
        cluster_for, traces = self._verifiers.cluster_for(used), self._proxy.traces
        routes = route_configuration(SIDECAR.routes, policy, self._denial, cluster_for, traces)
        listener = self._listener.merged(Resource.of(LISTENER, deciding_sidecar(policy, pinned)))
        clusters = self._clusters(used) if used else ()
        resources = _kept(before, [Resource.of(ROUTE_CONFIGURATION, routes), listener, *clusters, *self._collector])
        same = before and resources == before.resources
        snapshot = before.snapshot if before and same else Snapshot.of(resources)
        return Compiled(selection, policy, pinned, used, resources, snapshot)

    @property
    def _denial(self) -> Denial:
        return Denial("%ENVIRONMENT(POD_NAMESPACE)%", self._proxy.denied_status, self._proxy.name)

    def _clusters(self, used: Used) -> list[Resource]:
        verified = {verified_by(one.id) for one in used.values() if one}
        others = (one.authorities for one in self._known.values())
        return [one for one in self._verifiers.clusters([*others, used]) if one.name in verified]

    def _pinned(self, policy: Policy) -> Pinned:
        """The addresses of the names that the policy speaks of for TCP. They may be moved by rules of other namespaces."""
        names = (str(host) for host in policy.tcp_hosts if not host.wildcard)
        return {name: self._pins.addresses.address_of(name) for name in names if self._pins.addresses.is_pinned(name)}


def _kept(before: Compiled | None, resources: Iterable[Resource]) -> tuple[Resource, ...]:
    """The resources, as they were where they are equal: so it is seen that nothing is to be told."""
    known = {(one.type_url, one.name, one.version): one for one in before.resources} if before else {}
    return tuple(known.get((one.type_url, one.name, one.version), one) for one in resources)
