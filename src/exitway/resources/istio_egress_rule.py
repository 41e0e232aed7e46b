"""EgressRule ``config.istio.io/v1alpha2``, as Istio 0.2 to 0.7 read it.

The rules and the texts of their faults are Istio's (``pilot/pkg/model/validation.go``, ``ValidateEgressRule``); where Istio lists protocols in
no order, they are sorted here. What the ports mean:

    http, http2, grpc   requests for the service
    https               the program speaks plain HTTP to the port, and the proxy verified TLS beyond it
    tcp, mongo          connections to the service: a name, an address or a block of addresses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any

from exitway.names.host import Host
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.resources.form import Form, mapping, mappings
from exitway.resources.intent import Intent, Target
from exitway.resources.istio_service import SERVICE, is_cidr, service_fault, shown
from exitway.resources.metadata import Object, read_object
from exitway.resources.problem import Problem
from exitway.resources.resource import Resource
from exitway.resources.schema import agreeing, keyed, said

API_VERSION = "config.istio.io/v1alpha2"
_HTTP = ("GRPC", "HTTP", "HTTP2", "HTTPS")
_TCP = ("Mongo", "TCP")
_CLASSES = {**{name.lower(): "HTTP" for name in _HTTP}, **{name.lower(): name for name in _TCP}}


class _Destination(Form):
    model_config = agreeing({}, required=("service",))
    service: Annotated[
        str,
        said(
            'A name, "*" and the end of a name, an IPv4 address, or an IPv4 CIDR block.', maxLength=257, pattern=SERVICE
        ),
    ] = ""
    # The other fields of Istio's message: known, so that their faults have Istio's texts.
    name: Any = None
    namespace: Any = None
    domain: Any = None
    labels: Any = None


class _Port(Form):
    model_config = agreeing({}, required=("port", "protocol"))
    port: Annotated[int, said("The port that programs dial.", minimum=1, maximum=65535)] = 0
    protocol: Annotated[
        str,
        said(
            "http, http2, grpc, https, tcp or mongo, in any case.", maxLength=5, pattern=f"^(?i)({'|'.join(_CLASSES)})$"
        ),
    ] = ""


class Spec(Form):
    """Where the workloads of the namespace may go."""

    model_config = agreeing(
        {
            "!self.destination.service.contains('/') || self.ports.all(port, port.protocol.lowerAscii() in ['tcp', 'mongo'])": (
                "only the protocols mongo and tcp can be defined for a CIDR block"
            )
        },
        required=("destination", "ports"),
    )
    destination: Annotated[_Destination | None, said("Where programs may go.")] = None
    ports: Annotated[
        tuple[_Port, ...] | None, said("The ports, each once.", minItems=1, maxItems=65535, **keyed("port"))
    ] = None
    use_egress_proxy: Annotated[bool, said("Not implemented, as in Istio.", enum=[False])] = False


class _EgressRule(Object):
    spec: Spec


def read(wire: Mapping[str, Any]) -> Resource:
    """The resource. Raises :class:`~exitway.resources.problem.Problems`, with all of them."""
    spec = wire.get("spec")
    form = read_object(_EgressRule, wire, _faults(spec) if isinstance(spec, dict) else ())
    key = Key("egress-rule", form.metadata.namespace, form.metadata.name, "config.istio.io")
    intent = Intent(key, _targets(destination(wire), form.spec.ports or ()))
    return Resource(key, API_VERSION, form.kind, {name: wire[name] for name in wire if name != "status"}, (intent,))


def destination(wire: Mapping[str, Any]) -> str:
    """The destination of a valid rule."""
    return str(wire["spec"]["destination"]["service"]).lower()


def port_classes(wire: Mapping[str, Any]) -> tuple[tuple[int, str], ...]:
    """The ports of a valid rule, each with the class of its protocol: HTTP, TCP or Mongo."""
    return tuple((port["port"], _CLASSES[port["protocol"].lower()]) for port in wire["spec"]["ports"])


def _faults(spec: Mapping[str, Any]) -> Iterator[Problem]:
    destination, ports = spec.get("destination"), spec.get("ports")
    if destination is None:
        yield Problem("EXW0201", "destination of egress rule must have destination field", field="spec.destination")
    elif isinstance(destination, dict):
        yield from _destination_faults(destination)
    if not ports and (ports is None or isinstance(ports, list)):
        yield Problem("EXW0205", "egress rule must have a ports list", field="spec.ports")
    yield from _port_faults(ports, mapping(destination).get("service"))
    if spec.get("use_egress_proxy") is True:
        message = "directing traffic through egress proxy is not implemented yet"
        yield Problem("EXW0208", message, field="spec.use_egress_proxy")


def _destination_faults(destination: Mapping[str, Any]) -> Iterator[Problem]:
    for name in ("name", "namespace", "domain", "labels"):
        if destination.get(name):
            message = f"destination of egress rule must not have {name} field"
            yield Problem("EXW0202", message, "name it in service, in full", f"spec.destination.{name}")
    service = destination.get("service", "")
    if isinstance(service, str):
        yield from service_fault(service, "spec.destination.service")


def _port_faults(ports: Any, service: Any) -> Iterator[Problem]:
    seen: set[int] = set()
    for index, port in mappings(ports):
        field = f"spec.ports[{index}]"
        number, protocol = port.get("port", 0), port.get("protocol", "")
        if type(number) is int:
            if not 1 <= number <= 65535:
                yield Problem("EXW0103", f"port number {number} must be in the range 1..65535", field=f"{field}.port")
            elif number in seen:
                yield Problem("EXW0108", f"duplicate port: {number}", "one protocol for one port", f"{field}.port")
            seen.add(number)
        if isinstance(protocol, str):
            yield from _protocol_faults(number, protocol, service, f"{field}.protocol")


def _protocol_faults(number: Any, protocol: str, service: Any, field: str) -> Iterator[Problem]:
    known = _CLASSES.get(protocol.lower())
    if known is None:
        names = ",".join(_HTTP + _TCP)
        message = f"egress rule support is available only for the following protocols: {names}"
        hint = "end-to-end TLS is tcp" if protocol.lower() == "tls" else ""
        yield Problem("EXW0206", message, hint, field)
    elif known == "HTTP" and isinstance(service, str) and is_cidr(service):
        message = (
            f"Only the following protocols can be defined for CIDR destination service notation: {','.join(_TCP)}. "
            f"This rule - port: {number} protocol: {protocol} destination.service: {shown(service)}"
        )
        yield Problem("EXW0207", message, "allow requests by name", field)


def _targets(service: str, ports: tuple[_Port, ...]) -> tuple[Target, ...]:
    http = tuple(sorted(_port(port) for port in ports if _CLASSES[port.protocol.lower()] == "HTTP"))
    tcp = tuple(sorted(_port(port) for port in ports if _CLASSES[port.protocol.lower()] != "HTTP"))
    if is_cidr(service):
        return (Target((), (IPv4Network(service, strict=False),), tcp),)
    host = Host.parse(service)
    if not host.is_address:
        return (Target((host,), (), tuple(sorted(http + tcp))),)
    # Requests for an address are decided by their authority, connections by where they go.
    by_name, by_address = Target((host,), (), http), Target((), (IPv4Network(IPv4Address(service)),), tcp)
    return tuple(target for target in (by_name, by_address) if target.ports)


def _port(port: _Port) -> Port:
    protocol = port.protocol.upper()
    if protocol == "HTTPS":
        return Port(port.port, Protocol.HTTP, originate_tls=True)
    return Port(port.port, Protocol.TCP if protocol == "MONGO" else Protocol(protocol))
