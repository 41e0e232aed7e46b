"""The flows at rest: an SQLite file, written by the one server of its directory and read by commands beside it.

A flow is written once, and what repeats it is counted onto it.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from exitway.flows import file
from exitway.flows.flow import Flow, Repeats, is_stamp
from exitway.flows.row import COLUMNS, flow_of, row_of, shown_key, stored_key
from exitway.names.call import Reason, Verdict

MOST_DESTINATIONS = 10_000
"""A flood makes as many as it likes; nobody looks at more."""

_INSERT = f"""
INSERT INTO flow ({", ".join(COLUMNS)}) VALUES ({", ".join("?" * len(COLUMNS))})
ON CONFLICT (id) DO UPDATE SET count = count + excluded.count, sent = sent + excluded.sent, received = received + excluded.received,
    duration = excluded.duration, status = excluded.status, detail = excluded.detail
"""  # noqa: S608
_COUNT = """
UPDATE flow SET count = count + ?, sent = sent + ?, received = received + ?, last = max(last, ?) WHERE id = ?
RETURNING CASE WHEN verdict = 'allow' OR reason = 'denied-by-rule' THEN rule ELSE '' END
"""
_USED = """
INSERT INTO rule_use VALUES (?, ?, ?)
ON CONFLICT (rule) DO UPDATE SET last = max(last, excluded.last), count = count + excluded.count
"""
_DESTINATIONS = """
SELECT * FROM (
    SELECT workload, coalesce(nullif(name, ''), address) AS destination, port, protocol, verdict, reason, rule, audit, sum(count), sum(sent),
           sum(received), max(last) AS newest
    FROM flow INDEXED BY flow_last WHERE last >= ? GROUP BY workload, destination, port, protocol, verdict, reason, rule, audit
    ORDER BY row_number() OVER (PARTITION BY workload, verdict ORDER BY max(last) DESC) LIMIT ?
) ORDER BY newest DESC
"""

_MARK = "SELECT value, next FROM mark"
_LARGEST = 2**63 - 1
"""More than that SQLite cannot be asked about: an id that no flow has, a limit that none comes to."""
_VERDICTS, _REASONS = {one.value: one for one in Verdict}, {one.value: one for one in Reason}


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a workload went, or wanted to: what was seen of it in all. ``name``: the name, or an address that nothing named."""

    workload: str
    name: str
    port: int
    protocol: str
    verdict: Verdict
    reason: Reason
    rule: str
    audit: bool
    count: int
    sent: int
    received: int
    last: str

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        return {name: getattr(self, name) for name in self.__slots__} | {"rule": self.rule or None}


class Lost(OSError):  # noqa: N818 - it is a state, which may pass
    """The history cannot be read or written now."""


