"""One commit, from a plan to the acknowledgement of the proxies. Every route that changes something ends here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from exitway.api.plan import overtaken
from exitway.api.status import Cause, Refusal
from exitway.store.change import Change, Commit, Conflict, Unavailable
from exitway.store.store import Store

Programmed = Callable[[int], Awaitable[list[str]]]
"""Waits until every running proxy has acknowledged that revision; one sentence for each that has not."""


@dataclass(frozen=True, slots=True)
class Writer:
    """The store, and those who must hear of it."""

    store: Store
    programmed: Programmed = field(repr=False)

    async def write(
        self, changes: Sequence[Change], *, dry_run: bool = False, wait: bool = True
    ) -> tuple[Commit, list[str]]:
        """Commit, then wait for the proxies. The second value: who did not acknowledge, in sentences.

        Raises:
            Refusal: Conflict (an object is at another version), or ServiceUnavailable (the disk).
        """
        try:
            commit = self.store.trial(changes) if dry_run else self.store.commit(changes)
        except Conflict as conflict:
            index = [change.key for change in changes].index(conflict.key)
            causes = [Cause(overtaken(str(conflict)), index)]
            raise Refusal(409, "Conflict", f"the object has been modified: {conflict}", causes) from conflict
        except Unavailable as error:
            raise Refusal(503, "ServiceUnavailable", str(error)) from error
        return commit, [] if dry_run or not wait else await self.programmed(self.store.revision)
