"""What the page is told, as it changes: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), one for each section.

The first events say everything, later ones only sections that are others by then. Looking costs a few system calls; what costs more is done
when something has changed, in a thread, and then not again before five times as long.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exitway.flows.history import History, Lost
from exitway.resources.problem import Problems
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from exitway.web.search import Search
from exitway.web.sections import MOST_DENIALS, Json, denials_section, map_section, rules_section, running_section

LOOK_SECONDS = 0.1
REST = 5
"""After an answer it rests so many times as long as the answer took."""
RENEW_SECONDS = 5.0
"""At least so often all is looked at: what is old leaves the time that was asked for. It is also the sign of life."""
MOST_SEARCHED = 5_000
"""The newest denials through which a search goes."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the dashboard needs of a server.

    ``flows``: the history's file; ``status``: what its status says now; ``proxies``: one JSON object for each.
    """

    flows: Path
    registry: Callable[[], Registry]
    status: Callable[[], Json]
    proxies: Callable[[], list[Json]]


@dataclass(frozen=True, slots=True)
class Question:
    """``seconds``: how far back; 0: all there is."""

    seconds: int
    search: Search

    def since(self, now: datetime) -> str | None:
        """The time from which on it asks, RFC 3339."""
        return (now - timedelta(seconds=self.seconds)).isoformat(timespec="milliseconds") if self.seconds else None


async def events(sources: Sources, question: Question) -> AsyncIterator[bytes]:
    """The events, for ever."""
    told: dict[str, str] = {}
    while True:
        started, seen = time.monotonic(), _state(sources)
        for name, section in (await _sections(sources, question)).items():
            text = json.dumps(section, separators=(",", ":"))
            if told.get(name) != text:
                told[name] = text
                yield f"event: {name}\ndata: {text}\n\n".encode()
        yield b":\n\n"  # a comment: we live
        await asyncio.sleep(max(LOOK_SECONDS, REST * (time.monotonic() - started)))
        while time.monotonic() - started < RENEW_SECONDS:
            if _state(sources) != seen:
                break
            await asyncio.sleep(LOOK_SECONDS)


def _state(sources: Sources) -> object:
    """Equal as long as there is nothing new."""
    status = {name: value for name, value in sources.status().items() if name != "uptimeSeconds"}
    return _stamps(sources.flows), status, sources.proxies()


def _stamps(path: Path) -> list[tuple[int, int]]:
    """What every commit to an SQLite file in WAL mode changes."""
    stamps = []
    for one in (path, path.with_name(f"{path.name}-wal")):
        try:
            stat = one.stat()
            stamps.append((stat.st_mtime_ns, stat.st_size))
        except FileNotFoundError:
            stamps.append((0, 0))
    return stamps


async def _sections(sources: Sources, question: Question) -> dict[str, Json]:
    status, proxies, registry = sources.status(), sources.proxies(), sources.registry()
    seen = await asyncio.to_thread(_seen, sources.flows, question, registry)
    server = {name: status[name] for name in ("version", "pid", "revision", "problems")}
    server["problems"] = [*status["problems"], *seen.pop("problems")]
    running = running_section(status["workloads"], question.search)
    return seen | {"proxies": {"items": proxies}, "running": running, "server": server}


def _seen(path: Path, question: Question, rules: Iterable[Resource]) -> dict[str, Any]:
    """The sections that are made from the history."""
    now, search = datetime.now(UTC), question.search
    since = question.since(now)
    problems = []
    destinations, denials, use = [], [], {}
    try:
        history = History(path, read_only=True)
        try:
            destinations = history.destinations(since)
            limit = MOST_SEARCHED if search.words else MOST_DENIALS
            denials = history.select(verdict="deny", since=since, limit=limit)
            use = history.rule_use()
        finally:
            history.close()
    except (Lost, Problems) as error:
        problems = [f"the flows cannot be read: {error}"]
    shown = map_section(destinations, search)
    total = shown["totals"]["denied"] + shown["totals"]["audited"]
    return {
        "map": shown,
        "denials": denials_section(denials, total, search),
        "rules": rules_section(rules, use, now, search),
        "problems": problems,
    }
