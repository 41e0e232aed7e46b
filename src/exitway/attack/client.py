"""The other end of :mod:`exitway.attack.inside`: starts it, asks for attempts, and ends it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exitway.attack.target import Target


@dataclass(frozen=True)
class Outcome:
    """What the program saw. ``reached``: what it can prove itself; empty: nothing. ``broken``: the attempt's own fault."""

    id: str
    saw: Sequence[str]
    reached: str = ""
    broken: str = ""


class Attacker:
    """A process that tries. ``before``: the command that it is run by (``exitway run -- ...``); none: it runs unsealed."""

    def __init__(self, target: Target, before: Sequence[str] = (), **options: Any) -> None:
        """Start it; it has begun to try when this returns.

        Raises:
            OSError: it does not come up. What it has to say of that is on stderr.
        """
        command = [*before, sys.executable, "-P", "-m", "exitway.attack.inside", target.to_json()]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)
        self._answer()

    def attempt(self, identity: str) -> Outcome:
        """Have one tried."""
        assert self.process.stdin
        self.process.stdin.write(identity + "\n")
        self.process.stdin.flush()
        return Outcome(**self._answer())

    def close(self) -> None:
        """End it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)
        assert self.process.stdout
        self.process.stdout.close()

    def _answer(self) -> Mapping[str, Any]:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise OSError("the process that tries has ended")
        answer: Mapping[str, Any] = json.loads(line)
        return answer
