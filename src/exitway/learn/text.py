"""Rules as people read them: YAML, with what was seen behind each line that it is the reason of, and at the end what was not learned, and why."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from exitway.learn.entry import Entry
from exitway.learn.rule import Learned, Rule
from exitway.learn.seen import Seen, together
from exitway.learn.terms import destination
from exitway.learn.use import Left
from exitway.names.amount import size
from exitway.names.words import listed, printable

MOST_LEFT = 50
"""Lines about what was not learned."""
MOST_NAMES, MOST_PROCESSES = 8, 4

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9._/-]*|/[A-Za-z0-9._/~%+=&@-]*|\d{1,3}(\.\d{1,3}){3}/\d+")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
"""What YAML 1.1, in which kubectl reads, takes for something else than a string."""


def text(rules: Sequence[Rule], left: Sequence[Left], heading: Iterable[str]) -> str:
    """The file. Equal recordings give equal text."""
    lines = [_comment(line) for line in heading]
    for number, rule in enumerate(rules):
        lines += ["---"] * (number > 0)
        lines += _rule(rule)
    return "".join(f"{line}\n" for line in [*lines, *_left(left)])


def _rule(rule: Rule) -> Iterator[str]:
    learned = rule.learned
    yield "apiVersion: exitway.dev/v1"
    yield "kind: EgressRule"
    yield "metadata:"
    yield f"  name: {scalar(rule.name)}"
    yield f"  namespace: {scalar(learned.namespace)}"
    yield "spec:"
    if learned.labels:
        yield "  workloadSelector:"
        yield "    matchLabels:"
        yield from (f"      {scalar(key)}: {scalar(value)}" for key, value in learned.labels)
    yield "  to:"
    for entry in rule.entries:
        yield from _entry(entry, learned)


def _entry(entry: Entry, learned: Learned) -> Iterator[str]:
    wire = entry.wire
    yield f"    - {entry.field}:"
    for name in entry.destinations:
        uses = learned.behind(entry, name)
        yield f"        - {scalar(name)}  {_comment(said(together(use.seen for use in uses)))}"
        if name.startswith("*."):
            yield f"          {_comment(f'in the place of {listed(sorted({destination(use) for use in uses}), MOST_NAMES)}')}"
    yield "      ports:"
    yield from (f"        - {{number: {port.number}, protocol: {port.protocol}}}" for port in entry.ports)
    if entry.methods:
        yield f"      methods: [{', '.join(map(scalar, entry.methods))}]"
    if entry.paths:
        yield "      paths:"
        counts = Counter[str]()
        for use in (use for name in entry.destinations for use in learned.behind(entry, name)):
            counts[use.call.path] += use.seen.count
        yield from (f"        - {scalar(path)}  {_comment(times(counts[path]))}" for path in entry.paths)
    yield from (
        f"      {name}: {json.dumps(wire[name])}" for name in ("originateTLS", "caFile", "direct") if name in wire
    )


def _left(left: Sequence[Left]) -> Iterator[str]:
    if left:
        yield "# Not learned:"
    for one in left[:MOST_LEFT]:
        yield _comment(f"  {one.what}, {said(one.seen)}")
        yield _comment(f"    {one.why}")
    if len(left) > MOST_LEFT:
        yield _comment(f"  and {len(left) - MOST_LEFT} more")


def said(seen: Seen) -> str:
    """``3 times, 2026-11-23T08:10:12Z to 2026-11-23T08:10:15Z, by curl[4242]; 1.2 kB sent, 34.1 kB received``."""
    words = [times(seen.count), moments(seen), *_by(seen)]
    flowed = [f"{size(number)} {word}" for number, word in ((seen.sent, "sent"), (seen.received, "received")) if number]
    failed = [f"failed: {listed(sorted(seen.failures))}"] * bool(seen.failures)
    return "; ".join([", ".join(words), *filter(None, [", ".join(flowed)]), *failed])


def moments(seen: Seen) -> str:
    """The first and the last, to the second."""
    first, last = (moment.partition(".")[0].removesuffix("Z") + "Z" for moment in (seen.first, seen.last))
    return first if first == last else f"{first} to {last}"


def _by(seen: Seen) -> Iterator[str]:
    """``by curl[4242]``, and by no more than a few."""
    if seen.processes:
        named = [f"{name}[{pid}]" for pid, _, name in (one.partition("/") for one in seen.processes)]
        yield f"by {listed(sorted(named), MOST_PROCESSES)}"


def times(count: int) -> str:
    """``once``, ``3 times``."""
    return "once" if count == 1 else f"{count} times"


def scalar(value: str) -> str:
    """As a YAML scalar that every reader takes for this string."""
    plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
    return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())


def _comment(words: str) -> str:
    return f"# {printable(words)}".rstrip()
