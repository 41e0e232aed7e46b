"""What the page is told, as it changes: server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), one for each section.

The first events say everything, later ones only sections that are others by then. Looking costs a few system calls; what costs more is done
when something has changed, in a thread, and then not again before some times as long.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from exitway.resources.registry import Registry
from exitway.web.sections import Json, json_text, running_section
from exitway.web.seen import Question, Seen

LOOK_SECONDS = 0.1
REST = 4
"""After an answer it rests so many times as long as a processor was busy with it."""
RENEW_SECONDS = 5.0
"""At least so often all is looked at: what is old leaves the time that was asked for. It is also the sign of life."""


@dataclass(frozen=True, slots=True)
class Sources:
    """What the dashboard needs of a server.

    ``flows``: the history's file; ``status``: what its status says now; ``proxies``: one JSON object for each.
    """

    flows: Path
    registry: Callable[[], Registry]
    status: Callable[[], Json]
    proxies: Callable[[], list[Json]]


async def events(sources: Sources, question: Question) -> AsyncIterator[bytes]:
    """The events, for ever."""
    told: dict[str, str] = {}
    history = Seen(sources.flows, question)
    while True:
        started, state = time.monotonic(), _state(sources)
        for name, text in _ours(sources, question, history).items():  # at once: it waits for nothing
            if _is_news(told, name, text):
                yield _event(name, text)
        for name, text in (await asyncio.to_thread(history.sections, sources.registry())).items():
            if _is_news(told, name, text):
                yield _event(name, text)
        yield b":\n\n"  # a comment: we live
        await asyncio.sleep(max(LOOK_SECONDS, REST * history.busy_seconds))
        while time.monotonic() - started < RENEW_SECONDS:
            if _state(sources) != state:
                break
            await asyncio.sleep(LOOK_SECONDS)


def _is_news(told: dict[str, str], name: str, text: str) -> bool:
    news = told.get(name) != text
    told[name] = text
    return news


def _event(name: str, text: str) -> bytes:
    return f"event: {name}\ndata: {text}\n\n".encode()


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


def _ours(sources: Sources, question: Question, history: Seen) -> dict[str, str]:
    """The sections that are not of the history, each as JSON."""
    status = sources.status()
    server = {name: status[name] for name in ("version", "pid", "revision")}
    server["problems"] = [*status["problems"], *history.problems]
    running = running_section(status["workloads"], question.search)
    found = {"server": server, "proxies": {"items": sources.proxies()}, "running": running}
    return {name: json_text(section) for name, section in found.items()}
