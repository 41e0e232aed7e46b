"""What is asked of the store, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from exitway.names.key import Key
from exitway.resources.resource import Resource


@dataclass(frozen=True, slots=True)
class Put:
    """Make it so, whether or not it was there. ``expected``: the resourceVersion that it must have now; empty: any, or none."""

    resource: Resource
    expected: str = ""

    @property
    def key(self) -> Key:
        """What is put."""
        return self.resource.key


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove it. Raises ``KeyError`` in the store if it is not there. ``expected``: as for :class:`Put`."""

    key: Key
    expected: str = ""


Change = Put | Delete


class EventType(StrEnum):
    """The words of a Kubernetes watch."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class Event:
    """One resource changed. Every event has a revision of its own. ``resource``: the new one (deleted: the last), ``before``: the former."""

    type: EventType
    revision: int
    resource: Resource
    before: Resource | None = None


def parts(events: Sequence[Event]) -> tuple[list[Resource], list[Key]]:
    """What they have put, and what they have deleted."""
    put = [event.resource for event in events if event.type is not EventType.DELETED]
    return put, [event.resource.key for event in events if event.type is EventType.DELETED]


@dataclass(frozen=True, slots=True)
class Commit:
    """What a commit did. ``revision``: the store's after it. A put that changes nothing makes no event."""

    revision: int
    events: tuple[Event, ...]


class Conflict(Exception):  # noqa: N818 - the word of the Kubernetes API
    """The resource is not at the expected version (``actual`` is empty if it does not exist)."""

    def __init__(self, key: Key, expected: str, actual: str) -> None:
        super().__init__(f"{key} is at resourceVersion {actual or 'none'}, not {expected}")
        self.key, self.expected, self.actual = key, expected, actual


class Gone(Exception):  # noqa: N818 - the word of the Kubernetes API
    """The events since that revision are no longer (or not yet) known: list again, and watch from there."""


class Unavailable(Exception):  # noqa: N818 - it is not our fault, nor the user's
    """The disk refused. Nothing was changed; trying again may help."""


def version(resource: Resource | None) -> str:
    """The resourceVersion of a stored resource; empty for one that does not exist."""
    return resource.metadata["resourceVersion"] if resource else ""
