"""What readers of rules need of a store, be it the file of one machine or the Kubernetes API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from exitway.resources.registry import Registry
from exitway.store.change import Event


class Rules(Protocol):
    """All rules at one revision, and what changes. The revision only grows; what it counts is the store's own business."""

    @property
    def registry(self) -> Registry:
        """Every resource now."""
        ...

    @property
    def revision(self) -> int:
        """The revision of the last change."""
        ...

    def since(self, revision: int) -> Sequence[Event]:
        """The events after that revision that there are now. Raises Gone."""
        ...

    async def after(self, revision: int) -> Sequence[Event]:
        """The events after that revision, as soon as there are any; none when the store is closed. Raises Gone."""
        ...

    def close(self) -> None:
        """End the followers."""
        ...
