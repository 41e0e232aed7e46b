"""What one workload may reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from exitway.names.call import Sort, Verdict
from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.resources.intent import Network


@dataclass(frozen=True, slots=True)
class Permission:
    """A verdict on one destination and port, and the rule that caused it."""

    verdict: Verdict
    port: Port
    because: Key


Permissions = Mapping[tuple[int, Sort], Permission]
"""What holds for one destination, by port number and by what the proxy sees on the wire."""


@dataclass(frozen=True)
class Policy:
    """Names, networks, and until when this is true.

    ``hosts`` is flat: the permissions of a pattern already contain those of every wider pattern, so the most specific pattern that matches
    a name decides alone. That is how Envoy chooses a virtual host, too.
    """

    hosts: Mapping[Host, Permissions] = field(default_factory=dict)
    networks: Mapping[Network, Permissions] = field(default_factory=dict)
    valid_until: datetime | None = None


_SORTS = {protocol: Sort.HTTP if protocol.is_http else Sort(protocol.value.lower()) for protocol in Protocol}


def sort_of(port: Port) -> Sort:
    """What the proxy sees when a program uses the port as its rule says."""
    return _SORTS[port.protocol]
