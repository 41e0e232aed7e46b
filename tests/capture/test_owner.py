"""A process is told by its connection while that is there, and afterwards only where there can be no doubt."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from exitway.capture import kernel
from exitway.capture.owner import named, owner
from tests.features.conftest import eventually

pytestmark = pytest.mark.lab
OWN = Path("/proc/self/ns/net")


def said(end):
    return f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_a_connection_is_its_processs(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        with socket.create_connection(listener.getsockname()[:2]) as client:
            ends = said(client.getsockname()), said(client.getpeername())
            assert owner(OWN, 0, *ends) == named(os.getpid())
        assert not owner(OWN, 0, *ends)
    assert not owner(OWN, 0, "", "nonsense")
    assert not owner(Path("/proc/self/nothing"), 0, *ends)


@contextmanager
def inside(script):
    """A Python program in a network namespace of its own; yields its id."""

    def enter():
        kernel.unshare(kernel.CLONE_NEWNET)

    with subprocess.Popen(
        [sys.executable, "-c", f"{script}; print(flush=True); input()"],
        preexec_fn=enter,  # noqa: PLW1509
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as program:
        assert program.stdout and program.stdout.readline()
        yield program.pid
        program.communicate(b"\n")


ENDED = ("127.0.0.1:5", "127.0.0.1:6")


def test_what_has_ended_was_the_only_processs_if_it_has_had_no_children():
    with inside("pass") as alone:
        netns = Path(f"/proc/{alone}/ns/net")
        assert owner(netns, 0, *ENDED) == eventually(lambda: named(alone))
        assert not owner(netns, alone, *ENDED)  # it only holds the namespace
    with inside("import subprocess; subprocess.run(['true'])") as parent:
        assert not owner(Path(f"/proc/{parent}/ns/net"), 0, *ENDED)
    with inside("import subprocess; child = subprocess.Popen(['sleep', '9'])") as two:
        assert not owner(Path(f"/proc/{two}/ns/net"), 0, *ENDED)
