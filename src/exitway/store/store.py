"""The live holder of the resources: the registry now, atomic changes to it, and the events that came of them.

    store = Store(path)
    store.registry                                   # every resource, at one revision
    store.commit([Put(resource), Delete(key)])       # all or nothing; on the disk when it returns
    while events := await store.after(revision): revision = events[-1].revision   # a watch

One thread (the event loop's) uses it. A commit is a few milliseconds, nearly all of it the disk's.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Self
from uuid import uuid4

from exitway.names.key import Key
from exitway.resources.kinds import read
from exitway.resources.problem import Place, Problem, Problems
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from exitway.store.change import Change, Commit, Conflict, Delete, Event, EventType, parts, version
from exitway.store.database import connect, contents, damaged, transaction
from exitway.store.reading import Rules
from exitway.store.stamp import deleted, same, stamp


class Store(Rules):
    """The resources of one machine.

    Raises:
        Problems: the file cannot be used; never is it replaced by an empty one.
    """

    def __init__(
        self, path: Path, *, history: int = 10_000, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock = clock
        self._connection = connect(path)
        try:
            super().__init__(_load(self._connection, path), history)
        except BaseException:
            self._connection.close()
            raise

    def commit(self, changes: Sequence[Change]) -> Commit:
        """Make all of the changes, or none. No two of them may have the same key.

        Raises:
            Conflict: a resource is not at the version that its change expects.
            KeyError: what is to be deleted is not there.
            Unavailable: the disk refused.
        """
        commit = self.trial(changes)
        if commit.events:
            self._write(commit)
            self._take_in(commit.events, commit.revision)
            self._wake()
        return commit

    def trial(self, changes: Sequence[Change]) -> Commit:
        """What :meth:`commit` would do and raise, without doing it (a dry run)."""
        if len({change.key for change in changes}) != len(changes):
            raise ValueError("two changes of one commit have the same key")
        now, revision, events = self._clock(), self.revision, list[Event]()
        for change in changes:
            event = self._event(change, revision + 1, now)
            if event:
                events.append(event)
                revision += 1
        return Commit(revision, tuple(events))

    def close(self) -> None:
        """End the followers and close the file."""
        super().close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _event(self, change: Change, revision: int, now: datetime) -> Event | None:
        before = self.registry.get(change.key)
        if change.expected and change.expected != version(before):
            raise Conflict(change.key, change.expected, version(before))
        if isinstance(change, Delete):
            if before is None:
                raise KeyError(change.key)
            return Event(EventType.DELETED, revision, deleted(before, revision), before)
        if same(change.resource, before):
            return None
        stored = stamp(change.resource, before, revision=revision, now=now, uid=str(uuid4()))
        return Event(EventType.MODIFIED if before else EventType.ADDED, revision, stored, before)

    def _write(self, commit: Commit) -> None:
        put, gone = parts(commit.events)
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO resource VALUES (?, ?, ?, ?, ?)",
                [(*_row(item.key), json.dumps(item.wire)) for item in put],
            )
            self._connection.executemany(
                "DELETE FROM resource WHERE api_group = ? AND type = ? AND namespace = ? AND name = ?", map(_row, gone)
            )
            self._connection.execute("UPDATE revision SET value = ?", [commit.revision])


def _row(key: Key) -> tuple[str, str, str, str]:
    return (key.group, key.type, key.namespace, key.name)


def _load(connection: sqlite3.Connection, path: Path) -> Registry:
    """Everything that is stored, read as strictly as when it came in."""
    revision, rows = contents(connection, path)
    resources, problems = list[Resource](), list[Problem]()
    for name, wire in rows:
        try:
            resources.append(read(json.loads(wire)))
        except Problems as found:
            problems += [problem.at(Place(f"{path} {name}")) for problem in found.problems]
        except (ValueError, RecursionError) as error:
            raise damaged(path, f"{name} is not JSON") from error
    if problems:
        raise Problems(problems)
    return Registry().changed(resources, revision=revision)
