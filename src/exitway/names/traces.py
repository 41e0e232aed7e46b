"""Where spans of requests go."""

from __future__ import annotations

import re
from dataclasses import dataclass

ALL = 1000

_PERCENT = re.compile(r"\d{1,3}(\.\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Traces:
    """A collector that takes OTLP over gRPC, unencrypted. ``per_mille``: of how many of a thousand requests it is told."""

    host: str
    port: int
    per_mille: int = ALL

    @classmethod
    def at(cls, place: str, percent: str = "100") -> Traces:
        """Read ``host:port`` or ``[address]:port``, and a percentage with at most one decimal.

        Raises:
            ValueError: a sentence.
        """
        host, _, port = place.rpartition(":")
        if not host or not (port.isascii() and port.isdecimal()) or not 0 < int(port[:6]) < 65536:
            raise ValueError(f"{place!r} is not host:port, such as 127.0.0.1:4317")
        per_mille = round(10 * float(percent)) if _PERCENT.fullmatch(percent) else 0
        if not 1 <= per_mille <= ALL:
            raise ValueError(f"{percent!r} is not a percentage from 0.1 to 100")
        return cls(host.strip("[]"), int(port), per_mille)
