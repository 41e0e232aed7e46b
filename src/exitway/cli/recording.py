"""``exitway run --learn``: what one run did, from its beginning to the last line that the proxy wrote of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from exitway.cli import problems
from exitway.cli.client import Client
from exitway.cli.lesson import Asked, Context, write_lesson
from exitway.resources.problem import Problems

if TYPE_CHECKING:
    from exitway.flows.history import History
    from exitway.resources.document import Document
    from exitway.resources.registry import Registry

SETTLED_SECONDS = 120.0
"""Reading a long log takes its time."""


@dataclass(frozen=True, slots=True)
class Run:
    """``name``: of the workload; ``stem``: the same without what tells several runs apart; ``identity``: the server's own.

    ``documents``: the rules of ``-f``.
    """

    namespace: str
    name: str
    stem: str
    identity: str
    documents: Sequence[Document]


@dataclass(frozen=True, slots=True)
class Recording:
    """A run that is recorded. ``flows``: where; ``before``: the last one that was told of before it; ``stderr``: ours, kept open."""

    asked: Asked
    client: Client
    run: Run
    flows: Path
    before: int
    stderr: int

    @classmethod
    def begin(cls, asked: Asked, client: Client, run: Run) -> Recording:
        """Before the command is. While it runs, only the command holds our standard streams."""
        flows = Path(client.request("GET", "/exitway/v1/status")["flows"])
        with closing(_history(flows)) as history:
            return cls(asked, client, run, flows, history.next_id - 1, os.dup(2))

    def finish(self, code: int) -> None:
        """Learn from it; it ended with this code (or -n, by signal n). What goes wrong is said, and changes nothing of how the run ends."""
        os.dup2(self.stderr, 2)
        try:
            self._settle()
            with closing(_history(self.flows)) as history:
                flows = history.select(workload=f"{self.run.namespace}/{self.run.name}", after=self.before)
            if code:
                problems.warn(f"the program {_end(code)}: what it would have called after that is not learned")
            heading = f"Learned from a run of {self.run.stem}, which {_end(code)}."
            write_lesson(flows, self.asked, Context(self.run.stem, [heading], self._in_force))
        except Problems as found:
            problems.show(found.problems)

    def _settle(self) -> None:
        """Wait until all that it did is written: Envoy tells of the last of it a moment after the fact."""
        path = f"/exitway/v1/workloads/{quote(self.run.identity, safe='')}/end"
        try:
            settled = self.client.request("POST", path, {}, SETTLED_SECONDS)["settled"]
        except Problems as away:
            problems.show(away.problems)
            settled = False
        if not settled:
            problems.warn("the proxy has not told of all that the program did: something may be missing in the rules")

    def _in_force(self) -> Registry:
        from exitway.cli.rules import rules_in_force, rules_of

        brought = rules_of(self.run.documents, self.run.namespace)
        return rules_in_force(self.client, self.run.namespace).changed(brought).registry


def _history(path: Path) -> History:
    from exitway.flows.history import History

    return History(path, read_only=True)


def _end(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
