"""One of the two sets of rules that are compared, and what it makes of calls."""

from __future__ import annotations

from datetime import datetime

from exitway.explain.differences.difference import Change, Seen
from exitway.names.call import Call
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide, let_out_by
from exitway.policy.policy import Policy
from exitway.policy.shared import shared
from exitway.resources.intent import Intent
from exitway.resources.registry import Registry


class Side:
    """Remembers what it has worked out. ``direct``: whether anything may go past the proxy."""

    def __init__(self, registry: Registry, *, direct: bool = True) -> None:
        self._registry = registry
        self._direct = direct
        self._policies: dict[tuple[str, tuple[tuple[str, str], ...], datetime], Policy] = {}

    def seen(self, workload: Workload, at: datetime, call: Call) -> Seen:
        """What becomes of a call of this workload, then."""
        policy = self._policy(workload, at)
        decision = decide(policy, call)
        if not decision.allowed:
            return Seen(decision, "")
        permission = let_out_by(policy, call)
        if permission is None:
            return Seen(decision, "direct")
        if not permission.port.originate_tls:
            return Seen(decision, "through the proxy")
        authorities = f", verified by {permission.port.ca_file}" if permission.port.ca_file else ""
        return Seen(decision, f"over TLS by the proxy{authorities}")

    def intents(self, namespace: str) -> tuple[Intent, ...]:
        """What holds for the workloads of a namespace."""
        intents = self._registry.intents_for(namespace)
        return intents if self._direct else shared(intents)

    def _policy(self, workload: Workload, at: datetime) -> Policy:
        key = workload.namespace, tuple(sorted(workload.labels.items())), at
        if key not in self._policies:
            self._policies[key] = compile_policy(self.intents(workload.namespace), workload, at)
        return self._policies[key]


def change(before: Seen, after: Seen) -> Change | None:
    """What becomes of a call of which the two sides make this; None: nothing."""
    if before.decision.allowed != after.decision.allowed:
        return Change.OPENS if after.decision.allowed else Change.CLOSES
    return Change.DIFFERS if before.way != after.way else None
