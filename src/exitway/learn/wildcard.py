"""One pattern for several names under one parent: only where that is asked for, and never where strangers share the parent."""

from __future__ import annotations

from collections import defaultdict

from exitway.learn.terms import Term, Terms
from exitway.names.public_suffix import is_public, public_below

LEAST_NAMES = 2
"""What makes several."""


def widened(terms: Terms) -> Terms:
    """With ``*.parent`` in the place of names that have the parent and the terms in common."""
    alike: defaultdict[tuple[str, frozenset[Term]], list[str]] = defaultdict(list)
    for name, of in terms.items():
        if parent := _parent(name, of):
            alike[parent, of].append(name)
    result = dict(terms)
    for (parent, of), names in alike.items():
        if len(names) >= LEAST_NAMES and not _shared(parent):
            for name in names:
                del result[name]
            result[f"*.{parent}"] = result.get(f"*.{parent}", frozenset()) | of
    return dict(sorted(result.items()))


def _parent(name: str, terms: frozenset[Term]) -> str:
    """Empty: there is no pattern for it. What is direct is one name."""
    return "" if "/" in name or any(term.direct for term in terms) else name.partition(".")[2]


def _shared(parent: str) -> bool:
    """Whether strangers have names below it. A name of one label is taken for a registry's, listed or not."""
    return "." not in parent or is_public(parent) or bool(public_below(parent))
