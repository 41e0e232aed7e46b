"""Where the proxy spoke TLS for a program. No flow says so; the rules do that let it out, or that would.

Learned as clear text, what went out over TLS would carry its secrets where everybody can read them. So what nobody knows is not learned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import cache, cached_property

from exitway.flows.flow import Flow
from exitway.learn.seen import Seen
from exitway.learn.use import UNKNOWN, Labels, Unknown
from exitway.names.call import Sort, Verdict
from exitway.names.key import Key
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import by_name
from exitway.policy.policy import Policy
from exitway.resources.intent import Permission
from exitway.resources.registry import Registry

CLEAR_TEXT_PORT = 80
"""The port of ``http://`` (https://www.rfc-editor.org/rfc/rfc9110#section-4.2.1). Had the proxy spoken TLS there, hardly a server had answered."""


class Origination:
    """What the rules in force say of it. They are asked for when the first flow needs them."""

    def __init__(self, in_force: Callable[[], Registry], now: datetime) -> None:
        self._ask = in_force
        self._now = now
        self._policy = cache(self._compiled)

    def of(self, flow: Flow) -> str | Unknown | None:
        """The file of authorities that vouched for the server (empty: those of the system); None: the proxy spoke no TLS for it.

        The rule that let it out may be gone, may say something else by now, or may not be known. Then it is as those in force say of this name and
        port, which all say the same (``resources/conflicts.py``).
        """
        if not flow.decision.allowed or flow.decision.direct or not flow.protocol.startswith("HTTP"):
            return None
        ports = [one.port for one in self._of_rule(flow) or self._in_force_for(flow)]
        if not ports:
            answered = bool(flow.upstream) and not Seen.of(flow).failures
            return None if flow.port == CLEAR_TEXT_PORT and answered else UNKNOWN
        return max((port.ca_file for port in ports if port.originate_tls), default=None)

    def _of_rule(self, flow: Flow) -> list[Permission]:
        """By the rule that it was let out by."""
        return list(self._said(flow, flow.decision.because)) if flow.decision.because else []

    def _said(self, flow: Flow, key: Key) -> Iterator[Permission]:
        """A key without a group, as flows of a cluster have it, is that of the rules of each group."""
        rules = (rule for rule in self._registry.resources_in(key.namespace) if str(rule.key) == str(key))
        for intent in (intent for rule in rules if key.group in ("", rule.key.group) for intent in rule.intents):
            for target, permissions in intent.permissions:
                if not target.direct and any(host.matches(flow.name) for host in target.hosts):
                    yield from _allowing(permissions.get((flow.port, Sort.HTTP), ()))

    def _in_force_for(self, flow: Flow) -> list[Permission]:
        """By all that hold for such a workload."""
        policy = self._policy(flow.namespace, tuple(sorted(flow.labels.items())))
        return list(_allowing(by_name(policy, flow.name).get((flow.port, Sort.HTTP), ())))

    @cached_property
    def _registry(self) -> Registry:
        return self._ask()

    def _compiled(self, namespace: str, labels: Labels) -> Policy:
        workload = Workload(namespace, "learned", dict(labels))
        return compile_policy(self._registry.intents_for(namespace), workload, self._now)


def _allowing(said: tuple[Permission, ...]) -> Iterator[Permission]:
    return (one for one in said if one.verdict is Verdict.ALLOW)
