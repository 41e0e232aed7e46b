"""What pods may reach, worked out when it is asked for. Pure."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from operator import is_

from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy, concerns, labels_asked
from exitway.policy.policy import Policy
from exitway.policy.shared import shared
from exitway.resources.intent import Intent
from exitway.resources.registry import Registry


@dataclass
class _Rules:
    """The intents of a namespace at a revision. ``asked``: the labels that they ask for.

    ``policies``: by the values of these labels; ``shared``: by the intents that select them and are in force.
    """

    revision: int
    said: tuple[Intent, ...]
    asked: tuple[str, ...] = ()
    policies: dict[tuple[str | None, ...], Policy] = field(default_factory=dict)
    shared: dict[tuple[int, ...], Policy] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.asked = tuple(sorted(labels_asked(self.said)))


class Policies:
    """Policies under ``registry``, which may be replaced. Nothing goes past the proxy: what is direct is let out like all else.

    ``audit``: namespaces whose pods are let through where they would be denied.
    """

    def __init__(self, audit: Container[str] = ()) -> None:
        self._audit = audit
        self.registry = Registry()
        self._known: dict[str, _Rules] = {}

    def of(self, namespace: str, labels: Mapping[str, str], now: datetime) -> Policy:
        """The policy of a pod; pods that the same rules select share one."""
        rules = self._rules(namespace)
        of_it = tuple(map(labels.get, rules.asked))
        policy = rules.policies.get(of_it)
        if policy is None or (policy.valid_until and policy.valid_until <= now):
            policy = rules.policies[of_it] = self._compiled(rules, Workload(namespace, "", labels), now)
        return policy

    def _compiled(self, rules: _Rules, workload: Workload, now: datetime) -> Policy:
        in_force = [one for one in rules.said if concerns(one, workload) and not (one.expires and one.expires <= now)]
        same = tuple(map(id, in_force))
        policy = rules.shared.get(same)
        if policy is None:
            policy = rules.shared[same] = compile_policy(
                shared(in_force), workload, now, audit=workload.namespace in self._audit
            )
        return policy

    def _rules(self, namespace: str) -> _Rules:
        known = self._known.get(namespace)
        if known is None or known.revision != self.registry.revision:
            said = self.registry.intents_for(namespace)
            if known is None or len(known.said) != len(said) or not all(map(is_, known.said, said)):
                known = self._known[namespace] = _Rules(self.registry.revision, said)
            known.revision = self.registry.revision
        return known
