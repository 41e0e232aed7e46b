"""Suffixes below which anybody can have a name: https://publicsuffix.org/list/.

                      of a registry   public
    com, co.uk        yes             yes
    github.io         no              yes        its owner lets others have names below it, and asked to be listed
    example.com       no              no
    internal          no              no         of no registry that is listed

The list comes with the package ``publicsuffixlist``, and is read when it is first asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from publicsuffixlist import PublicSuffixList

_DEEP = 3
"""Labels that a suffix has at most below a name that it is told of: what is farther down is hardly meant."""


def is_of_a_registry(name: str) -> bool:
    """Whether anybody can register a domain directly below the name (lower case): the list's ICANN section."""
    return bool(name) and _list(only_icann=True).publicsuffix(name) == name


def is_public(name: str) -> bool:
    """Whether names directly below this one (lower case) belong to whoever asks for them: the whole list."""
    return bool(name) and _list(only_icann=False).publicsuffix(name) == name


def shared_by(name: str) -> str:
    """The public suffix that the name ends in, or is; empty: none that is listed."""
    return _list(only_icann=False).publicsuffix(name) or ""


def public_below(name: str) -> str:
    """One of the public suffixes of no registry that are below the name (lower case), which is none itself: for ``amazonaws.com`` one of S3."""
    return _above().get(name, "")


@cache
def _above() -> Mapping[str, str]:
    """Of each name above public suffixes, the shortest of these."""
    known: dict[str, str] = {}
    text = (files("publicsuffixlist") / "public_suffix_list.dat").read_text("utf-8")
    for line in text.partition("===BEGIN PRIVATE DOMAINS===")[2].splitlines():
        suffix = line.strip().removeprefix("*.")
        if not suffix or suffix.startswith(("//", "!")) or not suffix.isascii():
            continue
        labels = suffix.split(".")
        for number in range(1, min(len(labels), _DEEP + 1)):
            above = ".".join(labels[number:])
            known[above] = min(known.get(above, suffix), suffix, key=lambda one: (len(one), one))
    return {above: suffix for above, suffix in known.items() if not is_public(above)}


@cache
def _list(*, only_icann: bool) -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=only_icann)