class History:
    """The file. ``mark`` is where a writer had come to, kept with what it wrote; ``next_id`` the id of the next flow."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """A writer makes the file if there is none, and puts aside what it cannot use.

        Raises:
            Problems: there is nothing to read; here and from all that a reader asks.
            Lost: there can be nothing written; from all that a writer asks, if it can be neither written nor read.
        """
        self.path = path
        self._guarded: Callable[[], AbstractContextManager[None]] = partial(file.readable, path) if read_only else lost
        with self._guarded():
            self._connection = file.reading(path) if read_only else file.writing(path)
            self.mark, self.next_id = "", 1
            try:
                self._remember()
            except sqlite3.Error as error:
                if read_only or not file.is_damaged(error):
                    raise
                self._begin_anew(error)

    def write(self, flows: Sequence[Flow], repeats: Sequence[Repeats] = (), mark: str | None = None) -> set[int]:
        """Append flows, in the order of their ids, and count repeats: all, or none and :class:`Lost`. A flow without an id gets one.

        The ids of flows that were given up, so that nothing could be counted onto them.
        """
        numbered = self._numbered(flows)
        next_id = max([self.next_id, *(flow.id + 1 for flow in numbered)])
        mark = self.mark if mark is None else mark
        with lost():
            try:
                gone = self._write(numbered, repeats, mark, next_id)
            except sqlite3.Error as error:
                if not file.is_damaged(error):
                    raise
                self._begin_anew(error)
                gone = self._write(numbered, repeats, mark, next_id)
        self.mark, self.next_id = mark, next_id
        return gone

    def _write(self, flows: Sequence[Flow], repeats: Sequence[Repeats], mark: str, next_id: int) -> set[int]:
        with self._transaction():
            self._connection.executemany(_INSERT, [row_of(flow) for flow in flows])
            rules = [self._count(one) for one in repeats]
            self._connection.executemany(_USED, _used(flows, zip(repeats, rules, strict=True)))
            self._connection.execute("UPDATE mark SET value = ?, next = ?", (mark, next_id))
        return {one.id for one, rule in zip(repeats, rules, strict=True) if rule is None}

    def _remember(self) -> None:
        self.mark, self.next_id = self._connection.execute(_MARK).fetchone()

    def _begin_anew(self, why: sqlite3.Error) -> None:
        """What was written before is lost; what comes is not."""
        self._connection.close()
        file.put_aside(self.path, why)
        self._connection = file.writing(self.path)

    def select(  # noqa: PLR0913 - each narrows it
        self,
        *,
        namespace: str | None = None,
        workload: str | None = None,
        verdict: str | None = None,
        host: str | None = None,
        since: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Flow]:
        """Flows in the order of their ids; with a limit the newest, but the oldest of those ``after`` an id.

        ``workload``: ``namespace/name``, or a name of any namespace. ``host``: a name or an address, ``*`` stands for anything. ``since``: RFC 3339.
        """
        clauses, values = _clauses(namespace, workload, verdict, host, since)
        backwards = limit is not None and not after
        order = f"ORDER BY id {'DESC' if backwards else ''} LIMIT {-1 if limit is None else min(int(limit), _LARGEST)}"
        by = "INDEXED BY flow_last " * (since is not None)
        flows = self._flows(f"{by}WHERE {' AND '.join(['id > ?', *clauses])} {order}", (after, *values))
        return flows[::-1] if backwards else flows

    def get(self, identity: int) -> Flow | None:
        """The flow with this id."""
        return next(iter(self._flows("WHERE id = ?", (min(identity, _LARGEST),))), None)

    def destinations(self, since: str | None = None, limit: int = MOST_DESTINATIONS) -> list[Destination]:
        """What was seen of each destination, the latest first; counts are of whole flows, whose last use is not older than ``since``.

        Of more than ``limit``, each workload has its share, for what is allowed and for what is denied: nobody's flood hides anything but itself.
        """
        with self._guarded():
            rows = self._connection.execute(_DESTINATIONS, (since or "", limit)).fetchall()
            keys = {rule: shown_key(rule) for rule in {row[6] for row in rows}}
            return [
                Destination(
                    workload,
                    name,
                    port,
                    protocol,
                    _VERDICTS[verdict],
                    _REASONS[reason],
                    keys[rule],
                    bool(audit),
                    *numbers,
                )
                for workload, name, port, protocol, verdict, reason, rule, audit, *numbers in rows
            ]

    def rule_use(self) -> dict[str, tuple[str, int]]:
        """When a rule decided the last time, and how often, by its key as a string."""
        with self._guarded():
            rows = self._connection.execute("SELECT rule, last, count FROM rule_use").fetchall()
            if not all(is_stamp(last) and type(count) is int for _, last, count in rows):
                raise ValueError("a rule was used at no time, or no number of times")
        use: dict[str, tuple[str, int]] = {}
        for rule, last, count in rows:
            before = use.get(shown_key(rule), ("", 0))
            use[shown_key(rule)] = max(before[0], last), before[1] + count
        return use

    @contextmanager
    def moment(self) -> Iterator[None]:
        """What a reader reads inside is of one moment, ``next_id`` included."""
        with self._guarded():
            self._connection.execute("BEGIN")
        try:
            with self._guarded():
                self._remember()
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _numbered(self, flows: Sequence[Flow]) -> list[Flow]:
        ids = itertools.count(self.next_id)
        return [flow if flow.id else replace(flow, id=next(ids)) for flow in flows]

    def _count(self, one: Repeats) -> str | None:
        """The rule of its flow, or empty. None: there is no such flow."""
        values = (one.count, one.sent, one.received, one.last, one.id)
        found = self._connection.execute(_COUNT, values).fetchall()
        return str(found[0][0]) if found else None

    def _flows(self, which: str, values: Sequence[str | int]) -> list[Flow]:
        with self._guarded():
            rows = self._connection.execute(f"SELECT {', '.join(COLUMNS)} FROM flow {which}", values).fetchall()  # noqa: S608
            return [flow_of(row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


@contextmanager
def lost() -> Iterator[None]:
    """SQLite's errors become :class:`Lost`."""
    try:
        yield
    except sqlite3.Error as error:
        raise Lost(str(error)) from error


def _clauses(
    namespace: str | None, workload: str | None, verdict: str | None, host: str | None, since: str | None
) -> tuple[list[str], list[str]]:
    glob = (host or "").replace("[", "[[]").replace("?", "[?]").lower()
    chosen = [
        ("workload >= ? || '/' AND workload < ? || '0'", namespace, 2),  # "0" comes after "/"
        ("workload = ?" if "/" in (workload or "") else "substr(workload, instr(workload, '/') + 1) = ?", workload, 1),
        ("verdict = ?", verdict, 1),
        ("(name GLOB ? OR address GLOB ?)", glob or None, 2),
        ("last >= ?", since, 1),
    ]
    given = [(clause, value, times) for clause, value, times in chosen if value is not None]
    return [clause for clause, _, _ in given], [value for _, value, times in given for _ in range(times)]


def _used(flows: Iterable[Flow], repeats: Iterable[tuple[Repeats, str | None]]) -> list[tuple[str, str, int]]:
    """Which rule decided, when the last time, and how often. The nearest one of a denial did not."""
    used: dict[str, tuple[str, int]] = {}
    deciding = [flow for flow in flows if flow.decision.allowed or flow.decision.reason is Reason.DENIED]
    seen = [(stored_key(flow.decision.because), flow.last or flow.time, flow.count) for flow in deciding]
    for rule, time, times in [*seen, *((rule, one.last, one.count) for one, rule in repeats)]:
        if rule:
            last, count = used.get(rule, ("", 0))
            used[rule] = max(last, time), count + times
    return [(rule, *use) for rule, use in used.items()]
