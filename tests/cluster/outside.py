"""The lab's world as the outside of a cluster: ``python -m tests.cluster.outside DIRECTORY``, in the namespace ``kube-lab-world``.

It is the world of the other tests at other addresses, for pods have the ones it has there: 198.18.1.7 is 198.51.100.7, 198.18.2.x is
203.0.113.x, and 2001:db8::1:7 is 3fff::1:7.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exitway.capture import kernel
from exitway.capture.netns import in_netns
from exitway.lab import certificates, world, zone
from exitway.lab.lab import Arrivals, Lab

MOVED = {"198.18.0.": "203.0.113.20", "198.18.1.": "198.51.100.", "198.18.2.": "203.0.113.", "2001:db8::": "3fff::"}
NODE, WORLD = Path("/run/netns/kube-lab"), Path("/run/netns/kube-lab-world")


def _moved(address: str) -> str:
    old = next((old for old in MOVED if address.startswith(old)), "")
    return MOVED.get(old, "") + address.removeprefix(old)


def _move() -> None:
    """From now on this process knows the world where it is here. Not before it is needed: other tests know it where it was."""
    zone.ADDRESSES = {name: tuple(map(_moved, addresses)) for name, addresses in zone.ADDRESSES.items()}
    zone.MARKS = _moved(zone.MARKS)


class Seen(Arrivals):
    """What reached the world since the test began. The node is nearer to it than we are."""

    @staticmethod
    def _mark() -> int:
        return in_netns(NODE, Arrivals._mark)


class Outside(Lab):
    """The world that runs beside the node."""

    def watch(self) -> Seen:
        file = self.directory / world.WITNESS
        Seen(file, file.stat().st_size).packets()
        return Seen(file, file.stat().st_size)


@contextmanager
def running(directory: Path) -> Iterator[Outside]:
    """Serve from now on, in a process of its own; it ends with the block."""
    _move()
    (directory / world.WITNESS).touch()
    command = ["ip", "netns", "exec", WORLD.name, sys.executable, "-m", __spec__.name, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n", "the world did not start: does another one run?"
            yield Outside(directory)
        finally:
            process.terminate()


def main(directory: Path) -> None:
    kernel.die_with_parent()
    _move()
    certificates.make(directory)
    world.serve(directory, "eth0")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
