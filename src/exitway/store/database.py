"""The SQLite file: made whole or not at all, and opened only when it is sound, ours, of this schema, and nobody else's.

An empty store where a full one was expected would not let anything out, but it would lose rules. So a file that is empty, damaged, newer, or
missing beside its own log is refused, and never made anew.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from exitway.resources.problem import Problem, Problems
from exitway.store.change import Unavailable

APPLICATION_ID = 0x45585759  # "EXWY", https://www.sqlite.org/pragma.html#pragma_application_id
SCHEMA_VERSION = 1
_SCHEMA = """
BEGIN;
CREATE TABLE revision (only INTEGER PRIMARY KEY CHECK (only = 1), value INTEGER NOT NULL);
INSERT INTO revision VALUES (1, 0);
CREATE TABLE resource (api_group TEXT, type TEXT, namespace TEXT, name TEXT, wire TEXT NOT NULL,
                       PRIMARY KEY (api_group, type, namespace, name)) WITHOUT ROWID;
PRAGMA application_id = %d;
PRAGMA user_version = %d;
COMMIT;
"""
_CONTENTS = """
SELECT type || '/' || namespace || '/' || name, wire FROM resource ORDER BY type, namespace, name, api_group
"""
# WAL with FULL: each commit is flushed before it returns (https://www.sqlite.org/pragma.html#pragma_synchronous).
# EXCLUSIVE: a second server that opens the file is refused, and the lock goes with the process.
_PRAGMAS = (
    "busy_timeout = 0",
    "locking_mode = EXCLUSIVE",
    "journal_mode = WAL",
    "synchronous = FULL",
    "foreign_keys = ON",
)


def connect(path: Path) -> sqlite3.Connection:
    """Open the database, which is made if there is none.

    Raises:
        Problems: it cannot be used as it stands; the sentence says why, and nothing was changed.
    """
    try:
        if not path.exists():
            _create(path)
        _check_header(path)
        connection = sqlite3.connect(path, isolation_level=None)
    except (OSError, sqlite3.Error) as error:
        raise _problem(
            "EXW0501", path, f"cannot be opened: {error}", "check the directory's owner, mode and space"
        ) from error
    try:
        _prepare(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def contents(connection: sqlite3.Connection, path: Path) -> tuple[int, list[tuple[str, str]]]:
    """The revision, and each resource's name (for people) and JSON, in the order of their keys.

    Raises:
        Problems: the tables are not what they should be.
    """
    try:
        (revision,) = connection.execute("SELECT value FROM revision").fetchone() or (None,)
        rows = connection.execute(_CONTENTS).fetchall()
    except sqlite3.Error as error:
        raise damaged(path, str(error)) from error
    if not isinstance(revision, int):
        raise damaged(path, "it has no revision")
    return revision, rows


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All of the statements inside, on the disk when it is left; or none, and :class:`Unavailable`."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise Unavailable(f"the store cannot be written: {error}") from error


def _create(path: Path) -> None:
    if path.with_name(path.name + "-wal").exists():
        raise _problem(
            "EXW0502",
            path,
            "is missing, but its log (-wal) is there",
            "restore the file, or remove the log too to start empty",
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.with_name(fresh.name + "-journal").unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA % (APPLICATION_ID, SCHEMA_VERSION))
    fresh.replace(path)
    _flush(path.parent)


def _flush(directory: Path) -> None:
    """A rename is durable only when its directory was flushed."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_header(path: Path) -> None:
    """SQLite takes an empty file for a new database; it can only be one that was cut off."""
    with path.open("rb") as file:
        magic = file.read(16)
    if magic != b"SQLite format 3\0":
        raise damaged(path, "it is empty" if not magic else "it is not an SQLite file")


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        connection.execute("BEGIN IMMEDIATE")  # takes the exclusive lock now rather than at the first change
        connection.execute("COMMIT")
        _check_schema(connection, path)
        faults = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _problem(
                "EXW0503", path, "is in use by another server", "`exitway status` shows the one that runs"
            ) from error
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_FULL):
            raise _problem(
                "EXW0501", path, f"cannot be written: {error}", "check the file's owner and mode, and the space"
            ) from error
        raise damaged(path, str(error)) from error
    if faults != ["ok"]:
        raise damaged(path, "; ".join(faults))


def _check_schema(connection: sqlite3.Connection, path: Path) -> None:
    application, schema = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
    )
    if application != APPLICATION_ID:
        raise _problem("EXW0504", path, "is an SQLite file of another program", "name another state directory")
    if schema != SCHEMA_VERSION:
        text = f"has schema version {schema}, this Exitway knows {SCHEMA_VERSION}"
        raise _problem("EXW0505", path, text, "use the Exitway that wrote it, or a newer one")


def damaged(path: Path, why: str) -> Problems:
    """The problem of a file whose content cannot be trusted."""
    return _problem(
        "EXW0506",
        path,
        f"is damaged: {why}",
        "restore it from a copy; or move it away, and apply the rules again from their files",
    )


def _problem(code: str, path: Path, text: str, hint: str) -> Problems:
    return Problems([Problem(code, f"the store {path} {text}", hint)])
