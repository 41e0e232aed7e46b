"""How soon the dashboard shows something, and how soon it shows what has just been denied. Writes bench/DASHBOARD.md.

Run it in the lab: .venv/bin/exitway lab -- .venv/bin/python -m bench.dashboard
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from exitway.flows.flow import Flow
from exitway.flows.history import History
from exitway.names.call import Decision, Reason, Verdict
from exitway.names.key import Key
from exitway.web.page import files
from tests.features.browser import Page, chromium
from tests.features.conftest import Exitway, running

FLOWS = 10_000
LOADS = 15
DENIALS = 20
PAUSE_SECONDS = 0.7
TARGET = 1000
TARGETS = {"painted": "the first paint", "drawn": "the map", "shown": "a denial"}
RESULT = Path(__file__).with_name("DASHBOARD.md")
PAINTED = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
DRAWN = "performance.getEntriesByName('map')[0]?.startTime"
SEEN = """
window.seen = {};
new MutationObserver(() => {
  for (const node of document.querySelectorAll('.node.destination')) seen[node.dataset.key] ??= Date.now();
}).observe(document.getElementById('destinations'), {childList: true, subtree: true});
"""


def main() -> None:
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, ["src", os.environ.get("PYTHONPATH")]))
    spread, few = measured(FLOWS, distinct=True), measured(FLOWS, distinct=False)
    empty = measured(0, distinct=False)
    RESULT.write_text(report(spread, few, empty))


def measured(flows: int, *, distinct: bool) -> dict[str, list[float]]:
    """Milliseconds: first paint, the map drawn, and from a denied request to the map that shows it."""
    with running() as exitway, chromium() as page:
        exitway.settings.state_dir.mkdir(parents=True)
        with closing(History(exitway.settings.flow_db)) as history:
            history.write(list(made_up(flows, distinct=distinct)))
        exitway("up")
        with dashboard(exitway) as address:
            painted, drawn = zip(*(load(page, address) for _ in range(LOADS)), strict=True)
            shown = updates(exitway, page)
    return {"painted": [*painted], "drawn": [*drawn], "shown": shown}


def made_up(number: int, *, distinct: bool):
    """Flows of 50 workloads, a fifth of them denied, over the last hour: each to a destination of its own, or to 200 in all."""
    start = datetime.now(UTC) - timedelta(hours=1)
    for at in range(number):
        seen = (start + timedelta(seconds=3600 * at / number)).isoformat(timespec="milliseconds")
        name, workload = f"host-{at if distinct else at % 200}.example", f"space-{at % 10}/workload-{at % 50}"
        rule = Key("egress-rule", f"space-{at % 10}", "rule", "exitway.dev")
        decision = Decision(Verdict.ALLOW, Reason.RULE, rule) if at % 5 else Decision(Verdict.DENY, Reason.NO_RULE)
        yield Flow(
            seen.replace("+00:00", "Z"),
            workload,
            name,
            "240.240.0.1",
            443,
            "TLS",
            decision,
            sni=name,
            sent=1000,
            received=9000,
        )


@contextmanager
def dashboard(exitway: Exitway):
    with exitway.start("dashboard", "--no-open") as process:
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def load(page: Page, address: str) -> tuple[float, float]:
    """What a browser that knows nothing of the page measures."""
    page.call("Network.setCacheDisabled", cacheDisabled=True)
    page.open(address)
    page.until(DRAWN)
    return page.until(PAINTED), page.run(DRAWN)


def updates(exitway: Exitway, page: Page) -> list[float]:
    """From when the proxy has seen a request that it denies to when the map shows it."""
    page.run(SEEN)
    names = [f"never-seen-{number}.lab.test" for number in range(DENIALS)]
    script = "; ".join(f"curl -s -o /dev/null http://{name}/; sleep {PAUSE_SECONDS}" for name in names)
    exitway("run", "--name", "bench", "--", "sh", "-c", script, timeout=120)
    page.until(f"'{names[-1]}' in window.seen")
    seen = page.run("window.seen")
    times = {
        flow["name"]: datetime.fromisoformat(flow["time"]).timestamp() * 1000 for flow in exitway.flows()[-DENIALS:]
    }
    return [seen[name] - times[name] for name in names]


def report(spread: dict[str, list[float]], few: dict[str, list[float]], empty: dict[str, list[float]]) -> str:
    rows = {
        f"{FLOWS:,} flows, each to a destination of its own": spread,
        f"{FLOWS:,} flows to 200 destinations": few,
        "no flows": empty,
    }
    lines = [
        f"| {what} | {line(taken['painted'])} | {line(taken['drawn'])} | {line(taken['shown'])} |"
        for what, taken in rows.items()
    ]
    table = "\n".join(lines)
    size = sum(len(file.content) for file in files().values())
    version = subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=True).stdout
    browser = version.partition(".")[0]
    targets = [f"{name} {verdict(max(max(taken[what]) for taken in rows.values()))}" for what, name in TARGETS.items()]
    return f"""# Bench of the dashboard

Made by `bench/dashboard.py`: a real server, relay and headless {browser}, all on one machine of {os.cpu_count()} cores ({platform.machine()}),
whose load average was {os.getloadavg()[1]:.0f} meanwhile: where that is more than the cores, others were served in turn.
Milliseconds: median (least to most) of {LOADS} loads without a cache, and of {DENIALS} requests to names that nobody had asked for.

|  | first paint | the map is drawn | a denial is on the map |
| --- | ---: | ---: | ---: |
{table}

At most 1,000 ms is the target of each: {", ".join(targets)}. All times of a load count from when the browser began
to ask for the page. A denial counts from when the proxy had the request; the record waits up to 100 ms for the server, which looks for news every 100 ms and rests after an answer four times as long as it took.

The page is {size / 1000:.0f} kB in {len(files())} files; the limit is 200 kB.
"""


def verdict(milliseconds: float) -> str:
    return "met" if milliseconds < TARGET else "**missed**"


def line(values: list[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


if __name__ == "__main__":
    main()
