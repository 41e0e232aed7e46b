"""The history's file: made, opened for its one writer, opened for reading."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exitway.resources.problem import Problem, Problems

_log = logging.getLogger("exitway")

APPLICATION_ID = 0x45585746  # "EXWF"
SCHEMA_VERSION = 2
_SCHEMA = """
BEGIN;
CREATE TABLE flow (
    id INTEGER PRIMARY KEY, time TEXT NOT NULL, last TEXT NOT NULL, count INTEGER NOT NULL, workload TEXT NOT NULL, name TEXT NOT NULL,
    asked TEXT NOT NULL,
    address TEXT NOT NULL, port INTEGER NOT NULL, protocol TEXT NOT NULL, verdict TEXT NOT NULL, reason TEXT NOT NULL, rule TEXT NOT NULL,
    direct INTEGER NOT NULL, audit INTEGER NOT NULL, detail TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, sni TEXT NOT NULL,
    status INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL, duration INTEGER NOT NULL, upstream TEXT NOT NULL,
    process TEXT NOT NULL, labels TEXT NOT NULL
);
CREATE INDEX flow_workload ON flow (workload);
CREATE INDEX flow_last ON flow (last);
CREATE TABLE rule_use (rule TEXT PRIMARY KEY, last TEXT NOT NULL, count INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mark (only INTEGER PRIMARY KEY CHECK (only = 1), value TEXT NOT NULL, next INTEGER NOT NULL);
INSERT INTO mark VALUES (1, '', 1);
PRAGMA application_id = %d;
PRAGMA user_version = %d;
COMMIT;
"""
# NORMAL: what is written survives a server that is killed, and the last of it not a machine that loses its power.
_PRAGMAS = ("journal_mode = WAL", "synchronous = NORMAL", "journal_size_limit = 16777216")
_BUSY_SECONDS = 1.0


class OtherVersion(sqlite3.DatabaseError):
    """The file is Exitway's, in another form."""


def writing(path: Path) -> sqlite3.Connection:
    """For the writer. The file is made if there is none; one that is damaged, or of another version, is put aside as ``.damaged``.

    Raises:
        sqlite3.OperationalError, OSError: it cannot be read or written now.
    """
    try:
        return _opened(path)
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise
        put_aside(path, error)
        return _opened(path)


def is_damaged(error: sqlite3.Error) -> bool:
    """Whether no later try can go better."""
    return type(error) in (sqlite3.DatabaseError, OtherVersion)


def put_aside(path: Path, why: Exception) -> None:
    """Make room for a file that is whole."""
    _log.warning("the flows so far cannot be used (%s); they are in %s.damaged", why, path)
    for part in ("", "-wal", "-shm"):
        one = Path(f"{path}{part}")
        if one.exists():
            one.replace(f"{path}.damaged{part}")


def beside(path: Path) -> sqlite3.Connection:
    """A second connection of the writer.

    Raises:
        sqlite3.Error: it cannot be used.
    """
    return _checked(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", _BUSY_SECONDS, uri=True))


def reading(path: Path) -> sqlite3.Connection:
    """For all others.

    Raises:
        Problems: there is none, or it cannot be read.
    """
    with readable(path):
        if path.exists():
            return _checked(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", _BUSY_SECONDS, uri=True))
    hint = "they are written while a server runs; EXITWAY_STATE_DIR says where"
    raise Problems([Problem("EXW1601", f"there are no flows: {path} does not exist", hint)])


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What is wrong with a file that is read becomes :class:`Problems`, values that nobody knows included."""
    try:
        yield
    except (sqlite3.Error, OSError, ValueError, KeyError) as error:
        hint = "check the file's owner and mode; one that is damaged is put aside by a server that writes to it"
        if isinstance(error, OtherVersion):
            hint = f"that one can read it; a server of this version puts it aside as {path.name}.damaged"
        raise Problems([Problem("EXW1602", f"the flows in {path} cannot be read: {error}", hint)]) from error


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, _BUSY_SECONDS)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
        if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            connection.executescript(_SCHEMA % (APPLICATION_ID, SCHEMA_VERSION))
    except BaseException:
        connection.close()
        raise
    return _checked(connection)


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection, on which no transaction is begun but by us; closed if the file is not what we wrote."""
    try:
        connection.isolation_level = None
        _check(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _check(connection: sqlite3.Connection) -> None:
    names = "application_id", "user_version"
    application, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names)
    if application != APPLICATION_ID:
        raise sqlite3.DatabaseError(f"it is of application {application:#x}, not ours")
    if version != SCHEMA_VERSION:
        raise OtherVersion(f"another version of Exitway has written it (form {version}, not {SCHEMA_VERSION})")
