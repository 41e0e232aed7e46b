"""The process that tries: ``python -m exitway.attack.inside TARGET``, inside a sealed workload, or outside one to see what happens without it.

It reads ids, one a line, and answers each with a line of JSON: ``{"id": ID, "saw": [LINE, ...], "reached": PROOF}``. Each attempt has a process
of its own, which takes with it what the attempt has changed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import traceback

from exitway.attack.catalogue import ALLOWED, ROWS
from exitway.attack.probe import Reached
from exitway.attack.target import Target

LONGEST_SECONDS = 120.0
HASTY = "A20"
_ROWS = ROWS | {ALLOWED.id: ALLOWED}


def main() -> None:
    """Try the hasty one at once, then what is asked for."""
    target = Target.from_json(sys.argv[1])
    attempt(HASTY, target)
    _say({"ready": True})
    for line in sys.stdin:
        _say(attempt(line.strip(), target))


def _say(answer: object) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def attempt(identity: str, target: Target) -> dict[str, object]:
    """Try one, in a child; what came of it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        os.write(writing, json.dumps(_try(identity, target)).encode())
        os._exit(0)
    os.close(writing)
    said = _read(reading)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if said is None:
        return {"id": identity, "saw": ["it did not end in time"], "reached": ""}
    return {"id": identity, **json.loads(said or '{"saw": ["it was killed"], "reached": ""}')}


def _try(identity: str, target: Target) -> dict[str, object]:
    try:
        return {"saw": _ROWS[identity].run(target), "reached": ""}
    except Reached as reached:
        return {"saw": [], "reached": str(reached)}
    except Exception:  # noqa: BLE001 - whatever it is, it is what was seen
        return {"saw": [], "reached": "", "broken": traceback.format_exc()}


def _read(pipe: int) -> bytes | None:
    """To its end. None: it took too long."""
    said = b""
    with os.fdopen(pipe, "rb", buffering=0) as file:
        while select.select([file], [], [], LONGEST_SECONDS)[0]:
            data = file.read(65536)
            if not data:
                return said
            said += data
    return None


if __name__ == "__main__":
    main()
