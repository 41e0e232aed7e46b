"""What identifies a resource."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """``type`` is the hyphenated form of the kind (``egress-rule``), as in Istio's own messages; ``group`` its API group."""

    type: str
    namespace: str
    name: str
    group: str = ""

    def __str__(self) -> str:
        return f"{self.type}/{self.namespace}/{self.name}"
