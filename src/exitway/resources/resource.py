"""What every resource has in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from exitway.names.key import Key
from exitway.resources.intent import Intent

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource that was read and found right: its wire form (as the user wrote it, ``metadata`` included) and its meaning."""

    key: Key
    api_version: str
    kind: str
    wire: Mapping[str, Any]
    intents: tuple[Intent, ...]

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The wire form's ``metadata``."""
        return self.wire["metadata"]  # type: ignore[no-any-return]
