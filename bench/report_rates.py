"""The tables of how often and how much: TLS, direct, DNS, and memory for many names."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from bulk import Rate
from contenders import NONE
from names import FAILED, PROCESSES, SECONDS, Memory
from report import Target, number, ratio, spread, table
from resolver import NAMES as ASKED
from resolver import OUTSTANDING, Answers

Rates = dict[str, list[Rate]]


def tls(samples: Rates, rounds: int, seconds: int) -> str:
    return f"""## TLS that is not decrypted

{_how(rounds, seconds)} Each connection is new: a full handshake (TLS 1.3, P-256) with the origin, one request for 1 kB, and its end; 16 at a time. Bulk: 1 GB by one curl.
HAProxy and Squid (peek, splice) decide by the SNI, are redirected to by nftables, and log nothing; HAProxy has a backend for each host, Squid dials the client's address, and Exitway what it resolved itself. Load and origin share a core, and they do all the cryptography.

{_rates(samples, "connections/s", (NONE, "HAProxy", "Squid"))}"""


def direct(samples: Rates, rounds: int, seconds: int) -> str:
    return f"""## Direct: through the kernel

{_how(rounds, seconds)} Requests for 1 kB over 16 keep-alive connections in clear text; bulk: 1 GB by one curl. What the kernel does for Exitway is charged to the processes that send and receive, so there is no processor time of its own.

{_rates(samples, "requests/s", (NONE, "HAProxy"))}"""


def dns(samples: dict[str, list[Answers]], rounds: int, seconds: int) -> str:
    rows = [
        [
            name,
            spread([one.per_second for one in taken], ",.0f"),
            f"{median(one.latency_ms for one in taken):.2f}",
            number(median(one.cpu_seconds_per_10k for one in taken) or None),
        ]
        for name, taken in samples.items()
    ]
    return f"""## DNS

{_how(rounds, seconds)} A and AAAA of {ASKED:,} names, over and over, {OUTSTANDING} questions at a time (dnsperf).

{table(["", "answers/s", "mean latency, ms", "CPU s / 10,000"], rows)}"""


def names(memory: Memory, count: int) -> str:
    columns = (*PROCESSES, SECONDS, FAILED)
    rows = [[stage, *(number(taken.get(column), ",.0f") for column in columns)] for stage, taken in memory.items()]
    return f"""## Memory for {count:,} names

One program that a wildcard allows to fetch from all of them: RSS in MB before it did anything, when it had asked for every name, and when it had fetched from every name.

{table(["", *columns], rows)}"""


def _how(rounds: int, seconds: int) -> str:
    return f"{rounds} rounds of {seconds} s, each contender once in each round and started anew; medians (least to most), ratios inside each round."


def _rates(samples: Rates, what: str, others: tuple[str, ...]) -> str:
    head = ["", what, *(f"÷ {other}" for other in others), "CPU s / 10,000", "bulk, MB/s", f"÷ {NONE}", "CPU s / GB"]
    rows = [
        [
            name,
            spread([one.per_second for one in taken], ",.0f"),
            *(number(ratio(samples, name, other)) for other in others),
            _cost(taken, lambda one: one.cpu_seconds_per_10k),
            spread([one.mb_per_second for one in taken], ",.0f"),
            number(_bulk(samples, name)),
            _cost(taken, lambda one: one.cpu_seconds_per_gb),
        ]
        for name, taken in samples.items()
    ]
    return table(head, rows)


def _cost(taken: list[Rate], value: Callable[[Rate], float]) -> str:
    return number(median(map(value, taken)) or None)


def _bulk(samples: Rates, name: str) -> float | None:
    return ratio(samples, name, NONE, lambda one: one.mb_per_second)


def reached(tls_samples: Rates, direct_samples: Rates) -> list[Target]:
    wanted: list[Target] = [
        ("TLS connections/s ÷ Squid", ratio(tls_samples, "Exitway", "Squid"), 1.0, True),
        (f"bulk TLS ÷ {NONE}", _bulk(tls_samples, "Exitway"), 0.9, True),
    ]
    for name in ("direct range", "direct names"):
        contender = f"Exitway, {name}"
        wanted += [
            (f"{name}, requests/s ÷ HAProxy", ratio(direct_samples, contender, "HAProxy"), 1.3, True),
            (f"{name}, requests/s ÷ {NONE}", ratio(direct_samples, contender, NONE), 0.8, True),
            (f"{name}, bulk ÷ {NONE}", _bulk(direct_samples, contender), 0.95, True),
        ]
    return wanted
