"""Kill -9 at any moment loses no acknowledged write, and leaves no half of one."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from exitway.store.store import Store

ROOT = Path(__file__).parents[2]
WRITER = """
import sys
from pathlib import Path
from exitway.resources.kinds import read
from exitway.store.change import Delete, Put
from exitway.store.store import Store
from tests.rules import rule

store = Store(Path(sys.argv[1]))
while True:
    number = store.revision
    pair = [Put(read(rule(f"r{number}-{half}", f"h{number}.example"))) for half in "ab"]
    commit = store.commit(pair)
    print(commit.revision, flush=True)
"""


def test_kill_9_at_any_moment_loses_no_acknowledged_write(tmp_path):
    path = tmp_path / "store.db"
    acknowledged = 0
    for seed in range(12):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, cwd=ROOT)
        with writer:
            assert writer.stdout
            first = writer.stdout.readline()
            time.sleep(random.Random(seed).uniform(0, 0.15))
            writer.send_signal(signal.SIGKILL)
            lines = (first + writer.stdout.read()).splitlines(keepends=True)
        acknowledged = max([acknowledged, *(int(line) for line in lines if line.endswith(b"\n"))])
        with Store(path) as store:
            assert acknowledged <= store.revision <= acknowledged + 2
            names = {resource.key.name for resource in store.registry}
            assert names == {f"r{number}-{half}" for number in range(0, store.revision, 2) for half in "ab"}
            acknowledged = store.revision
    assert acknowledged > 24
