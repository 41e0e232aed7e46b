"""Answers a second of a sealed program's name server, beside dnsmasq's, by dnsperf: A and AAAA of a thousand names, over and over."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from contenders import NONE, Contender, ExitwayRun
from process import LOAD_CORES, RUN, cpu_seconds, on
from traffic import started
from world import ALLOWED

NAMES = 1000
OUTSTANDING = 100
QUERIES = RUN / "queries"


@dataclass(frozen=True)
class Answers:
    """One contender in one round."""

    per_second: float
    cpu_seconds_per_10k: float
    latency_ms: float
    """The mean, with a hundred questions under way."""


def contenders() -> list[Contender]:
    return [Contender(f"dnsmasq, {NONE}"), ExitwayRun("Exitway", hosts=tuple(ALLOWED))]


def sample(contender: Contender, seconds: int) -> Answers:
    QUERIES.write_text(
        "".join(f"name{number}.bench.test {kind}\n" for number in range(NAMES) for kind in ("A", "AAAA"))
    )
    with started(contender):
        before = cpu_seconds(contender.pids)
        said = dnsperf(contender, seconds)
        cpu = cpu_seconds(contender.pids) - before
    answered = int(number(said, "Queries completed"))
    if number(said, "Queries lost") or not re.search(r"Response codes: +NOERROR \d+ \(100\.00%\)", said):
        raise RuntimeError(f"{contender.name}: not every question was answered: {said[-600:]}")
    return Answers(
        number(said, "Queries per second"), cpu / answered * 10_000, number(said, r"Average Latency \(s\)") * 1000
    )


def dnsperf(contender: Contender, seconds: int) -> str:
    """Asks the server of ``/etc/resolv.conf``, whoever that is."""
    ask = f"exec dnsperf -s $(awk '/^nameserver/ {{print $2; exit}}' /etc/resolv.conf) -l {seconds} -q {OUTSTANDING} -d /dev/stdin"
    command = [*contender.prefix, *on(LOAD_CORES), "sh", "-c", ask]
    with QUERIES.open() as queries:
        finished = subprocess.run(command, stdin=queries, capture_output=True, text=True, check=True)
    return finished.stdout


def number(said: str, what: str) -> float:
    found = re.search(rf"{what}: +([0-9.]+)", said)
    if not found:
        raise RuntimeError(f"dnsperf did not say: {what}")
    return float(found[1])
