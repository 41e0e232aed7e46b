"""The Envoy process. It outlives the server that started it, and the next server adopts it: no packet notices.

It is started in a session of its own and found again by its process id, start time and executable, which are written beside its sockets.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from exitway.envoy.api import Json
from exitway.processes import Process

END_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class EnvoyProcess:
    """Where one Envoy keeps its files: its bootstrap, its log, and the record by which it is found again."""

    binary: Path
    directory: Path
    concurrency: int

    def running(self) -> Process | None:
        """The Envoy that an earlier server left behind, if it still runs."""
        try:
            record = json.loads(self._record.read_text())
            process = Process(record["pid"], record["start_time"])
        except (OSError, ValueError, KeyError):
            return None
        return process if process.alive else None

    def bootstrap_changed(self, bootstrap: Json) -> bool:
        """Whether the running Envoy was started with another bootstrap than this."""
        try:
            return bool(json.loads(self._bootstrap.read_text()) != json.loads(json.dumps(bootstrap)))
        except (OSError, ValueError):
            return True

    def start(self, bootstrap: Json) -> Process:
        """Start Envoy. Its log goes to ``envoy.log`` in the directory; it inherits our limit of open files."""
        self._bootstrap.write_text(json.dumps(bootstrap))
        arguments = [
            str(self.binary), "--config-path", str(self._bootstrap), "--disable-hot-restart", "--concurrency", str(self.concurrency),
            "--log-level", "warning", "--component-log-level", "misc:error,main:error,config:error",
            "--file-flush-interval-msec", "100", "--drain-time-s", "1",
        ]  # fmt: skip
        with (self.directory / "envoy.log").open("ab") as log:
            child = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={"PATH": "/usr/bin:/bin"},
            )
        process = Process.of(child.pid)
        if process is None:
            raise RuntimeError(f"Envoy ended at once; see {self.directory / 'envoy.log'}")
        self._record.write_text(json.dumps({"pid": process.pid, "start_time": process.start_time}))
        return process

    def stop(self) -> None:
        """End the running Envoy, if any, and remove what it leaves but its log. It writes its access log to the end, if it can."""
        process = self.running()
        if process is not None:
            _end(process)
        for path in (self._record, self._bootstrap, self.directory / "envoy-admin.sock"):
            path.unlink(missing_ok=True)

    @property
    def _record(self) -> Path:
        return self.directory / "envoy.json"

    @property
    def _bootstrap(self) -> Path:
        return self.directory / "envoy-bootstrap.json"


def _end(process: Process) -> None:
    until = time.monotonic() + END_SECONDS
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
        while process.alive and time.monotonic() < until:
            time.sleep(0.005)
        if process.alive:
            os.kill(process.pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):  # adopted: another's child
        os.waitpid(process.pid, 0)
