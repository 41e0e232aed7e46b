"""Measures Exitway side by side with its peers and writes the tables: ``bench/run.py`` (as root), or `make bench`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

import bulk
import changes
import contenders
import memory
import names
import report
import report_rates
import resolver
import startup
import traffic
from contenders import NONE, Contender
from process import BENCH
from world import enclose, world

PARTS = ("traffic", "tls", "direct", "dns", "startup", "changes", "memory", "names")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=5, help="rounds of traffic, and repeats of the rest in proportion (5)"
    )
    parser.add_argument("--seconds", type=int, default=3, help="seconds of load at a time (3)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to measure (all)")
    parser.add_argument(
        "--contender",
        nargs="+",
        default=[""],
        help=f"beginnings of the names to measure where peers are (all); {NONE!r} is always among them",
    )
    parser.add_argument(
        "--names", type=int, default=names.MANY, help=f"how many names to ask for in `names` ({names.MANY})"
    )
    parser.add_argument(
        "--output", type=Path, default=BENCH / "RESULTS.md", help="where the tables go (bench/RESULTS.md)"
    )
    return parser.parse_args()


def measure(options: argparse.Namespace) -> str:
    """The whole report."""
    failures: list[str] = []
    machine = report.machine(contenders.versions(), " ".join(["bench/run.py", *sys.argv[1:]]))
    results: dict[str, dict] = {part: {} for part in PARTS}
    for part, measured in parts(options, failures).items():
        print(f"bench: {part}", file=sys.stderr)
        results[part], failed = measured()
        failures += failed
    shown = {
        "traffic": lambda samples: report.traffic(samples, options.rounds, options.seconds),
        "tls": lambda samples: report_rates.tls(samples, options.rounds, options.seconds),
        "direct": lambda samples: report_rates.direct(samples, options.rounds, options.seconds),
        "dns": lambda samples: report_rates.dns(samples, options.rounds, options.seconds),
        "startup": report.startup,
        "changes": report.changes,
        "memory": report.memory,
        "names": lambda taken: report_rates.names(taken, options.names),
    }
    sections = [shown[part](result) for part, result in results.items() if result]
    left_out = (
        ["## Not measured\n\n" + "\n".join(f"- {failure.splitlines()[0]:.300}" for failure in failures)]
        if failures
        else []
    )
    reached = report.reached(*(results[part] for part in ("traffic", "startup", "changes", "memory")))
    targets = report.targets([*reached, *report_rates.reached(results["tls"], results["direct"])])
    return "\n\n".join(["# Bench", "Made by `make bench`.", targets, *sections, *left_out, machine]) + "\n"


def parts(options: argparse.Namespace, failures: list[str]) -> dict:
    def measured(of: list[Contender], take: Callable) -> tuple[dict, list[str]]:
        chosen = [one for one in of if one.name == NONE or one.name.startswith(tuple(options.contender))]
        failures.extend(f"{one.name}: {contenders.missing(one)}" for one in chosen if contenders.missing(one))
        present = [one for one in chosen if not contenders.missing(one)]
        return traffic.measure(present, options.rounds, lambda contender: take(contender, options.seconds))

    measures = {
        "traffic": lambda: measured(contenders.contenders(), traffic.sample),
        "tls": lambda: measured(contenders.tls_contenders(), bulk.tls),
        "direct": lambda: measured(contenders.direct_contenders(), bulk.direct),
        "dns": lambda: measured(resolver.contenders(), resolver.sample),
        "startup": lambda: startup.measure(2, 3 * options.rounds),
        "changes": lambda: changes.measure(3 * options.rounds),
        "memory": lambda: memory.measure((options.rounds + 1) // 2),
        "names": lambda: names.measure(options.names),
    }
    return {part: measures[part] for part in options.only}


def main() -> None:
    options = arguments()
    if os.geteuid():
        sys.exit("bench: needs root: it makes network namespaces and pins processes to cores\nhint: sudo make bench")
    enclose()
    with world():
        text = measure(options)
    options.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
