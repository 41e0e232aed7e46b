"""A command in a sandbox without a server: `python sealed.py COMMAND`, and the same as a function.

Directories in SEALED_HIDDEN (separated by colons) are hidden from it.
"""

import os
import subprocess
import sys
from pathlib import Path

from exitway.capture.job import end_like
from exitway.capture.sandbox import Sandbox

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


if __name__ == "__main__":
    sandbox = Sandbox("test", [Path(path) for path in os.environ.get("SEALED_HIDDEN", "").split(":") if path])
    sandbox.ready()
    end_like(sandbox.execute(sys.argv[1:]))
