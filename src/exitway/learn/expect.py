"""The recording as expectations, for ``exitway test``: what was recorded must be allowed, and calls near it denied."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from exitway.explain.suites.form import target_of
from exitway.explain.target import call_text
from exitway.learn.extent import Extent, Near, outside
from exitway.learn.rule import Learned
from exitway.learn.text import scalar, times
from exitway.names.call import Call, Sort
from exitway.names.words import printable
from exitway.resources.problem import Problems


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
    counts = Counter[str]()
    for use in kind.uses:
        counts[_written(use.call)] += use.seen.count
    unwritten = sum(not _written(use.call) for use in kind.uses)
    del counts[""]
    yield "    allow:" if counts else "    allow: []"
    yield from (f"      - {call}  # {times(count)}" for call, count in counts.items())
    if unwritten:
        yield f"    # {unwritten} of {len(kind.uses)} recorded calls cannot be written as a test"
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
        if key not in told and text not in written and _is_read_as(near.call, text):
            told.add(key)
            written.add(text)
            yield near


def _written(call: Call) -> str:
    """The call as a test has it: its text, or where that is read as another call, fields; empty: as nothing that is read as this one."""
    text = call_text(call)
    if _is_read_as(call, text):
        return scalar(text)
    url = text.removeprefix(f"{call.method} ") if call.sort is Sort.HTTP else text
    fields = {"call": url, "method": call.method if call.sort is Sort.HTTP else "", "dialled": ""}
    if call.sort is not Sort.TCP and call.asked != call.name:
        fields["dialled"] = call.asked or call.address
    if not _is_read_as(call, **fields):
        return ""
    return f"{{{', '.join(f'{name}: {json.dumps(value)}' for name, value in fields.items() if value)}}}"


def _is_read_as(meant: Call, call: str, method: str = "", dialled: str = "") -> bool:
    try:
        return target_of(call, method, "", dialled) == meant
    except Problems:
        return False
