"""What a resource means, whatever its kind: who may, or may not, reach what."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network

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
class Intent:
    """One rule. It holds in the namespace of its key (in ``exitway-system``: everywhere) until ``expires``."""

    key: Key
    to: tuple[Target, ...]
    selector: Selector = Selector()  # noqa: RUF009 - frozen
    action: Action = Action.ALLOW
    expires: datetime | None = None
