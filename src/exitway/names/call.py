"""A trial, and what came of it: the input and the output of every decision."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from exitway.names.key import Key


class Sort(StrEnum):
    """What the proxy sees on the wire, before any rule is asked."""

    HTTP = "http"  # clear-text HTTP/1 or HTTP/2
    TLS = "tls"
    TCP = "tcp"  # anything else


@dataclass(frozen=True, slots=True)
class Call:
    """One request or connection. ``name`` is the authority without its port (HTTP) or the SNI (TLS); ``address`` is what was dialled.

    ``asked``: the name behind that address, which is what the program asked for; empty: there is none; None: not to be considered.

    Of a request: ``path`` as it stands in its target, ``overridden`` whether it has one of
    :data:`~exitway.names.request.METHOD_OVERRIDES`.
    """

    sort: Sort
    port: int
    name: str = ""
    address: str = ""
    asked: str | None = None
    method: str = "GET"
    path: str = "/"
    overridden: bool = False


class Verdict(StrEnum):
    """Whether it may leave."""

    ALLOW = "allow"
    DENY = "deny"


class Reason(StrEnum):
    """Why. Stable words: they stand in headers, logs and metrics."""

    RULE = "rule"  # a rule allows it
    RANGE = "ip-range"  # it is in an IP range that the workload may reach directly
    NO_RULE = "no-rule"  # nothing allows the destination
    PORT = "port"  # a rule allows the destination, on other ports
    PROTOCOL = "protocol"  # a rule allows the destination and port, for another protocol
    METHOD = "method"  # a rule allows the destination, port and path, not this method (or the request asks for another one in a header)
    PATH = "path"  # a rule allows the destination and port, not this path (or not written like this)
    DENIED = "denied-by-rule"  # a DENY rule names it
    MISMATCH = "name-mismatch"  # the SNI is not the name that the program asked for, or it dialled an address
    ADDRESS = "address"  # the name is allowed, the address it resolves to is not
    REVOKED = "revoked"  # it was allowed when it began, and was cut when that ended
    NOT_CAPTURED = "not-proxied"  # neither TCP nor anything else that a rule could allow (UDP, ICMP, ...)
    UNKNOWN = "unknown"  # no record says it: rules may have changed since the proxy of a pod wrote its line

    @classmethod
    def read(cls, text: str, otherwise: Reason) -> Reason:
        """The reason that is called so; ``otherwise``: where there is none."""
        return cls(text) if text in cls._value2member_map_ else otherwise


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict never travels without its reason and its rule. ``because``: the rule that caused it, or for a denial the nearest one.

    ``direct``: it goes through the kernel, not through the proxy.
    """

    verdict: Verdict
    reason: Reason
    because: Key | None = None
    direct: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the verdict is ALLOW."""
        return self.verdict is Verdict.ALLOW
