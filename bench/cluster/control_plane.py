"""1,000 simulated proxies on one replica of the control plane, over TLS: how long until all are configured, and until the last has acknowledged a change.

Writes bench/cluster/CONTROL_PLANE.md. The load (adsload, Go) runs on the same machine and takes about as much processor time as the replica.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROXIES, ROUNDS, PORT = 1000, 4, 15713


@dataclass(frozen=True)
class Case:
    """So many hosts, a rule for each, in so many namespaces (1: all see all); what a rule allows; the targets, in seconds and MB."""

    hosts: int
    namespaces: int
    protocols: str
    told: float
    connected: float = 2.0
    memory: float = 200

    def __str__(self) -> str:
        seen = "seen by all" if self.namespaces == 1 else f"in {self.namespaces} namespaces"
        return f"{self.hosts:,} hosts {seen}, {self.protocols.replace(',', ' and ').upper()}"


CASES = [
    Case(100, 1, "http", 0.3),
    Case(1_000, 1, "http", 0.3),
    Case(10_000, 1, "http", 1.0),
    Case(1_000, 1, "tls,http", 0.3),
    Case(10_000, 1, "tls,http", 1.0),
    Case(10_000, 100, "http", 0.3),
]


def build(directory: Path) -> Path:
    binary = directory / "adsload"
    subprocess.run(["go", "build", "-o", str(binary), "."], cwd=HERE / "adsload", check=True)
    return binary


def measure(case: Case, adsload: Path, directory: Path) -> tuple[dict, list[dict]]:
    """What adsload says of the connecting, and of each change."""
    fifo = directory / "commands"
    options = ["--pods", PROXIES, "--hosts", case.hosts, "--namespaces", case.namespaces, "--protocols", case.protocols]
    command = [sys.executable, HERE / "replica.py", PORT, fifo, *options]
    with (directory / "log").open("w") as log:
        replica = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert replica.stdout
        assert replica.stdout.readline().startswith("ready"), (directory / "log").read_text()
        seen = case.namespaces == 1
        place = "exitway-system" if seen else "ns7"
        load = {
            "address": f"127.0.0.1:{PORT}",
            "n": PROXIES,
            "namespaces": case.namespaces,
            "expect": PROXIES if seen else PROXIES // case.namespaces,
            "token-template": "{i}",
            "marker": "marker-{i}.example",
            "marker-types": "lds,rds" if "tls" in case.protocols else "rds",
            "change": f"echo add {place} marker marker-{{i}}.example > {fifo}",
            "undo": f"echo remove {place} marker > {fifo}",
            "r": ROUNDS,
            "server-pid": replica.pid,
        }
        words = [f"-{name}={value}" for name, value in load.items()]
        said = subprocess.run([str(adsload), "-tls", *words], capture_output=True, text=True, check=True).stdout
        connected, *changes = map(json.loads, said.splitlines())
        return connected, changes
    finally:
        replica.terminate()
        replica.wait()


def row(case: Case, connected: dict, changes: list[dict]) -> list[str]:
    told = [change["last_ms"] / 1000 for change in changes]
    middle = statistics.median(told)
    memory = max(change["server_rss_mb"] for change in changes)
    return [
        str(case),
        _against(connected["last_ms"] / 1000, case.connected, "s"),
        f"{connected['bytes_per_stream'] / 1000:.1f}",
        f"{_against(middle, case.told, 's')} ({min(told):.2f} to {max(told):.2f})",
        f"{statistics.median(change['server_cpu_s'] for change in changes):.2f}",
        f"{statistics.median(change['bytes'] for change in changes) / 1000:,.0f}",
        _against(memory, case.memory, "MB"),
    ]


def _against(value: float, target: float, unit: str) -> str:
    shown = f"{value:.2f}" if unit == "s" else f"{value:.0f}"
    return f"{shown} {unit}" if value <= target else f"**{shown} {unit}** (target {target:g})"


HEADS = ["rules", "all connected", "kB for each", "the last told", "CPU s", "kB in all", "memory"]


def main() -> None:
    lines = [f"| {' | '.join(HEADS)} |", f"|{'---|' * len(HEADS)}"]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        adsload = build(directory)
        for case in CASES:
            cells = row(case, *measure(case, adsload, directory))
            lines.append(f"| {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    load = os.getloadavg()[1]
    about = (
        f"{PROXIES:,} proxies over TLS on one replica, everything on one machine of {os.cpu_count()} processors "
        f"(load {load:.1f} in the last five minutes). The last told: the median of {2 * ROUNDS} changes, a host more or less. Bold misses its target."
    )
    (HERE / "CONTROL_PLANE.md").write_text("\n".join(["# Control plane", "", about, "", *lines, ""]))


if __name__ == "__main__":
    main()
