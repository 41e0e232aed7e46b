"""The server in the background: starting it when it is needed, waiting until it answers, and holding it until we have arrived."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from exitway.cli.client import Client, Unreachable
from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

START_SECONDS = 30.0
POLL_SECONDS = 0.01


def answers(settings: Settings, server: Path | None = None) -> bool:
    """Whether a server answers."""
    try:
        Client(settings, server).request("GET", "/exitway/v1/status")
    except Unreachable:
        return False
    return True


class Background:
    """A server that answers, or one on its way: :meth:`wait` for it. Where several start at once, one starts it for all.

    From here to :meth:`release` a server that ends when idle does not end: it holds the lock of arrivals alone before it does.
    """

    def __init__(self, settings: Settings, *options: str) -> None:
        """Begin.

        Raises:
            Problems: there is no runtime directory, and none can be made.
        """
        self._settings = settings
        try:
            settings.runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._arrival = settings.arrivals.open("a")
            self._starting = settings.starting.open("a")
        except OSError as error:
            hint = "EXITWAY_RUNTIME_DIR names another directory"
            raise Problems([Problem("EXW0904", f"the server cannot be started: {error}", hint)]) from None
        fcntl.flock(self._arrival, fcntl.LOCK_SH)
        self._log = settings.runtime_dir / "server.log"
        self._child: subprocess.Popen[bytes] | None = None
        if not answers(settings) and self._first():
            self._child = self._start(*options)

    def wait(self, there: Callable[[], bool] | None = None) -> None:
        """Return when the server answers, or what is asked for is there.

        Raises:
            Problems: it does not come up; what it said is part of the problem.
        """
        until = time.monotonic() + START_SECONDS
        while not (there() if there else answers(self._settings)):
            ended = self._child.poll() is not None if self._child else self._first()
            if ended or time.monotonic() > until:
                raise Problems(
                    [Problem("EXW0904", f"the server did not start: {self._said()}", f"its log is {self._log}")]
                )
            time.sleep(POLL_SECONDS)
        if not there:
            self._starting.close()

    def release(self) -> None:
        """We have arrived, or gone: an idle server may end."""
        self._starting.close()
        self._arrival.close()

    def _first(self) -> bool:
        """Whether nobody else is starting one."""
        try:
            fcntl.flock(self._starting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        with self._log.open("wb") as output:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "exitway", "serve", *options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd="/",
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )

    def _said(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() if self._log.exists() else []
        return " / ".join(lines[-8:]) or "it says nothing"
