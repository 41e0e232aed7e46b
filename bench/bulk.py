"""How often and how much: requests or new connections a second at 16 connections, MB/s of one large answer, and what they cost."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

from contenders import Contender
from process import LOAD_CORES, cpu_seconds, on
from traffic import started, verify, wrk
from world import BULK_BYTES


@dataclass(frozen=True)
class Rate:
    """One contender in one round."""

    per_second: float
    """Requests or connections."""
    cpu_seconds_per_10k: float
    mb_per_second: float
    cpu_seconds_per_gb: float


def tls(contender: Contender, seconds: int) -> Rate:
    """New TLS connections, each with one request."""
    return _sample(contender, seconds, "https", close=True)


def direct(contender: Contender, seconds: int) -> Rate:
    """Requests in clear text over keep-alive connections."""
    return _sample(contender, seconds, "http", close=False)


def _sample(contender: Contender, seconds: int, scheme: str, *, close: bool) -> Rate:
    with started(contender):
        verify(contender, scheme)
        idle = cpu_seconds(contender.pids)
        load = wrk(contender, 16, seconds, scheme, close=close)
        busy = cpu_seconds(contender.pids)
        speed = _download(contender, scheme)
        end = cpu_seconds(contender.pids)
    gigabytes = BULK_BYTES / 1e9
    return Rate(
        load.requests / load.seconds, (busy - idle) / load.requests * 10_000, speed / 1e6, (end - busy) / gigabytes
    )


def _download(contender: Contender, scheme: str) -> float:
    """Bytes a second."""
    curl = [
        "curl",
        "--silent",
        "--fail",
        "--insecure",
        "--output",
        "/dev/null",
        "--write-out",
        "%{speed_download} %{size_download}",
    ]
    command = [
        *contender.prefix,
        *on(LOAD_CORES),
        *curl,
        *contender.curl_options,
        f"{scheme}://{contender.allowed}/bulk",
    ]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    speed, size = finished.stdout.split()
    if int(size) != BULK_BYTES:
        raise RuntimeError(f"{contender.name}: {size} of {BULK_BYTES} bytes came")
    return float(speed)
