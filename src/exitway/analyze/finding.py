"""Something to look at: not a fault that anybody refuses, but one that somebody will be sorry about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from exitway.names.key import Key
from exitway.resources.problem import Place


class Severity(StrEnum):
    """The worst first."""

    ERROR = "error"  # nobody means that
    WARNING = "warning"  # somebody may mean that, and should say so
    INFO = "info"  # good to know

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """``about``: the rule, or the pod or namespace as ``pod/shop/checkout-1``. ``field`` and ``place`` as those of a problem.

    ``silenced``: the rule says that this is known (:mod:`.silence`).
    """

    code: str
    severity: Severity
    about: Key | str
    message: str
    hint: str
    field: str = ""
    place: Place = Place()  # noqa: RUF009 - frozen
    silenced: bool = False

    def at(self, place: Place) -> Finding:
        """The same finding, at a place."""
        return replace(self, place=place)
