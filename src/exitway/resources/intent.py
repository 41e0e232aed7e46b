"""What a resource means, whatever its kind: who may, or may not, reach what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network

from exitway.names.call import Sort, Verdict
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.port import Port
from exitway.names.workload import Selector

Network = IPv4Network | IPv6Network


class Action(StrEnum):
    """DENY wins over any ALLOW."""

    ALLOW = "ALLOW"
    DENY = "DENY"


@dataclass(frozen=True, slots=True)
class Target:
    """Destinations and the ports on them. Either ``hosts`` or ``cidrs``, never both."""

    hosts: tuple[Host, ...]
    cidrs: tuple[Network, ...]
    ports: tuple[Port, ...]


@dataclass(frozen=True, slots=True)
class Permission:
    """A verdict on one destination and port, and the rule that caused it."""

    verdict: Verdict
    port: Port
    because: Key


Permissions = Mapping[tuple[int, Sort], Permission]
"""What holds for one destination, by port number and by what the proxy sees on the wire."""


@dataclass(frozen=True)
class Intent:
    """One rule. It holds in the namespace of its key (in ``exitway-system``: everywhere) until ``expires``."""

    key: Key
    to: tuple[Target, ...]
    selector: Selector = Selector()  # noqa: RUF009 - frozen
    action: Action = Action.ALLOW
    expires: datetime | None = None

    @cached_property
    def permissions(self) -> tuple[tuple[Target, Permissions], ...]:
        """What each target's destinations are permitted or denied by this rule alone. Worked out once for a rule, not once for a change."""
        verdict = Verdict.ALLOW if self.action is Action.ALLOW else Verdict.DENY
        return tuple(
            (target, {(port.number, port.sort): Permission(verdict, port, self.key) for port in target.ports})
            for target in self.to
        )
