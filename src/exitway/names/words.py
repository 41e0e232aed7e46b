"""Lists and strange text, as they stand in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

_MOST = 5


def listed(words: Iterable[str], most: int = _MOST) -> str:
    """``a``, ``a and b``, ``a, b and c``; of many the first: ``a, b and 3 more``."""
    known = list(words)
    if len(known) > most:
        known = [*known[: most - 1], f"{len(known) - most + 1} more"]
    return " and ".join(filter(None, [", ".join(known[:-1]), known[-1]])) if known else ""


def printable(text: str) -> str:
    """The text with what is invisible escaped: controls, terminal sequences, changes of the writing direction."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)
