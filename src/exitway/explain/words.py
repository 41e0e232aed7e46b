"""Lists and counts, as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 5


def listed(words: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; of many the first."""
    known = list(words)
    if len(known) > _MOST:
        known = [*known[: _MOST - 1], f"{len(known) - _MOST + 1} more"]
    return " and ".join(filter(None, [", ".join(known[:-1]), known[-1]])) if known else ""
