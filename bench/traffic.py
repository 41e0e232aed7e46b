"""HTTP over keep-alive connections: requests/s at 16 connections, latency at one, processor time and memory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, TypeVar

from contenders import NONE, PROXY_PORT, Contender
from process import BENCH, LOAD_CORES, cpu_seconds, on, rss_mb
from world import status


class Rated(Protocol):
    @property
    def per_second(self) -> float: ...


Taken = TypeVar("Taken", bound=Rated)


@dataclass(frozen=True)
class Sample:
    """One contender in one round."""

    per_second: float
    """Requests."""
    p50_ms: float
    p99_ms: float
    """Latency of one connection that asks again as soon as it is answered."""
    cpu_seconds_per_10k: float
    rss_mb: tuple[float, ...]
    """Of each of its processes, the largest first."""


@dataclass(frozen=True)
class Load:
    """What wrk saw."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float


@contextmanager
def started(contender: Contender) -> Iterator[None]:
    try:
        contender.start()
        yield
    finally:
        contender.stop()


def sample(contender: Contender, seconds: int) -> Sample:
    with started(contender):
        verify(contender)
        before = cpu_seconds(contender.pids)
        busy = wrk(contender, 16, seconds)
        cpu = cpu_seconds(contender.pids) - before
        memory = tuple(sorted(map(rss_mb, contender.pids), reverse=True))
        alone = wrk(contender, 1, seconds)
    return Sample(busy.requests / busy.seconds, alone.p50_ms, alone.p99_ms, cpu / busy.requests * 10_000, memory)


def verify(contender: Contender, scheme: str = "http") -> None:
    """Nothing is measured that does not let the allowed host through and keep the other one back (which the world does have)."""
    hosts = (contender.allowed, contender.denied)
    allowed, denied = (status(contender.prefix, contender.curl_options, host, scheme) for host in hosts)
    if allowed != "200" or (denied == "200") != (contender.name == NONE):
        raise RuntimeError(f"{contender.name}: HTTP {allowed} for the allowed host, {denied} for the denied one")


def wrk(contender: Contender, connections: int, seconds: int, scheme: str = "http", *, close: bool = False) -> Load:
    """``close``: a new connection for each request."""
    host = contender.allowed
    options = [
        "--threads",
        "1",
        "--connections",
        f"{connections}",
        "--duration",
        f"{seconds}s",
        "--header",
        f"Host: {host}",
        "--script",
        str(BENCH / "wrk.lua"),
        *(["--header", "Connection: close"] if close else []),
    ]
    url = f"{scheme}://{host}/"
    target = [f"http://127.0.0.1:{PROXY_PORT}/", "--", url] if contender.absolute_form else [url]
    finished = subprocess.run(
        [*contender.prefix, *on(LOAD_CORES), "wrk", *options, *target], capture_output=True, text=True, check=True
    )
    seen = json.loads(finished.stdout.strip().splitlines()[-1])
    failed = seen["errors"] + (seen["closed"] if contender.keep_alive else 0)
    if failed:
        raise RuntimeError(f"{failed} of {seen['requests']} requests failed")
    return Load(seen["requests"], seen["microseconds"] / 1e6, seen["p50"] / 1000, seen["p99"] / 1000)


def measure(
    contenders: list[Contender], rounds: int, take: Callable[[Contender], Taken]
) -> tuple[dict[str, list[Taken]], list[str]]:
    """Every contender once in each round; (samples by name, a sentence for each that fell out)."""
    samples: dict[str, list[Taken]] = {}
    failures: dict[str, str] = {}
    for number in range(rounds):
        turn = number % len(contenders)
        for contender in contenders[turn:] + contenders[:turn]:
            if contender.name in failures:
                continue
            try:
                samples.setdefault(contender.name, []).append(take(contender))
            except (RuntimeError, OSError, subprocess.SubprocessError) as error:
                failures[contender.name] = f"{contender.name} fell out in round {number + 1}: {error}"
                print(failures[contender.name])
    return {
        contender.name: samples[contender.name]
        for contender in contenders
        if samples.get(contender.name) and contender.name not in failures
    }, list(failures.values())
