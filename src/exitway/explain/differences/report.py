"""Differences between two sets of rules as text, and as Markdown for reviews."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from exitway.explain.differences.difference import (
    EVERY_METHOD,
    EVERY_PATH,
    Change,
    Destination,
    Dialled,
    Difference,
    Methods,
    Paths,
    Seen,
    Who,
    Witness,
)
from exitway.explain.target import call_text
from exitway.names.address import bracketed
from exitway.names.call import Sort
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.resources.intent import Network

_TITLES = {Change.OPENS: "Opens", Change.CLOSES: "Closes", Change.DIFFERS: "Goes out otherwise"}
_DIALLED = {
    Dialled.ANYTHING: "",
    Dialled.ITSELF: ", where that was dialled",
    Dialled.ELSEWHERE: ", where no rule for TCP speaks of what was dialled",
    Dialled.FRONT: ", in requests to other names that rules let requests go to",
}
_SHOWN = 5
NOTHING = "No difference in meaning."


@dataclass(frozen=True)
class Locate:
    """Where a rule of before, and of after, stands; empty: in no file."""

    before: Callable[[Key], str]
    after: Callable[[Key], str]


def text(found: Sequence[Difference], locate: Locate) -> Iterator[str]:
    """Lines for a terminal."""
    for change, of_these in _by_change(found):
        yield f"{_TITLES[change]}:"
        for one in of_these:
            yield f"  {who_text(one.who)} -> {destination_text(one.destination)}{ways_text(one)}"
            yield f"    {example_text(one.witness)}: {_story(one.witness, locate)}"
    yield summary(found)


def markdown(found: Sequence[Difference], locate: Locate) -> Iterator[str]:
    """Tables for a review."""
    yield f"**{summary(found)}**"
    for change, of_these in _by_change(found):
        yield ""
        yield f"### {_TITLES[change]}"
        yield ""
        yield "| who | where to | for example | what is decided |"
        yield "|---|---|---|---|"
        for one in of_these:
            where = f"{destination_text(one.destination)}{ways_text(one)}"
            said = map(_code, (who_text(one.who), where, example_text(one.witness)))
            cells = (*said, _story(one.witness, locate, _code))
            yield f"| {' | '.join(map(_cell, cells))} |"


def summary(found: Sequence[Difference]) -> str:
    """One sentence: how many differences, and of which sort."""
    if not found:
        return NOTHING
    counts = {change: sum(one.change is change for one in found) for change in Change}
    verbs = {Change.OPENS: ("opens", "open"), Change.CLOSES: ("closes", "close")}
    otherwise = "goes out otherwise", "go out otherwise"
    parts = [f"{count} {verbs.get(change, otherwise)[count > 1]}" for change, count in counts.items() if count]
    return f"{len(found)} difference{'s' if len(found) > 1 else ''} in meaning: {', '.join(parts)}."


def who_text(who: Who) -> str:
    """``shop, app=checkout, until 2027-01-31T00:00:00Z``."""
    names = ", ".join(who.namespaces)
    where = (f"every namespace but {names}" if names else "every namespace") if who.others else names
    times = [f"{word} {time_text(at)}" for word, at in (("from", who.begins), ("until", who.ends)) if at]
    return ", ".join([where, *map(str, who.labels), *times])


def destination_text(to: Destination) -> str:
    """``HTTP api.example:443 GET /v1/* but /v1/admin/*``."""
    parts = [f"{to.sort.upper()} {_at(to.to, to.port)}"]
    if to.but:
        parts.append(f"but not {_few(map(str, to.but))}")
    if to.methods != EVERY_METHOD:
        parts.append(_methods(to.methods))
    if to.paths != EVERY_PATH:
        parts.append(_paths(to.paths))
    return f"{' '.join(parts)}{_DIALLED[to.dialled]}"


def example_text(witness: Witness) -> str:
    """The call, and what about it could not be guessed."""
    call = witness.call
    said = call_text(call)
    where = call.asked or call.address
    if call.sort is not Sort.TCP and where != call.name:
        said += f" dialled at {where}"
    if call.overridden:
        said += " with X-HTTP-Method-Override"
    return said


def _by_change(found: Sequence[Difference]) -> Iterator[tuple[Change, list[Difference]]]:
    for change in Change:
        if of_these := [one for one in found if one.change is change]:
            yield change, of_these


def ways_text(one: Difference) -> str:
    """How it goes out, where that is not the usual way."""
    if one.change is Change.DIFFERS:
        return f": {one.after}, no longer {one.before}"
    way = one.after or one.before
    return "" if way == "through the proxy" else f", {way}"


def _story(witness: Witness, locate: Locate, quoted: Callable[[str], str] = str) -> str:
    """What both sides made of it, of the later one last. ``quoted``: how a rule and its place stand in it."""
    before = _seen(witness.before, locate.before, quoted)
    after = _seen(witness.after, locate.after, quoted)
    return f"{'was ' if witness.before.decision.allowed else ''}{before}, now {after}"


def _seen(seen: Seen, locate: Callable[[Key], str], quoted: Callable[[str], str]) -> str:
    decision = seen.decision
    said = "allowed" if decision.allowed else f"denied ({decision.reason})"
    if decision.because is None:
        return said
    place = locate(decision.because)
    rule = quoted(f"{decision.because.namespace}/{decision.because.name}{f' ({place})' if place else ''}")
    return f"{said} by {rule}" if seen.way or decision.reason == "denied-by-rule" else f"{said}, nearest {rule}"


def _at(to: Host | Network, port: int) -> str:
    return f"{bracketed(str(to))}:{port}"


def _methods(methods: Methods) -> str:
    """Where all but some are meant, so are those in doubt, unless it is said; where some are meant, they are not."""
    named = ",".join(methods.named)
    if methods.others:
        said = f"all methods but {named}" if named else "all methods"
        return said if methods.doubtful else f"{said} (none in doubt)"
    return " and ".join(filter(None, (named, "methods in doubt" if methods.doubtful else "")))


def _paths(paths: Paths) -> str:
    """As for methods."""
    but = f" but {_few(paths.but)}" if paths.but else ""
    if "/*" in paths.these:
        within = [path for path in paths.these if path != "/*"]
        return f"all {'' if paths.doubtful else 'plain '}paths{but}{f', and {_few(within)}' if within else ''}"
    return " and ".join(filter(None, (_few(paths.these) + but, "paths that are not plain" if paths.doubtful else "")))


def _few(words: Iterable[str]) -> str:
    known = list(words)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(known[:_SHOWN]) + more


def time_text(at: datetime) -> str:
    """RFC 3339."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def _code(words: str) -> str:
    """A code span: what people name their files, hosts and labels is no Markdown."""
    within = words.replace("`", "'")
    return f"`{within}`"


def _cell(words: str) -> str:
    """A cell of a table: nothing in it ends it."""
    return words.replace("|", "\\|").replace("\n", " ")
