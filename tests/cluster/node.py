"""The parts of the node, and the processes of its pods, as the machine sees them: to be killed or held by a test."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.cluster import STATE, Pod, kubectl, until


def part(name: str) -> int:
    """The process of a part of the node, such as ``kube-apiserver``; it is started again half a second after it dies."""
    program = str(STATE / "bin" / name)
    return until(lambda: next((pid for pid, command in _processes() if command[0] == program), 0))


def of_pod(pod: Pod, program: str) -> list[int]:
    """The processes of a pod whose command has this word (its last path component), oldest first; there is one, or there will be."""
    uid = pod.get()["metadata"]["uid"]

    def look() -> list[int]:
        found = [(pid, command) for pid, command in _processes() if uid in _read(Path(f"/proc/{pid}/cgroup"))]
        return [pid for pid, command in found if program in [word.rpartition("/")[2] for word in command]]

    return until(look)


def log(pod: Pod) -> list[str]:
    """What the program of a pod has written, line by line; nobody is asked for it, as nobody may answer."""
    root = Path(f"/proc/{(STATE / 'pid').read_text().strip()}/root")
    files = sorted(root.glob(f"var/log/pods/{pod.namespace}_{pod.name}_*/app/*.log"))
    return [line.split(" ", 3)[3] for file in files for line in _read(file).splitlines()]  # time, stream, F, text


def kill(pid: int) -> None:
    """End a process as nothing else does, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    until(
        lambda: (
            not Path(f"/proc/{pid}/root").exists()
            or _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] == ["Z"]
        )
    )


@contextmanager
def held(*pids: int) -> Iterator[None]:
    """Processes that do nothing for as long as the block: whoever asks them waits."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def answers() -> None:
    """Wait until the API server does."""
    until(lambda: "ok" in kubectl("get", "--raw=/readyz", check=False), 60)


def afresh() -> None:
    """Start again who serves the API's objects: after an outage, each of their watches waits up to a minute before it asks again."""
    for name in ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
        kill(part(name))


def during(fault: Callable[[], None], seconds: float) -> None:
    """Let a fault happen, and give it time to show."""
    fault()
    time.sleep(seconds)


def _processes() -> Iterator[tuple[int, list[str]]]:
    for path in Path("/proc").glob("[0-9]*"):
        command = _read(path / "cmdline").split("\0")[:-1]
        if command:
            yield int(path.name), command


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # it has just ended
        return ""
