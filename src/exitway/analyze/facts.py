"""What rules do not say themselves. None: it is not known, and nothing is said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from exitway.names.key import Key
from exitway.names.workload import Workload

Addresses = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Use:
    """When each rule last decided something that was recorded, by its key's text. ``since``: when the records begin."""

    since: datetime
    last: Mapping[str, datetime]


@dataclass(frozen=True, slots=True)
class Lookup:
    """What DNS says of a name: its addresses, and the names that lead there. ``exists``: False where it says that there is none."""

    addresses: Addresses = ()
    aliases: tuple[str, ...] = ()
    exists: bool = True


@dataclass(frozen=True, slots=True)
class Namespace:
    """One whose pods are captured. ``placement``: what its label says.

    ``opt_out``: whether its pods may have none; ``unsafe``: whether they may ask for what defeats the boundary.
    """

    name: str
    placement: str
    opt_out: bool = False
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Pod:
    """One that runs in such a namespace. ``opted_out``: it says that it has no placement; ``static``: its node runs it without asking.

    ``unsafe``: what an annotation allows it although it defeats the boundary, in words; None: it has no such annotation.
    """

    namespace: str
    name: str
    captured: bool
    opted_out: bool = False
    static: bool = False
    unsafe: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return f"pod/{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Facts:
    """``running``: the workloads. ``lookups``: by exact name, of those that were asked for; likewise ``tls``: whether they speak it at port 443.

    ``created``: of rules, where it is known. ``namespaces`` and ``pods``: of a cluster.
    """

    now: datetime
    expires_within: timedelta = timedelta(days=14)
    unused_for: timedelta = timedelta(days=30)
    use: Use | None = None
    running: Sequence[Workload] | None = None
    lookups: Mapping[str, Lookup] = field(default_factory=dict)
    tls: Mapping[str, bool] = field(default_factory=dict)
    created: Mapping[Key, datetime] = field(default_factory=dict)
    namespaces: Sequence[Namespace] = ()
    pods: Sequence[Pod] = ()
