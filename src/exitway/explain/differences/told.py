"""What was found, class by class, moment by moment and request by request, told in few words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from exitway.explain.differences.difference import Change, Destination, Difference, Who, Witness
from exitway.explain.differences.grid import Cell, Grid
from exitway.explain.differences.labels import Labels, Values, limits, of_class

Key = tuple[Change, str, str]
"""What becomes of a call, and the ways it goes out before and after."""
When = tuple[Labels, int]
"""A class of workloads, and the number of a stretch of time."""
Found = dict[Key, dict[When, dict[Cell | None, Witness]]]
"""A witness for each request (None: it is no request) that differs."""


@dataclass(frozen=True)
class Axes:
    """By which labels workloads are told apart, and the moments at which stretches of time begin."""

    values: Values
    moments: Sequence[datetime]


def told(found: Found, who: Who, destination: Destination, grid: Grid | None, axes: Axes) -> Iterator[Difference]:
    """One difference for each box of requests, set of classes, and stretch of time without a gap."""
    for (change, before, after), whens in found.items():
        for box, of_these in _boxes(whens, destination, grid).items():
            for limited, witness in _whose(of_these, who, axes):
                yield Difference(change, limited, box, before, after, witness)


def _whose(whens: Mapping[When, Witness], who: Who, axes: Axes) -> Iterator[tuple[Who, Witness]]:
    values, moments = axes.values, axes.moments
    stretches: dict[Labels, list[int]] = {}
    for labels, stretch in sorted(whens, key=lambda when: when[1]):
        stretches.setdefault(labels, []).append(stretch)
    alike: dict[tuple[int, ...], list[Labels]] = {}
    for labels, numbers in stretches.items():
        alike.setdefault(tuple(numbers), []).append(labels)
    for of_these, some in alike.items():
        for limit in limits(some, values):
            one = next(labels for labels in some if all(part.holds(of_class(labels, values)) for part in limit))
            for first, last in _runs(of_these):
                begins = moments[first] if first else None
                ends = moments[last + 1] if last + 1 < len(moments) else None
                yield replace(who, labels=limit, begins=begins, ends=ends), whens[one, first]


def _boxes(
    whens: Mapping[When, Mapping[Cell | None, Witness]], destination: Destination, grid: Grid | None
) -> dict[Destination, dict[When, Witness]]:
    """The same in few words: destinations with requests, each with when that is so, and a witness."""
    boxes: dict[Destination, dict[When, Witness]] = {}
    for when, cells in whens.items():
        if grid is None:
            boxes.setdefault(destination, {})[when] = cells[None]
            continue
        for methods, paths, together in grid.boxes({cell for cell in cells if cell}):
            box = replace(destination, methods=methods, paths=paths)
            boxes.setdefault(box, {})[when] = next(witness for cell, witness in cells.items() if cell in together)
    return boxes


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of numbers without a gap."""
    first = last = numbers[0]
    for number in numbers[1:]:
        if number != last + 1:
            yield first, last
            first = number
        last = number
    yield first, last
