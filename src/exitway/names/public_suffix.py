"""Suffixes below which anybody can have a name: https://publicsuffix.org/list/.

                      of a registry   public
    com, co.uk        yes             yes
    github.io         no              yes        its owner lets others have names below it, and asked to be listed
    example.com       no              no
    internal          no              no         of no registry that is listed

The list comes with the package ``publicsuffixlist``, and is read when it is first asked.
"""

from __future__ import annotations

from functools import cache

from publicsuffixlist import PublicSuffixList


def is_of_a_registry(name: str) -> bool:
    """Whether anybody can register a domain directly below the name (lower case): the list's ICANN section."""
    return bool(name) and _list(only_icann=True).publicsuffix(name) == name


def is_public(name: str) -> bool:
    """Whether names directly below this one (lower case) belong to whoever asks for them: the whole list."""
    return bool(name) and _list(only_icann=False).publicsuffix(name) == name


def shared_by(name: str) -> str:
    """The public suffix that the name ends in, or is; empty: none that is listed."""
    return _list(only_icann=False).publicsuffix(name) or ""


@cache
def _list(*, only_icann: bool) -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False, only_icann=only_icann)
