"""What a rule's status needs to know of the proxies of this replica."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from exitway.resources.resource import Resource


@dataclass(frozen=True, slots=True)
class Count:
    """Of the proxies that a rule concerns and that are connected here: how many there are, how many have it in force, and what others said of it."""

    proxies: int = 0
    acknowledged: int = 0
    errors: tuple[str, ...] = ()


class Counts(Protocol):
    """Sidecars and node agents, as far as they are connected to this replica."""

    def count(self, rule: Resource, revision: int) -> Count:
        """How it stands with a rule that is as it is since that revision of the store.

        A proxy has it in force when it has acknowledged all that was to be sent to it when the store was at that revision or a later one.
        ``errors``: a sentence for each proxy (at most ten) that refused what it was sent, and keeps what it had.
        """
        ...

    async def moved(self) -> None:
        """Return when numbers may have changed since it returned last: a proxy came, went, acknowledged or refused."""
        ...
