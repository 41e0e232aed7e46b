"""Workloads, cut into classes that no selector of a set tells apart, by their labels."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from math import prod

from exitway.explain.differences.difference import LabelLimit
from exitway.names.workload import Selector

MOST_CLASSES = 10_000
"""More of them for one destination are not compared."""

Values = Mapping[str, Sequence[str | None]]
"""The labels that are asked for, sorted, each with its values; None: all others."""
Labels = tuple[str | None, ...]
"""A class: a value for each of these labels."""


class TooManyClasses(Exception):  # noqa: N818 - said as a Problem
    """Selectors tell apart more classes than anybody can wait for."""


def values_of(selectors: Iterable[Selector]) -> Values:
    """The labels that these ask for."""
    asked: dict[str, set[str]] = {}
    for selector in selectors:
        for key, value in selector.match_labels:
            asked.setdefault(key, set()).add(value)
    return {key: (*sorted(asked[key]), None) for key in sorted(asked)}


def classes(values: Values) -> list[Labels]:
    """All classes. Raises :class:`TooManyClasses`."""
    if prod(map(len, values.values())) > MOST_CLASSES:
        raise TooManyClasses
    return list(product(*values.values()))


def of_class(labels: Labels, values: Values) -> dict[str, str]:
    """Labels of a workload of the class."""
    return {key: value for key, value in zip(values, labels, strict=True) if value is not None}


def limits(some: Collection[Labels], values: Values) -> list[tuple[LabelLimit, ...]]:
    """The classes in few words: for each of these, all workloads that are within all its limits."""
    return _limits(frozenset(some), list(values.items()))


def _limits(some: frozenset[Labels], values: list[tuple[str, Sequence[str | None]]]) -> list[tuple[LabelLimit, ...]]:
    if not values:
        return [()] if some else []
    (key, every), *rest = values
    by_rest: dict[frozenset[Labels], list[str | None]] = {}
    for value in every:
        remaining = frozenset(labels[1:] for labels in some if labels[0] == value)
        by_rest.setdefault(remaining, []).append(value)
    return [
        (*_limit(key, of_these, every), *further)
        for remaining, of_these in by_rest.items()
        for further in _limits(remaining, rest)
    ]


def _limit(key: str, of_these: Sequence[str | None], every: Sequence[str | None]) -> list[LabelLimit]:
    if len(of_these) == len(every):
        return []
    others = None in of_these
    named = tuple(value for value in every if value is not None and (value in of_these) != others)
    return [LabelLimit(key, named, others)]
