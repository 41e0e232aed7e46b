"""A command in a sandbox without a server: `python sealed.py COMMAND`, and the same as a function.

Directories in SEALED_HIDDEN (separated by colons) are hidden from it.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from exitway.capture.job import end_like
from exitway.capture.sandbox import Sandbox
from exitway.capture.seal import Seal

SEALED = (sys.executable, __file__)


def sealed(*command, timeout=60, **options):
    """Run it to its end; stdout and stderr are text."""
    options = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, **options}
    return subprocess.run([*SEALED, *command], timeout=timeout, check=False, **options)


def sealed_python(program, *arguments, **options):
    """Run a Python program inside; what it prints."""
    ended = sealed(sys.executable, "-c", program, *arguments, **options)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@dataclass
class Started:
    """A running one. ``pids``: the first process of its namespaces, then the command."""

    process: subprocess.Popen[bytes]
    input: IO[bytes]
    output: IO[bytes]

    @property
    def pids(self):
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def netns(self):
        return Path(f"/proc/{self.pids[0]}/ns/net")


@contextmanager
def started(*command, before=SEALED, **options):
    """Start it, and return when it has said that it is ready."""
    with subprocess.Popen(
        [*before, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, **options
    ) as process:
        assert process.stdin
        assert process.stdout
        run = Started(process, process.stdin, process.stdout)
        try:
            assert run.output.readline() == b"ready\n"
            yield run
        finally:
            process.kill()


if __name__ == "__main__":
    sandbox = Sandbox(
        Seal.prepare("test", [Path(path) for path in os.environ.get("SEALED_HIDDEN", "").split(":") if path])
    )
    sandbox.ready()
    end_like(sandbox.execute(sys.argv[1:]))
