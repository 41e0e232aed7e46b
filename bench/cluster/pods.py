"""What Exitway costs the pods of a real cluster, in both placements: memory of proxies, start-up, requests/s. Writes bench/cluster/PODS.md.

python -m bench.cluster.pods: needs root and nginx. The node is that of `make test-cluster`; no test session runs meanwhile.
"""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
from collections.abc import Iterable
from pathlib import Path

from bench.cluster import pod_memory, pod_start, pod_traffic
from bench.cluster.ground import NONE, ground
from bench.cluster.pod_memory import COUNTS, Process, Taken
from bench.cluster.pod_start import Starts
from exitway.names.cluster import Placement

HERE = Path(__file__).resolve().parent
SIDECAR_MB, NODE_MB, NODE_SECONDS = 63, 80, 1.0
CAPTURED = (Placement.SIDECAR, Placement.NODE)


def table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    heads = list(map(str, head))
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *(map(str, row) for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def spread(values: list[float], form: str) -> str:
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def against(shown: str, value: float, target: float) -> str:
    return shown if value <= target else f"**{shown}** (target {target:g})"


def envoys(taken: list[Taken]) -> list[str]:
    def row(one: Taken) -> list[object]:
        rss = [envoy.rss for envoy in one.envoys]
        most = SIDECAR_MB if one.placement == Placement.SIDECAR else NODE_MB
        shown = spread(rss, ".0f") if len(rss) > 1 else f"{rss[0]:.0f}"
        return [
            one.placement,
            one.pods,
            len(rss),
            against(shown, statistics.median(rss), most),
            f"{sum(envoy.own for envoy in one.envoys):.0f}",
            f"{sum(envoy.pss for envoy in one.envoys):.0f}",
            f"{sum(rss):.0f}",
        ]

    head = ["placement", "pods", "Envoys", "RSS of each", "own, in all", "PSS, in all", "RSS, in all"]
    return table(head, map(row, taken))


def others(taken: list[Taken]) -> list[str]:
    """What else runs: for all pods of a node, or of the cluster."""
    rows = []
    for placement, part, what in (
        (Placement.NODE, "node", "agent of the node, with name process"),
        (Placement.SIDECAR, "controller", "control plane, 2 replicas"),
        (Placement.SIDECAR, "dns", "resolver for sidecars, 2 replicas"),
    ):
        found = {one.pods: one.others[part] for one in taken if one.placement == placement}
        rows.append([what, *(_all_of(found[count]) for count in COUNTS)])
    return table(["", *(f"{count} pods" if count > 1 else "1 pod" for count in COUNTS)], rows)


def _all_of(processes: list[Process]) -> str:
    sizes = sorted((one.rss for one in processes), reverse=True)
    parts = f" ({' + '.join(f'{size:.0f}' for size in sizes)})" if len(sizes) > 1 else ""
    return f"{sum(sizes):.0f}{parts}"


def start(starts: Starts) -> list[str]:
    rows = []
    for name, some in starts.items():
        row: list[object] = [name]
        for moment in ("runs", "ready"):
            seconds, plain = ([getattr(one, moment) for one in of] for of in (some, starts[NONE]))
            grown = [one - other for one, other in zip(seconds, plain, strict=True)]
            most = NODE_SECONDS if name == Placement.NODE else float("inf")
            shown = against(spread(grown, ".2f"), statistics.median(grown), most)
            row += [spread(seconds, ".2f"), "" if name == NONE else shown]
        rows.append(row)
    return table(["seconds until", "its program runs", "grown by", "it is Ready", "grown by"], rows)


def traffic(rates: pod_traffic.Rates) -> list[str]:
    kinds = (pod_traffic.KEPT, pod_traffic.NEW)
    rows = []
    for name in (NONE, *CAPTURED):
        row: list[object] = [name]
        for kind in kinds:
            middle, least, most = pod_traffic.ratio(rates, name, kind)
            row += [spread(rates[name, kind], ",.0f"), f"{middle:.2f} ({least:.2f} to {most:.2f})"]
        rows.append(row)
    return table(["", *(head for kind in kinds for head in (f"requests/s, {kind}", f"÷ {NONE}"))], rows)


def machine(before: float) -> str:
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"A node of Kubernetes on a machine of {os.cpu_count()} processors and {gigabytes:.0f} GB, Linux {platform.release()}. "
        f"Its load, over five minutes, was {before:.1f} before and {os.getloadavg()[1]:.1f} after: below 1, others took nothing from what is measured; "
        "far above the number of processors, only ratios within a round say something."
    )


def main() -> None:
    before = os.getloadavg()[1]
    with tempfile.TemporaryDirectory() as directory, ground(Path(directory)) as spaces:
        rates = pod_traffic.measure(spaces)
        starts = pod_start.measure(spaces)
        taken = pod_memory.measure(spaces)
    lines = [
        "# Pods",
        machine(before),
        "Medians (least to most); ratios and differences are taken inside each round. Bold misses its target.",
        "## Memory of the proxies, MB",
        (
            "Each pod has made one request. Own: what the kernel would get back if this process alone ended. PSS: that, and its share of what it shares. "
            "RSS counts the pages of Envoy's program, which all Envoys of a node share, anew for each. The node's Envoy has already carried the traffic below, and keeps what it needed for that."
        ),
        envoys(taken),
        "What else runs, RSS in all, MB. In a pod with a sidecar there is nothing but its Envoy; in a pod of the placement node there is nothing.",
        others(taken),
        "## Start of a pod",
        (
            f"The image is there; one container, which sleeps; {pod_start.ROUNDS} rounds. "
            "The kubelet looks once in a second for what has begun or ended: so any init container costs up to a second, and then another until the pod is Ready."
        ),
        start(starts),
        "## Requests/s to an HTTP server outside",
        (
            f"wrk in a pod, {pod_traffic.CONNECTIONS} connections, answers of 1 kB; {pod_traffic.ROUNDS} rounds of {pod_traffic.SECONDS} s. "
            "Load, proxy and server share the machine's processors."
        ),
        traffic(rates),
    ]
    blocks = [block if isinstance(block, str) else "\n".join(block) for block in lines]
    (HERE / "PODS.md").write_text("\n\n".join(blocks) + "\n")


if __name__ == "__main__":
    main()
