"""A PostgreSQL, made and started when the first connection comes; whoever connects speaks with it.

It listens on a Unix socket, so the witness sees each connection where it arrives. A machine without PostgreSQL has no database in its lab.
"""

from __future__ import annotations

import glob
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

from exitway.lab.servers import Connection

USER = "lab"
PORT = 5432

_AS_A_USER = ["unshare", "--user", "--map-user=1000", "--map-group=1000"]
"""PostgreSQL refuses to be run by root, which is all there is in here."""


def program() -> str | None:
    """The path of ``postgres``; Debian keeps it away from ``PATH``. None: it is not installed."""
    return shutil.which("postgres") or max(glob.glob("/usr/lib/postgresql/*/bin/postgres"), default=None)  # noqa: PTH207  three words of pathlib's would be nine


class Database:
    """One PostgreSQL in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._starting = threading.Lock()
        self._started = False

    def talk(self, connection: Connection) -> None:
        """Lead a connection to it; where there is none, close."""
        with self._starting:
            if not self._started:
                self._start()
                self._started = True
        with socket.socket(socket.AF_UNIX) as database:
            database.connect(str(self._directory / f".s.PGSQL.{PORT}"))
            back = threading.Thread(target=_copy, args=(database, connection.socket), daemon=True)
            back.start()
            _copy(connection.socket, database)
            back.join()

    def _start(self) -> None:
        postgres = program()
        if postgres is None:
            raise FileNotFoundError("postgres")
        self._directory.mkdir(exist_ok=True)
        commands = str(Path(postgres).resolve().parent)
        at = ["-D", str(self._directory / "data")]
        make = [
            f"{commands}/initdb",
            *at,
            "--no-sync",
            "--auth=trust",
            "--no-locale",
            "--encoding=UTF8",
            f"--username={USER}",
        ]
        start = [f"{commands}/pg_ctl", *at, "start", "-w", "-o", f"-F -h '' -k {self._directory}"]
        for command in (make, start):
            subprocess.run([*_AS_A_USER, *command], check=True, stdout=sys.stderr)


def _copy(source: socket.socket, target: socket.socket) -> None:
    while data := source.recv(65536):
        target.sendall(data)
    target.shutdown(socket.SHUT_WR)
