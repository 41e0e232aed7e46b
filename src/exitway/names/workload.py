"""What is being controlled, and how rules point at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exitway.names.cluster import CAPTURED

SYSTEM_NAMESPACE = "exitway-system"
"""Rules of this namespace hold for the workloads of every namespace."""

_PASSING_LABELS = frozenset({
    "pod-template-hash", "controller-revision-hash", "pod-template-generation", "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index",
    "controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/job-completion-index",
    CAPTURED,
})  # fmt: skip
"""Those that the next pod of the same workload has otherwise (https://kubernetes.io/docs/reference/labels-annotations-taints/), or in another
placement."""


def lasting(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that are the workload's, not of one of its lives: those that a rule may select it by."""
    return {key: value for key, value in labels.items() if key not in _PASSING_LABELS}


@dataclass(frozen=True, slots=True)
class Selector:
    """Labels that a workload must have, all of them. Empty: every workload."""

    match_labels: tuple[tuple[str, str], ...] = ()

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a workload with these labels is meant."""
        return all(labels.get(key) == value for key, value in self.match_labels)

    def meets(self, other: Selector) -> bool:
        """Whether there could be a workload that both select."""
        mine = dict(self.match_labels)
        return all(mine.get(key, value) == value for key, value in other.match_labels)


@dataclass(frozen=True)
class Workload:
    """A process tree, a container, a pod: whatever has one policy. ``namespace`` and ``name`` identify it to people."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
