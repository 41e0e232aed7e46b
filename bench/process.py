"""Starting, watching and ending the processes that are measured."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

BENCH = Path(__file__).resolve().parent
RUN = Path("/run/bench")
"""Configurations, logs and sockets of one bench; on a tmpfs of the bench's own mount namespace."""

CORES = sorted(os.sched_getaffinity(0))
PROXY_CORE = {CORES[0]}
"""Every contender works here, on one thread."""
LOAD_CORES = set(CORES[1:2] or CORES)
"""The load and the origin work here, so that they take nothing from the contender."""


def find(command: str) -> str | None:
    """Path of a command, also of one that ``bench/setup`` installed for the bench alone."""
    places = [BENCH.parent / ".venv/bin", BENCH / ".cache/bin", BENCH / ".cache/npm/bin"]
    return shutil.which(command, path=os.pathsep.join([*map(str, places), os.environ["PATH"], "/usr/sbin", "/sbin"]))


def on(cores: set[int]) -> list[str]:
    return ["taskset", "--cpu-list", ",".join(map(str, sorted(cores)))]


def spawn(name: str, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a process that stays; what it says goes to a log of that name."""
    with (RUN / f"{name}.log").open("ab") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Return when something listens on 127.0.0.1; ``RuntimeError`` when the process has ended or the time is up."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")


def all_pids() -> set[int]:
    """Every process of the bench: it has a process namespace of its own."""
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()}


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def cpu_seconds(pids: set[int]) -> float:
    """User and system time so far."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids if command_of(pid)]
    return sum(int(stat[11]) + int(stat[12]) for stat in stats) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory, in MB of 2**20 bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
