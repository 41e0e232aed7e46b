"""The server in the background: starting it when it is needed, waiting until it answers."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

from exitway.cli.client import Client, Unreachable
from exitway.resources.problem import Problem, Problems
from exitway.settings import Settings

START_SECONDS = 20.0
POLL_SECONDS = 0.01


def answers(settings: Settings, server: Path | None = None) -> bool:
    """Whether a server answers."""
    try:
        Client(settings, server).request("GET", "/exitway/v1/status")
    except Unreachable:
        return False
    return True


def ensure_server(settings: Settings) -> None:
    """Start a server that ends with its last workload, unless one runs.

    Raises:
        Problems: it does not come up; what it said is part of the problem.
    """
    if not answers(settings):
        start_server(settings, "--until-idle")


def start_server(settings: Settings, *options: str) -> None:
    """Start a server in a session of its own, and return when it answers. Where several start at once, one wins and serves all."""
    settings.runtime_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    log = settings.runtime_dir / "server.log"
    with log.open("ab") as output:
        began = output.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "exitway", "serve", *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            cwd="/",
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
    until = time.monotonic() + START_SECONDS
    while not answers(settings):
        if (child.poll() is not None and not _being_started(settings)) or time.monotonic() > until:
            with log.open("rb") as said:
                said.seek(began)
                last = said.read().decode(errors="replace").strip().splitlines()[-8:]
            raise Problems(
                [
                    Problem(
                        "EXW0904",
                        "the server did not start: " + (" / ".join(last) or "it says nothing"),
                        f"its log is {log}",
                    )
                ]
            )
        time.sleep(POLL_SECONDS)


def _being_started(settings: Settings) -> bool:
    """Whether another server holds the lock: ours has ended because that one was first."""
    try:
        with settings.lock.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
