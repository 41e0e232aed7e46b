"""What a call is tried in: the rules that there are, the workload that makes it, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from exitway.envoy.cluster import NOWHERE
from exitway.envoy.simulate import Path
from exitway.names.call import Call, Verdict
from exitway.names.workload import Workload
from exitway.policy.policy import Policy
from exitway.resources.intent import Intent
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource


@dataclass(frozen=True, slots=True)
class Way:
    """Which way a call takes: through a listener of the proxy, or (no listener) past it."""

    listener: str = ""
    path: Path = Path("")  # noqa: RUF009 - frozen

    @property
    def verdict(self) -> Verdict:
        """What becomes of it there."""
        return self.path.verdict if self.listener else Verdict.ALLOW

    @property
    def nowhere(self) -> bool:
        """Whether the request is allowed, and there is nobody to vouch for the server: its authorities could not be read."""
        return self.path.cluster == NOWHERE and bool(self.path.virtual_host) and not self.path.answer


class Scene(Protocol):
    """One workload, under all rules that hold for it. ``server/trial.py`` builds it with what serves."""

    @property
    def workload(self) -> Workload:
        """Who calls."""

    @property
    def now(self) -> datetime:
        """When."""

    @property
    def registry(self) -> Registry:
        """All rules, also those for others and those that have expired."""

    @property
    def intents(self) -> Sequence[Intent]:
        """What they say, and what the rules say that the workload brought itself."""

    @property
    def audit(self) -> bool:
        """Whether what is denied is only recorded, and let through."""

    @property
    def policy(self) -> Policy:
        """What they mean for this workload."""

    def located(self, call: Call) -> Call:
        """The call with the address that the workload dials: where a name was asked for, the name's own."""

    def way(self, call: Call) -> Way:
        """Which way a located call takes."""

    def with_rule(self, rule: Resource) -> Scene:
        """The same with one more rule, or with another one in its place."""
