"""A name, a path, a method that is meant by one pattern and by no narrower one of those known: there is always one, however many are taken.

Last comes what no rule can name: ``_`` stands in names that programs ask for, ``*`` in paths, and neither in a rule but as its wildcard.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import chain, product
from string import ascii_uppercase

from exitway.names.host import Host, patterns
from exitway.names.request import decoded, is_plain

_LETTERS = "xabcdefghijklmnopqrstuvwyz0123456789"
_FIRST_NAMES = ("www", "api", "other", *_LETTERS)
_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "OTHER")


def name_in(pattern: Host, known: Collection[Host]) -> str:
    """A name that the pattern matches, and no narrower one of those known."""
    if not pattern.wildcard:
        return pattern.suffix
    names = (f"{end}{pattern.suffix}" for end in _ends(pattern))
    return next(
        name for name in names if next(one for one in patterns(name) if one == pattern or one in known) == pattern
    )


def _ends(pattern: Host) -> Iterator[str]:
    yield from _FIRST_NAMES if pattern.suffix else (f"{name}.example" for name in _FIRST_NAMES)
    yield from map("".join, chain(product(_LETTERS, _LETTERS), product(_LETTERS, "-.", _LETTERS)))
    yield "_"


def path_in(pattern: str, known: Collection[str]) -> str:
    """A plain path that the pattern matches, and no narrower one of those known, which are :func:`~exitway.names.request.decoded`."""
    stem = pattern.removesuffix("*")
    if stem == pattern or (is_plain(stem) and decoded(stem) not in known):
        return stem
    paths = (f"{stem}{end}" for end in (*_LETTERS, *ascii_uppercase, *"_~-"))
    free = (path for path in paths if decoded(path) not in known and f"{decoded(path)}*" not in known)
    return next(free, f"{stem}*")


def method_beside(known: Collection[str]) -> str:
    """A method that is none of those known."""
    more = (f"OTHER-{'X' * number}" for number in range(1, len(known) + 2))
    return next(method for method in (*_METHODS, *more) if method not in known)
