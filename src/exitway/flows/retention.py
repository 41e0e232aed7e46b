"""How long flows are kept: what is too old is given up, and of too much the oldest of the workload that has the most.

So a flood pushes out nobody's flows but its own.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

from exitway.flows import file
from exitway.flows.flow import stamp
from exitway.flows.history import lost

_RULES_DAYS = 365
"""How much longer the last use of a rule is remembered: it is one line for each."""

_BATCH = 2000
_PAUSE_SECONDS = 0.05
"""The writer waits for one batch at most, and gets its turn in between."""
_CLEARED = 0.1
"""The part of the largest workload's flows that is given up before it is looked at again which one is the largest."""


def prune(path: Path, now: datetime, days: int, megabytes: int) -> int:
    """Give up flows whose last use is longer ago, and of more than so much; how many. Takes its time: it is for a thread of its own.

    Raises:
        Lost: the history cannot be written now.
    """
    oldest = _days_before(now, days)
    with lost(), closing(file.beside(path)) as connection:
        given_up = sum(_delete(connection, "last < ?", "last", oldest))
        connection.execute("DELETE FROM rule_use WHERE last < ?", (_days_before(now, days + _RULES_DAYS),))
        while size(connection) > megabytes * 2**20 and (most := _most(connection)):
            workload, count = most
            given_up += sum(_delete(connection, "workload = ?", "id", workload, limit=max(1, int(count * _CLEARED))))
    return given_up


def _days_before(now: datetime, days: int) -> str:
    return stamp(now - timedelta(days=days))


def size(connection: sqlite3.Connection) -> int:
    """The bytes in the file; what was given up is used again."""
    pages, free, one = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * one)


def _most(connection: sqlite3.Connection) -> tuple[str, int] | None:
    query = "SELECT workload, count(*) FROM flow GROUP BY workload ORDER BY 2 DESC LIMIT 1"
    most: tuple[str, int] | None = connection.execute(query).fetchone()
    return most


def _delete(
    connection: sqlite3.Connection, clause: str, order: str, value: str, limit: int | None = None
) -> Iterator[int]:
    """The first in this order, batch by batch: how many in each."""
    left = limit
    while left is None or left > 0:
        batch = _BATCH if left is None else min(_BATCH, left)
        query = f"DELETE FROM flow WHERE id IN (SELECT id FROM flow WHERE {clause} ORDER BY {order} LIMIT ?)"  # noqa: S608
        deleted = connection.execute(query, (value, batch)).rowcount
        yield deleted
        if deleted < batch:
            return
        left = None if left is None else left - deleted
        time.sleep(_PAUSE_SECONDS)
