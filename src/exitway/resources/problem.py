"""Faults that the user can mend. Their codes stand in :mod:`exitway.resources.catalogue`."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

MAX_PROBLEMS = 100
"""More at once help nobody."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file; line and column count from 1, 0 is unknown."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: a stable code, one sentence, a hint, the path of the field (``spec.ports[0].port``) and the place."""

    code: str
    message: str
    hint: str = ""
    field: str = ""
    place: Place = Place()

    def at(self, place: Place) -> Problem:
        """The same problem, at a place."""
        return replace(self, place=place)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place.file else ""
        return f"{where}{self.code} {self.message}"


class Problems(Exception):  # noqa: N818 - a name of the domain
    """All the problems of one input, at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def quoted(text: str) -> str:
    """A piece of the user's text as it stands in a sentence: in quotes, escaped, and not longer than a sentence bears."""
    return json.dumps(text if len(text) <= 80 else f"{text[:77]}...", ensure_ascii=False)
