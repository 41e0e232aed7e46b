"""Ports whose protocol is hardly the one that is spoken there, or that hides what could be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exitway.analyze.catalogue import found
from exitway.analyze.destination import Destination, destinations
from exitway.analyze.finding import Finding
from exitway.names.host import LOCAL_HOST, Host
from exitway.names.port import Port, Protocol
from exitway.resources.egress_rule import API_VERSION
from exitway.resources.resource import Resource

_TLS_PORT, _HTTP_PORT = 443, 80


def protocols(resources: Sequence[Resource]) -> Iterator[Finding]:
    """For each port of a target once, whatever its names."""
    seen = set[tuple[object, int, int]]()
    for destination in destinations(resources):
        for port in destination.target.ports:
            at = (destination.key, destination.index, port.number)
            if isinstance(destination.what, Host) and destination.allowed and at not in seen:
                seen.add(at)
                yield from _port(destination, destination.what, port)


def _port(destination: Destination, host: Host, port: Port) -> Iterator[Finding]:
    key, field = destination.key, destination.port_field(port.number)
    if host.suffix == LOCAL_HOST or destination.target.direct:
        return
    if port.number == _TLS_PORT and port.protocol.is_http and not port.originate_tls:
        message = f"requests to {host}:{port.number} would go out in clear text, to a port for TLS"
        hint = "protocol: TLS for programs that speak https://, or originateTLS: true for those that speak http:// to Exitway"
        yield found(
            "EXW2045",
            key,
            message,
            hint if destination.resource.api_version == API_VERSION else "protocol: https",
            field,
        )
    elif port.number == _HTTP_PORT and port.protocol is Protocol.TLS:
        message = f"{host}:{port.number} is a port for HTTP in clear text, and only TLS is allowed there"
        yield found("EXW2045", key, message, "protocol: HTTP, or port 443", field)
    elif port.number == _TLS_PORT and port.protocol is Protocol.TCP and destination.resource.api_version == API_VERSION:
        message = f"anything may be said to {host}:{port.number}, not only TLS to this name"
        yield found(
            "EXW2046", key, message, "protocol: TLS, and Exitway sees to it that the program asks for this name", field
        )
