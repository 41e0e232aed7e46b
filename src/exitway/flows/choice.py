"""Which flows are meant. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase

from exitway.flows.flow import Flow


@dataclass(frozen=True, slots=True)
class Choice:
    """As :meth:`exitway.flows.history.History.select` has it, and the options of ``exitway flows``."""

    namespace: str | None = None
    workload: str | None = None
    verdict: str | None = None
    host: str | None = None
    since: str | None = None

    def options(self) -> Iterator[str]:
        """Those of the command that mean the same."""
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return (f"--{name}={value}" for name, value in given if value is not None)

    def has(self, flow: Flow) -> bool:
        """Whether the flow is meant, as the history would choose it."""
        return (
            self.namespace in (None, flow.namespace)
            and self.workload in (None, flow.workload, flow.workload.partition("/")[2])
            and self.verdict in (None, flow.decision.verdict)
            and (self.host is None or any(map(self._is_there, (flow.name, flow.address))))
            and (self.since is None or (flow.last or flow.time) >= self.since)
        )

    def _is_there(self, name: str) -> bool:
        """``*`` alone stands for anything."""
        return fnmatchcase(name, (self.host or "").replace("[", "[[]").replace("?", "[?]").lower())
