"""The result table: medians over repeats, and ratios, since machines are noisy and differ."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TypeVar

from changes import CASES
from contenders import NONE
from memory import FEW, MANY
from traffic import Rated, Sample

Row = Iterable[object]
Times = dict[str, list[float]]
Target = tuple[str, float | None, float, bool]
"""What was wanted, what it is, the limit, and whether more is better."""
Taken = TypeVar("Taken", bound=Rated)
ISTIO, SQUID, EXITWAY = "Istio's shape, 1,000 hosts", "Squid", "Exitway, 10 hosts"
MISSING = "-"


def table(head: Row, rows: Iterable[Row]) -> str:
    head = list(head)
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def machine(versions: list[str], commands: str) -> str:
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    facts = [
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {commit or 'unknown'}, `{commands}`",
        f"{len(os.sched_getaffinity(0))} cores ({cpu}), {memory:.0f} GB, Linux {platform.release()}, Python {platform.python_version()}",
        f"load over the minute before: {os.getloadavg()[0]:.1f} (idle is below 0.5; above 1 the numbers are worth little)",
        *versions,
    ]
    return "## The machine\n\n" + "\n".join(f"- {fact}" for fact in facts)


def versus(
    samples: dict[str, list[Taken]],
    name: str,
    other: str,
    value: Callable[[Taken], float],
    combine: Callable[[float, float], float],
) -> float | None:
    """Median over rounds of a comparison made inside each round."""
    if name not in samples or other not in samples:
        return None
    return median(
        combine(value(mine), value(theirs)) for mine, theirs in zip(samples[name], samples[other], strict=True)
    )


def ratio(
    samples: dict[str, list[Taken]],
    name: str,
    other: str,
    value: Callable[[Taken], float] = lambda sample: sample.per_second,
) -> float | None:
    return versus(samples, name, other, value, lambda mine, theirs: mine / theirs)


def added(samples: dict[str, list[Sample]], name: str, value: Callable[[Sample], float]) -> float | None:
    return versus(samples, name, NONE, value, lambda mine, theirs: mine - theirs)


def number(value: float | None, form: str = ".2f") -> str:
    return MISSING if value is None else format(value, form)


def spread(values: list[float], form: str, scale: float = 1) -> str:
    """Median, least and most."""
    return f"{median(values) * scale:{form}} ({min(values) * scale:{form}} to {max(values) * scale:{form}})"


def traffic(samples: dict[str, list[Sample]], rounds: int, seconds: int) -> str:
    head = [
        "",
        "requests/s",
        f"÷ {NONE}",
        "÷ Squid",
        "÷ Istio's shape",
        "added p50, ms",
        "added p99, ms",
        "CPU s / 10,000",
        "RSS, MB",
    ]
    rows = [
        [
            name,
            spread([sample.per_second for sample in taken], ",.0f"),
            *(number(ratio(samples, name, other)) for other in (NONE, SQUID, ISTIO)),
            *(
                number(None if name == NONE else added(samples, name, value), ".3f")
                for value in (lambda sample: sample.p50_ms, lambda sample: sample.p99_ms)
            ),
            number(median(sample.cpu_seconds_per_10k for sample in taken) if name != NONE else None),
            " + ".join(f"{megabytes:.0f}" for megabytes in taken[-1].rss_mb) or MISSING,
        ]
        for name, taken in samples.items()
    ]
    none = (
        f" With {NONE}: p50 {median(s.p50_ms for s in samples[NONE]):.3f} ms, p99 {median(s.p99_ms for s in samples[NONE]):.3f} ms."
        if NONE in samples
        else ""
    )
    return f"""## HTTP over keep-alive connections

1 kB of body; {rounds} rounds of {seconds} s, each contender once in each round and started anew; medians (least to most), and ratios and differences taken inside each round.
Requests/s, processor time and memory at 16 connections; latency at one connection, which asks again as soon as it is answered.{none}
Each contender has one thread on one core, and first proved that it lets one host of its list through and keeps a host off the list back; load and origin share another core.
The lists have ten hosts unless it says otherwise. Squid, HAProxy, tinyproxy (which closes after each answer) and mitmproxy are asked as forward proxies over loopback and log nothing; the Istio shape is redirected to and writes Istio's access log; Exitway's client is sealed, and its memory is Envoy + control plane + the rest.

