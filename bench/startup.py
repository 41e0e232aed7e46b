"""How long a command takes to begin: `run -- true` and its peers over plain `true`, by hyperfine."""

from __future__ import annotations

import json
import subprocess

from exitway_server import RUNTIME, Exitway
from process import RUN, find
from world import ALLOWED, DENIED, status

BUBBLEWRAP = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-net", "--unshare-pid", "--die-with-parent"]  # fmt: skip
NO_SERVER = f"while [ -S {RUNTIME}/api.sock ]; do sleep 0.05; done"

Times = dict[str, list[float]]


def measure(passes: int, runs: int) -> tuple[Times, list[str]]:
    """Each command ``runs`` times in each of the ``passes``; (seconds by name, a sentence for each that was left out)."""
    times: Times = {}
    failures: dict[str, str] = {}
    server = Exitway()
    prefixes = {name: prefix for name, (prefix, allows) in peers().items() if proven(name, prefix, allows, failures)}
    for _ in range(passes):
        take(times, failures, "true", ["true"], runs)
        for name, prefix in prefixes.items():
            take(times, failures, name, [*prefix, "true"], runs)
        take(
            times,
            failures,
            "exitway run -- true, no server running",
            [*server.run(), "true"],
            max(2, runs // 3),
            NO_SERVER,
        )
        try:
            with_server(server, times, failures, runs)
        except (RuntimeError, OSError) as error:
            failures["up"] = f"with `exitway up`: {error}"
    return times, list(failures.values())


def with_server(server: Exitway, times: Times, failures: dict[str, str], runs: int) -> None:
    try:
        server.up()
        take(times, failures, "exitway run -- true, with `exitway up`", [*server.run(), "true"], runs)
        take(
            times, failures, "exitway get egressrules, with `exitway up`", [server.command, "get", "egressrules"], runs
        )
    finally:
        server.down()


def peers() -> dict[str, tuple[list[str], bool]]:
    """Name, what its command line begins with, and whether it has an allow-list (here: of one host)."""
    network = {"allowedDomains": ALLOWED[:1], "deniedDomains": []}
    files: dict[str, list[str]] = {"denyRead": [], "allowWrite": [], "denyWrite": []}
    settings = RUN / "sandbox.json"
    settings.write_text(json.dumps({"network": network, "filesystem": files}))
    return {
        "bubblewrap, without any network": (BUBBLEWRAP, False),
        "fence": ([find("fence") or "fence", "--settings", str(settings), "--"], True),
        "srt": ([find("srt") or "srt", "--settings", str(settings), "--"], True),
    }


def proven(name: str, prefix: list[str], allows: bool, failures: dict[str, str]) -> bool:  # noqa: FBT001
    """Whether it is there, lets out what it should (if anything), and nothing else."""
    if not find(prefix[0]):
        failures[name] = f"{name}: not installed (bench/setup says why)"
        return False
    allowed, denied = (status(prefix, [], host) for host in (ALLOWED[0], DENIED))
    if (allowed == "200") != allows or denied == "200":
        failures[name] = f"{name}: HTTP {allowed} for the allowed host, {denied} for the denied one"
    return name not in failures


def take(times: Times, failures: dict[str, str], name: str, command: list[str], runs: int, prepare: str = "") -> None:
    if name in failures:
        return
    try:
        taken = hyperfine(command, runs, prepare)
        times.setdefault(name, []).extend(taken)
    except RuntimeError as error:
        failures[name] = f"{name}: {error}"


def hyperfine(command: list[str], runs: int, prepare: str = "") -> list[float]:
    """Seconds of each run, without a shell between. ``RuntimeError`` if the command fails."""
    report = RUN / "hyperfine.json"
    preparation = ["--prepare", f"sh -c '{prepare}'"] if prepare else []
    options = ["--shell=none", "--style=none", "--warmup=1", f"--runs={runs}", f"--export-json={report}", *preparation]
    finished = subprocess.run(["hyperfine", *options, " ".join(command)], capture_output=True, text=True, check=False)
    if finished.returncode:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stderr.strip()
        raise RuntimeError(f"it failed: {said or finished.stderr.strip()}")
    times: list[float] = json.loads(report.read_text())["results"][0]["times"]
    return times
