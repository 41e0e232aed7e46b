"""What the history says, kept up to date: all of it is read now and then, and in between what is new.

Reading all of ten thousand flows takes a fifth of a second of a processor's time; what is new, next to nothing. What is counted onto flows that are
known already waits until all is read again, where that is much.
"""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exitway.flows.flow import Flow, stamp
from exitway.flows.history import History, Lost
from exitway.resources.problem import Problems
from exitway.resources.registry import Registry
from exitway.web.links import Links
from exitway.web.search import Search
from exitway.web.sections import MOST_DENIALS, denials_section, json_text, rules_section

CHEAP_SECONDS = 0.05
"""Where reading all takes no longer, it is done each time."""
REST = 50
"""Otherwise not again before so many times as long."""
MOST_READ = 50_000
"""Destinations that are read, the latest first: a program that tries very many is not to cost the server its memory."""
MOST_NEW = 2_000
MOST_SEARCHED = 5_000
"""The newest denials through which a search goes."""


@dataclass(frozen=True, slots=True)
class Question:
    """``seconds``: how far back; 0: all there is."""

    seconds: int
    search: Search

    def since(self, now: datetime) -> str | None:
        """The time from which on it asks, RFC 3339."""
        return stamp(now - timedelta(seconds=self.seconds)) if self.seconds else None


class Seen:
    """The answer to one question. Used by one thread at a time.

    ``busy_seconds``: how long a processor was busy with the last answer; ``problems``: why there was nothing to read.
    """

    def __init__(self, path: Path, question: Question) -> None:
        self.busy_seconds = 0.0
        self.problems: list[str] = []
        self._path = path
        self._question = question
        self._links = Links(question.search)
        self._denials: list[Flow] = []
        self._last = 0
        self._due = self._rest = 0.0
        self._most_denials = MOST_SEARCHED if question.search.words else MOST_DENIALS

    def sections(self, registry: Registry) -> dict[str, str]:
        """The sections that are made from the history, each as JSON."""
        started = time.thread_time()
        use: dict[str, tuple[str, int]] = {}
        now, self.problems = datetime.now(UTC), []
        try:
            with closing(History(self._path, read_only=True)) as history, history.moment():
                self._read(history, now)
                use = history.rule_use()
        except (Lost, Problems) as error:
            self.problems = [f"the flows cannot be read: {error}"]
        shown, search = self._links.section(), self._question.search
        total = shown["totals"]["denied"] + shown["totals"]["audited"]
        denials = denials_section(self._denials, total, search)
        rules = rules_section(registry, use, now, search)
        texts = {"map": json_text(shown), "denials": json_text(denials), "rules": json_text(rules)}
        self.busy_seconds = time.thread_time() - started
        return texts

    def _read(self, history: History, now: datetime) -> None:
        """What is new at once, if there is something; all of it when it is due and nothing hurries, or when it is long due."""
        new = history.select(after=self._last, limit=MOST_NEW) if self._due else []
        if len(new) < MOST_NEW and time.monotonic() < self._due + (self._rest if new else 0):
            self._take(new)
            return
        started = time.thread_time()
        self._read_all(history, self._question.since(now))
        spent = time.thread_time() - started
        self._rest = REST * spent if spent > CHEAP_SECONDS else 0
        self._due = time.monotonic() + self._rest

    def _read_all(self, history: History, since: str | None) -> None:
        self._last = history.next_id - 1
        self._links = Links(self._question.search)
        found = history.destinations(since, MOST_READ)
        for one in found:
            self._links.add(one)
        self._links.whole &= len(found) < MOST_READ
        self._denials = history.select(verdict="deny", since=since, limit=self._most_denials)

    def _take(self, new: list[Flow]) -> None:
        for flow in new:
            self._links.add_flow(flow)
        denied = [flow for flow in new if not flow.decision.allowed]
        self._denials = [*self._denials, *denied][-self._most_denials :]
        self._last = new[-1].id if new else self._last
