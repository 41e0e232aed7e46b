"""Memory of each of Exitway's processes when a program has asked for very many names, and then has fetched from each of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from exitway_server import Exitway, egress_rule
from memory import SETTLED
from process import BENCH, LOAD_CORES, all_pids, command_of, on, rss_mb

MANY = 100_000
STAGES = ("before", "asked for", "fetched from")
FAILED, SECONDS = "failed", "seconds"
PROCESSES = ("Envoy", "the names' process", "the server")

Memory = dict[str, dict[str, float]]
"""By stage: MB by process, how many names it failed for, and how long it took."""


def measure(names: int) -> tuple[Memory, list[str]]:
    """(What each process had at each stage; a sentence if that could not be measured)."""
    server = Exitway()
    memory: Memory = {}
    try:
        before = all_pids()
        server.up()
        ours = all_pids() - before
        server.create([egress_rule("all", hosts=["*.bench.test"], ports=[{"number": 80, "protocol": "HTTP"}])])
        with asking(server, names) as program:
            for stage in STAGES:
                done = proceed(program)
                time.sleep(SETTLED)
                memory[stage] = done | {role(pid): rss_mb(pid) for pid in ours if role(pid) in PROCESSES}
    except (RuntimeError, OSError) as error:
        return {}, [f"memory of {names:,} names: {error}"]
    finally:
        server.down()
    return memory, []


def asking(server: Exitway, names: int) -> subprocess.Popen[str]:
    """The program, sealed; it goes on with each line it is given, and says one when it has done so."""
    program = [*on(LOAD_CORES), sys.executable, str(BENCH / "ask_names.py"), str(names)]
    return subprocess.Popen([*server.run(), *program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def proceed(program: subprocess.Popen[str]) -> dict[str, float]:
    if program.stdin is None or program.stdout is None:
        raise RuntimeError("it has no pipes")
    program.stdin.write("\n")
    program.stdin.flush()
    said = program.stdout.readline()
    if not said:
        raise RuntimeError("the program has ended")
    done: dict[str, float] = json.loads(said)
    return done


def role(pid: int) -> str:
    """Which of Exitway's processes this is."""
    if command_of(pid) == "envoy":
        return PROCESSES[0]
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return PROCESSES[1] if b"name_process" in line else PROCESSES[2] if b"serve" in line else ""
