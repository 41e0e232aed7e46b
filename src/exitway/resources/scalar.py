"""Plain YAML scalars by the core schema of YAML 1.2 (section 10.3.2), where ``no``, ``22:22`` and dates are strings."""

from __future__ import annotations

import math
import re
from typing import Any

Scalar = str | int | float | bool | None

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_PREFIXED = re.compile(r"0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z")
_LONGEST_NUMBER = 40


def scalar(text: str) -> Scalar:
    """The value of a plain (unquoted) scalar. Raises :class:`ValueError` for a number that is not the same to every reader."""
    if text in _WORDS:
        return _WORDS[text]
    if _LEADING_ZERO.match(text):
        raise ValueError(f"{_short(text)} begins with 0: some read it as octal, others as decimal")
    if _INTEGER.match(text) or _PREFIXED.match(text):
        return _integer(text)
    if _FLOAT.match(text):
        return _float(text)
    return text


def described(value: Any) -> str:
    """What sort of thing a value is, for sentences such as "must be a list, not a string"."""
    match value:
        case None:
            return "empty"
        case bool():
            return "true or false"
        case int():
            return "a whole number"
        case float():
            return "a fraction"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _integer(text: str) -> int:
    value = int(text, 0 if _PREFIXED.match(text) else 10) if len(text) <= _LONGEST_NUMBER else math.inf
    if not -(2**63) <= value < 2**63:
        raise ValueError(f"{_short(text)} is out of range for a number")
    return int(value)


def _float(text: str) -> float:
    value = float(text) if len(text) <= _LONGEST_NUMBER and text[-1].isdigit() | text.endswith(".") else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{_short(text)} is not a finite number")
    return value


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_NUMBER else f"{text[:_LONGEST_NUMBER]}..."
