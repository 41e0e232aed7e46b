"""What a rule's status says. Pure: equal entries give equal conditions on every replica.

    status.replicas     one entry for each replica: which generation it has seen, how many proxies concern it, how many have it in force
    Accepted            the rule can be read
    Programmed          every proxy that it concerns has it in force; stays true for a generation until a proxy refuses it

New proxies take what is in force when they start, so they do not make a rule wait again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from exitway.cluster.counts import Count
from exitway.resources.problem import Problem
from exitway.resources.resource import Json

Said = tuple[str, str, str]
"""Status, reason and message of a condition."""

_MOST_ERRORS, _ERROR_LENGTH, _MESSAGE_LENGTH = 10, 2048, 4096


def entry_of(replica: str, generation: int, count: Count) -> Json:
    """A replica's entry."""
    errors = [error[:_ERROR_LENGTH] for error in count.errors[:_MOST_ERRORS]]
    entry: Json = {"name": replica, "observedGeneration": generation}
    return {
        **entry,
        "proxies": count.proxies,
        "acknowledged": count.acknowledged,
        **({"errors": errors} if errors else {}),
    }


@dataclass(frozen=True, slots=True)
class View:
    """What conditions follow from. ``entries``: those of replicas that live; ``ready``: the names of replicas that may have proxies."""

    generation: int
    problems: Collection[Problem]
    entries: Collection[Mapping[str, Any]]
    ready: Collection[str]
    withdrawn: bool = False
    """The rule was deleted and is still there: what is acknowledged is that it is not in force any more."""

    def conditions(self, status: Mapping[str, Any], now: str) -> list[Json]:
        """Both conditions. ``status``: as it is; ``now``: RFC 3339, for what changes."""
        before = {condition["type"]: condition for condition in status.get("conditions") or ()}
        known = before.get("Programmed", {})
        was = known.get("reason", "") if known.get("observedGeneration") == self.generation else ""
        said = {"Accepted": self._accepted(), "Programmed": self._programmed(was)}
        return [_condition(kind, said[kind], self.generation, before.get(kind, {}), now) for kind in said]

    def _accepted(self) -> Said:
        return (
            ("False", "Invalid", _sentences(self.problems)) if self.problems else ("True", "Valid", "the rule is right")
        )

    def _programmed(self, was: str) -> Said:
        """``was``: the reason so far, for this generation."""
        if self.problems:
            return "False", "Invalid", "the rule cannot be read, so it lets nothing out"
        current = [entry for entry in self.entries if entry.get("observedGeneration") == self.generation]
        proxies, acknowledged = (sum(entry.get(name, 0) for entry in current) for name in ("proxies", "acknowledged"))
        errors = [error for entry in current for error in entry.get("errors", ())]
        have = "has" if acknowledged == 1 else "have"
        counted = f"{acknowledged} of {proxies} proxies {have} it in force{' no more' * self.withdrawn}"
        if errors:
            return "False", "Refused", f"{counted}; {'; '.join(errors)}"
        told = was in ("Acknowledged", "NoProxies")
        absent = set() if told else set(self.ready) - {entry["name"] for entry in current}
        if absent or (acknowledged < proxies and was != "Acknowledged"):
            waiting = f"; not yet heard from {', '.join(sorted(absent))}" if absent else ""
            return "False", "Pending", counted + waiting
        if not proxies:
            return "True", "NoProxies", "no proxy that it concerns is connected"
        return "True", "Acknowledged", counted


def settled(conditions: Iterable[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """The conditions without the time, to compare them."""
    return sorted(
        (one["type"], one["status"], one.get("observedGeneration"), one["reason"], one["message"]) for one in conditions
    )


def _condition(kind: str, said: Said, generation: int, before: Mapping[str, Any], now: str) -> Json:
    status, reason, message = said
    since = before["lastTransitionTime"] if before.get("status") == status else now
    return {
        "type": kind,
        "status": status,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": reason,
        "message": message[:_MESSAGE_LENGTH],
    }


def _sentences(problems: Iterable[Problem]) -> str:
    return "; ".join(f"{problem} ({problem.hint})" if problem.hint else str(problem) for problem in problems)
