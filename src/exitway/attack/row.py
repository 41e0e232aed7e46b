"""What a row of the table says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from exitway.attack.probe import Tries, all_at_once
from exitway.attack.target import Target

Attempt = Callable[[Target], Tries]


@dataclass(frozen=True)
class Row:
    """One technique.

    ``by``: what stops it. ``documented``: instead, the heading of ``docs/limits.md`` that says that it cannot be stopped, and what to do.
    ``attempts``: what is tried. Where there is none, or the target lacks the field that it ``needs``, ``untried`` says why.
    ``nothing``: it has no business with what is allowed, so nothing at all may arrive (else: nothing but what is allowed).
    ``control``: whether the attempts reach the outside where there is no boundary, which proves that the witness sees them. If not, ``no_control``.
    """

    id: str
    technique: str
    by: str = ""
    attempts: tuple[Attempt, ...] = ()
    documented: str = ""
    untried: str = ""
    nothing: bool = False
    no_control: str = ""
    needs: str = ""

    @property
    def anchor(self) -> str:
        """The heading as GitHub links it."""
        return "".join(c for c in self.documented.lower().replace(" ", "-") if c.isalnum() or c in "-_")

    def missing(self, target: Target) -> str:
        """Why it cannot be tried against this target; empty: it can."""
        return self.untried if not self.attempts or (self.needs and not getattr(target, self.needs)) else ""

    def run(self, target: Target) -> list[str]:
        """Try everything; what was seen. Raises :class:`~exitway.attack.probe.Reached`."""
        return [line for attempt in self.attempts for line in all_at_once(attempt(target))]
