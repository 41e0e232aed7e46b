"""What the attempts are told: names and addresses, some allowed and some not. It travels into the workload as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Target:
    """An empty string or tuple: there is no such thing here, and what needs it is not tried."""

    ipv4: str
    """An address outside that nothing allows. Everything sent to it is seen."""
    ipv6: str
    """The same."""
    refused: str
    """A name that nothing allows. A query for it is seen."""
    allowed: str
    """A name that is allowed for HTTP at :attr:`http`, and for TLS at :attr:`tls`."""
    http: int
    tls: int
    addresses: tuple[str, ...]
    """Those of the allowed name."""
    peer: tuple[str, int]
    """An address and port that are allowed for TCP. Who is there answers what it is told."""
    further_peers: tuple[str, ...] = ()
    """Addresses that are allowed for TCP at the same port; it is a name that is."""
    resolvers: tuple[str, ...] = ()
    """The DNS servers that the proxy may ask for allowed names."""
    wildcard: str = ""
    """Every name below it is allowed like :attr:`allowed`, but for :attr:`barred`."""
    barred: str = ""
    """A name below the wildcard that a rule with action DENY names."""
    redirecting: str = ""
    """An allowed site (HTTP) that answers ``/redirect-to?url=URL`` with a redirection."""
    limited: str = ""
    """A name that is allowed only for ``GET`` below ``/open/`` (HTTP) at :attr:`limited_port`."""
    limited_port: int = 0
    untrusted: str = ""
    """An allowed name to which the proxy speaks TLS, and whose certificate is signed by nobody."""
    inward: tuple[str, ...] = ()
    """Names that are allowed, and lead to addresses that no name may lead to."""
    aliased: tuple[str, ...] = ()
    """The same, through a CNAME."""
    helper_port: int = 0
    """Of the machine's loopback: a service that would be a way out, TCP and UDP."""
    helper_socket: str = ""
    """The same on a Unix socket."""
    helper_abstract: str = ""
    """The same on an abstract Unix socket."""
    own: tuple[str, ...] = ()
    """The machine's own addresses that are not loopback. The same service listens there, too."""
    directories: tuple[str, ...] = ()
    """Exitway's own: sockets, rules, keys."""
    others: Mapping[str, tuple[str, ...]] | None = None
    """The addresses of further names that may be dialled as the allowed one may."""

    def to_json(self) -> str:
        """As an argument of the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Target:
        """The same target."""
        values: dict[str, Any] = json.loads(text)
        known = {field.name for field in fields(cls)}
        read: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items() if key in known
        }
        return cls(**read)
