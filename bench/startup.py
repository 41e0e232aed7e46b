"""How long a command takes to begin: `run -- true` and its peers over plain `true`, by hyperfine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from exitway_server import RUNTIME, Exitway
from process import RUN, find

BUBBLEWRAP = "bwrap --ro-bind / / --dev /dev --proc /proc --unshare-net --unshare-pid --die-with-parent"
NO_SERVER = f"while [ -S {RUNTIME}/api.sock ]; do sleep 0.05; done"


def hyperfine(command: str, runs: int, prepare: str = "") -> list[float]:
    """Seconds of each run, without a shell between. ``RuntimeError`` if the command fails."""
    report = RUN / "hyperfine.json"
    preparation = ["--prepare", f"sh -c '{prepare}'"] if prepare else []
    arguments = [
        "hyperfine",
        "--shell=none",
        "--style=none",
        "--warmup=1",
        f"--runs={runs}",
        f"--export-json={report}",
        *preparation,
        command,
    ]
    finished = subprocess.run(arguments, capture_output=True, text=True, check=False)
    if finished.returncode:
        raise RuntimeError(f"`{command}`: {(finished.stderr.strip() or finished.stdout.strip()).splitlines()[-1]}")
    times: list[float] = json.loads(report.read_text())["results"][0]["times"]
    return times


def measure(passes: int, runs: int) -> tuple[dict[str, list[float]], list[str]]:
    """Each command ``runs`` times in each of the ``passes``; (seconds by name, a sentence for each that was left out)."""
    times: dict[str, list[float]] = {}
    failures: dict[str, str] = {}
    server = Exitway()
    run_true = " ".join([*server.run(), "true"])
    for _ in range(passes):
        take(times, failures, "true", "true", runs)
        for name, command in peers().items():
            take(times, failures, name, command, runs)
        take(times, failures, "exitway run -- true, no server running", run_true, max(2, runs // 3), NO_SERVER)
        try:
            server.up()
        except (RuntimeError, OSError) as error:
            failures["up"] = f"exitway up: {error}"
            continue
        take(times, failures, "exitway run -- true, with `exitway up`", run_true, runs)
        take(times, failures, "exitway get egressrules, with `exitway up`", f"{server.command} get egressrules", runs)
        server.down()
    return times, list(failures.values())


def peers() -> dict[str, str]:
    """Name and command line."""
    settings = Path(RUN / "srt.json")
    settings.write_text(
        json.dumps(
            {
                "network": {"allowedDomains": ["host0.bench.test"], "deniedDomains": []},
                "filesystem": {"denyRead": [], "allowWrite": [], "denyWrite": []},
            }
        )
    )
    fence = Path(RUN / "fence.json")
    fence.write_text(json.dumps({"network": {"allowedDomains": ["host0.bench.test"]}}))
    return {
        "bubblewrap (no network at all)": f"{BUBBLEWRAP} true",
        "fence -- true": f"{find('fence') or 'fence'} --settings {fence} -- true",
        "srt true": f"{find('srt') or 'srt'} --settings {settings} true",
    }


def take(
    times: dict[str, list[float]], failures: dict[str, str], name: str, command: str, runs: int, prepare: str = ""
) -> None:
    if name in failures:
        return
    try:
        if not find(command.split()[0]):
            raise RuntimeError("not installed (bench/setup says why)")
        times.setdefault(name, []).extend(hyperfine(command, runs, prepare))
    except RuntimeError as error:
        failures[name] = f"{name}: {error}"
