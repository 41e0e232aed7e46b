"""The first process of a container: what it keeps running comes back, and ends with it."""

import os
import signal
import subprocess
import sys
import time

import pytest

KEEP = "import sys; from exitway.cluster.keeper import keep; sys.exit(keep(sys.argv[1:]))"
WORK = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print(os.getpid(), os.getppid(), flush=True)
while True: signal.pause()
"""


@pytest.fixture
def keeper():
    command = [sys.executable, "-c", KEEP, sys.executable, "-c", WORK]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


def test_what_is_killed_comes_back_and_what_is_told_to_end_ends(keeper):
    first, parent = map(int, keeper.stdout.readline().split())
    assert parent == keeper.pid
    os.kill(first, signal.SIGKILL)
    second, parent = map(int, keeper.stdout.readline().split())
    assert (second != first, parent) == (True, keeper.pid)
    keeper.terminate()
    assert keeper.wait(timeout=5) == 7


def test_it_ends_between_two_tries(keeper):
    for _ in range(6):
        os.kill(int(keeper.stdout.readline().split()[0]), signal.SIGKILL)
    began = time.monotonic()
    keeper.terminate()
    keeper.wait(timeout=5)
    assert time.monotonic() - began < 1
