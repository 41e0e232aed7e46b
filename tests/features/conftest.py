"""A server of the test's own, in the lab, and the commands as a user types them."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from exitway.cli.client import Client
from exitway.flows.history import History
from exitway.lab.lab import Lab
from exitway.settings import Settings

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"


@dataclass
class Exitway:
    """Commands run against one server. ``directory`` holds what it needs, and vanishes with the test."""

    directory: Path

    @property
    def environment(self):
        return os.environ | {
            "EXITWAY_RUNTIME_DIR": str(self.directory / "run"),
            "EXITWAY_STATE_DIR": str(self.directory / "state"),
        }

    @property
    def settings(self):
        return Settings.from_environment(self.environment)

    def __call__(self, *arguments, check=True, **options):
        """Run ``exitway ARGUMENTS``; its stdout, without the last newline."""
        result = self.result(*arguments, **options)
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result.stdout.rstrip("\n")

    def result(self, *arguments, timeout=60, **options):
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            **options,
        )

    def start(self, *arguments, **options):
        """The same in the background, with pipes."""
        options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True} | options
        return subprocess.Popen(self.command(*arguments), env=self.environment, **options)

    def command(self, *arguments):
        return command(*arguments)

    def request(self, method, path, body=None):
        return Client(self.settings).request(method, path, body)

    def status(self):
        return self.request("GET", "/exitway/v1/status")

    def flows(self):
        """What was seen, oldest first."""
        if not self.settings.flow_db.exists():
            return []
        with closing(History(self.settings.flow_db, read_only=True)) as history:
            return [json.loads(flow.line()) for flow in history.select()]

    def flow(self, **wanted):
        """The first flow with these fields; waits for it."""
        return eventually(lambda: next((flow for flow in self.flows() if wanted.items() <= flow.items()), None))

    def down(self):
        self.result("down")


def command(*arguments):
    return [sys.executable, "-m", "exitway", *map(str, arguments)]


SOON_SECONDS = 3.0
"""On a busy machine; on an idle one it takes a few tenths. What is not cut at all lives longer than any test."""


def eventually(question, seconds=10.0):
    """The first true answer."""
    until = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < until, "it did not come to pass"
        time.sleep(0.01)
    return answer


@contextmanager
def running() -> Iterator[Exitway]:
    """Commands without a server running; whatever server they start is stopped at the end."""
    directory = Path(tempfile.mkdtemp(prefix="exitway-"))  # short: a Unix socket's path is limited
    one = Exitway(directory)
    try:
        yield one
    finally:
        one.down()
        shutil.rmtree(directory)


class _Greeting(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(GREETING.encode())

    def log_message(self, *_):
        pass


GREETING = "the machine's own"


@pytest.fixture
def own_port():
    """A server on the machine's loopback, which says :data:`GREETING`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Greeting) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield one.server_port
        one.shutdown()


@pytest.fixture
def exitway(lab: Lab) -> Iterator[Exitway]:
    with running() as one:
        yield one


@pytest.fixture
def server(exitway: Exitway) -> Exitway:
    """Commands with `exitway up` done."""
    exitway("up")
    return exitway
