"""The recording as expectations, for ``exitway test``: what was recorded must be allowed, and calls near it denied."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exitway.explain.target import call_text
from exitway.learn.extent import Extent, Near, outside
from exitway.learn.rule import Learned
from exitway.learn.text import scalar, times
from exitway.names.call import Call, Sort
from exitway.names.words import printable


def expectations(learned: Sequence[Learned], rules_file: str, heading: Iterable[str], *, hosts_only: bool) -> str:
    """A file of tests. ``rules_file``: the file of the rules, as the tests name it; empty: they name none."""
    lines = [f"# {printable(line)}" for line in heading]
    if rules_file:
        lines.append(f"rules: {scalar(rules_file)}")
    lines.append("tests:")
    for kind in learned:
        lines += _kind(kind, Extent(kind, hosts_only))
    return "".join(f"{line}\n" for line in lines)


def _kind(kind: Learned, extent: Extent) -> Iterator[str]:
    labels = ", ".join(f"{scalar(key)}: {scalar(value)}" for key, value in kind.labels)
    yield f"  - name: {scalar('what was recorded' + (f', {labels}' if labels else ''))}"
    yield f"    namespace: {scalar(kind.namespace)}"
    yield f"    labels: {{{labels}}}"
    yield "    allow:"
    counts: dict[str, int] = {}
    for use in kind.uses:
        counts[call_text(use.call)] = counts.get(call_text(use.call), 0) + use.seen.count
    yield from (f"      - {scalar(text)}  # {times(count)}" for text, count in counts.items())
    yield "    deny:"
    for near in _witnesses(extent):
        yield f"      - call: {scalar(call_text(near.call))}"
        yield f"        because: {scalar(f'{near.difference} than {call_text(near.of)}')}"


def _witnesses(extent: Extent) -> Iterator[Near]:
    """Of each destination, one call for each way to differ from what was recorded of it."""
    told: set[tuple[str, str]] = set()
    written: set[str] = set()
    for near in outside(extent):
        key = near.of.name or near.of.asked or near.of.address, near.difference
        text = call_text(near.call)
        if key not in told and text not in written and _can_be_written(near.call):
            told.add(key)
            written.add(text)
            yield near


def _can_be_written(call: Call) -> bool:
    """Whether the text of the call says all of it: in it, the name that is said is the one that was asked for."""
    return call.sort is Sort.TCP or call.asked == call.name