{table(head, rows)}"""


def startup(times: Times) -> str:
    plain = times.get("true")
    rows = [
        [
            f"`{name}`" if name == "true" else name,
            spread(taken, ".0f", 1000),
            number((median(taken) - median(plain)) * 1000 if plain else None, ".0f"),
        ]
        for name, taken in times.items()
    ]
    return f"## Start-up\n\nWhole commands by hyperfine, in milliseconds: median (least to most).\n\n{table(['', 'ms', 'over `true`'], rows)}"


def changes(times: dict[tuple[str, int, int], list[float]]) -> str:
    rows = [
        [
            workloads,
            f"{hosts:,}",
            *(
                spread(times[what, workloads, hosts], ".0f", 1000) if (what, workloads, hosts) in times else MISSING
                for what in ("exitway create", "server's share")
            ),
        ]
        for workloads, hosts in CASES
    ]
    head = [
        "workloads",
        "hosts allowed before",
        "`exitway create`, ms",
        "of it, request to answer on the API socket, ms",
    ]
    return f"## From `create` to the acknowledgement of every proxy\n\nA rule for one more host; median (least to most).\n\n{table(head, rows)}"


def memory(taken: dict[tuple[str, int], list[float]]) -> str:
    names = dict.fromkeys(name for name, _ in taken)
    rows = [
        [name, *(spread(taken[name, hosts], ".0f") for hosts in (FEW, MANY)), number(growth(taken, name), ".1f")]
        for name in names
        if growth(taken, name)
    ]
    return f"## Envoy's memory\n\nRSS in MB, one thread, ports 80 and 443 of each host; median (least to most).\n\n{table(['', f'{FEW} hosts', f'{MANY:,} hosts', 'ratio'], rows)}"


def growth(taken: dict[tuple[str, int], list[float]], name: str) -> float | None:
    return (
        median(taken[name, MANY]) / median(taken[name, FEW]) if (name, MANY) in taken and (name, FEW) in taken else None
    )


def reached(
    samples: dict[str, list[Sample]],
    starts: Times,
    times: dict[tuple[str, int, int], list[float]],
    taken: dict[tuple[str, int], list[float]],
) -> list[Target]:
    creates = [median(values) * 1000 for (what, _, _), values in times.items() if what == "exitway create"]
    start = {name: median(values) * 1000 for name, values in starts.items()}
    return [
        ("requests/s ÷ Squid", ratio(samples, EXITWAY, SQUID), 1.0, True),
        ("requests/s ÷ Istio's shape", ratio(samples, EXITWAY, ISTIO), 1.0, True),
        ("added p50 at one connection, ms", added(samples, EXITWAY, lambda sample: sample.p50_ms), 0.25, False),
        ("`run -- true` with `up` running, ms", start.get("exitway run -- true, with `exitway up`"), 150, False),
        ("`run -- true` cold, ms", start.get("exitway run -- true, no server running"), 1500, False),
        (
            "`create` to acknowledgement, the slowest case, ms",
            max(creates) if len(creates) == len(CASES) else None,
            100,
            False,
        ),
        ("Envoy's memory, 10,000 hosts ÷ 10", growth(taken, "Exitway"), 1.2, False),
    ]


def targets(wanted: Iterable[Target]) -> str:
    rows = [
        [what, f"{'at least' if more else 'at most'} {limit:g}", number(value), verdict(value, limit, more=more)]
        for what, value, limit, more in wanted
    ]
    return f"## Targets\n\n{table(['', 'target', 'measured', ''], rows)}"


def verdict(value: float | None, limit: float, *, more: bool) -> str:
    if value is None:
        return "not measured"
    return "met" if (value >= limit if more else value <= limit) else "**missed**"
