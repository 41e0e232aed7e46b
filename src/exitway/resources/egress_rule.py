"""EgressRule ``exitway.dev/v1``: one object per intent.

spec:
  workloadSelector: {matchLabels: {app: checkout}}   # absent: every workload of the namespace
  action: ALLOW                                      # or DENY, which wins over any ALLOW
  to:
    - hosts: [api.example, "*.cdn.example"]          # or cidrs, never both
      ports: [{number: 443, protocol: TLS}]          # HTTP, HTTP2, GRPC, TLS or TCP; for cidrs only TCP
      methods: [GET, POST]                           # absent: all; only for HTTP, HTTP2 and GRPC, like paths
      paths: ["/v1/*"]                               # absent: all; exact, or a prefix ending in "*"
      originateTLS: false                            # true: the program speaks HTTP, the proxy verified TLS
      caFile: /etc/exitway/ca.pem                    # absent: the authorities that the system trusts; needs originateTLS
      direct: false                                  # true: through the kernel, not the proxy; only exact names and cidrs
      traceContext: false                            # true: requests carry traceparent, where the proxy makes spans of them
  expires: 2027-01-31T00:00:00Z                      # RFC 3339; after that the rule is as if absent
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

from exitway.names.host import LOCAL_HOST, Host
from exitway.names.key import Key
from exitway.names.port import Port, Protocol
from exitway.names.workload import Selector
from exitway.resources.destination import cidr_fault, host_fault
from exitway.resources.egress_rule_form import MAX_DESTINATIONS, MAX_PORTS, PROTOCOLS, Spec, To
from exitway.resources.form import did_you_mean, mapping, mappings, strings
from exitway.resources.intent import Action, Intent, Target
from exitway.resources.metadata import Object, label_faults, read_object
from exitway.resources.problem import Problem, quoted
from exitway.resources.request import request_faults
from exitway.resources.resource import Resource

API_VERSION = "exitway.dev/v1"
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[-+]\d\d:\d\d)\Z", re.ASCII)
_HTTPS = "TLS is what programs speak themselves; for plain HTTP that is sent on over TLS, HTTP and originateTLS: true"


class _EgressRule(Object):
    spec: Spec


def read(wire: Mapping[str, Any]) -> Resource:
    """The resource. Raises :class:`~exitway.resources.problem.Problems`, with all of them."""
    form = read_object(_EgressRule, wire, _faults(mapping(wire.get("spec"))))
    key = key_of(form.metadata.namespace, form.metadata.name)
    intent = Intent(
        key,
        tuple(map(_target, form.spec.to)),
        Selector(tuple(sorted(form.spec.workloadSelector.matchLabels.items()))),
        Action(form.spec.action),
        moment(form.spec.expires) if form.spec.expires else None,
    )
    return Resource(key, API_VERSION, form.kind, {name: wire[name] for name in wire if name != "status"}, (intent,))


def key_of(namespace: str, name: str) -> Key:
    """The key of a rule of this kind."""
    return Key("egress-rule", namespace, name, "exitway.dev")


def _target(to: To) -> Target:
    ports = sorted(Port(port.number, Protocol(port.protocol), to.originateTLS, to.caFile) for port in to.ports)
    requests = tuple(sorted(set(to.methods))), tuple(sorted(set(to.paths)))
    return Target(
        tuple(map(Host.parse, to.hosts)),
        tuple(map(ip_network, to.cidrs)),
        tuple(ports),
        *requests,
        to.direct,
        to.traceContext,
    )


def moment(text: str) -> datetime | None:
    """A moment of RFC 3339, in UTC; None: it is none."""
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC) if _TIME.match(text) else None
    except (ValueError, OverflowError):
        return None


def _faults(spec: Mapping[str, Any]) -> Iterator[Problem]:
    selector = mapping(spec.get("workloadSelector"))
    yield from label_faults(selector.get("matchLabels"), "spec.workloadSelector.matchLabels")
    expires = spec.get("expires")
    if isinstance(expires, str) and moment(expires) is None:
        hint = "such as 2027-01-31T00:00:00Z, with its zone"
        yield Problem("EXW0310", f"{quoted(expires)} is not a time", hint, "spec.expires")
    if spec.get("to") == []:
        yield Problem("EXW0302", "spec.to must name a destination", field="spec.to")
    yield from _length_faults(spec.get("to"), MAX_DESTINATIONS, "spec.to")
    for index, to in mappings(spec.get("to")):
        yield from _to_faults(to, f"spec.to[{index}]", spec.get("action"))


def _length_faults(items: Any, most: int, field: str) -> Iterator[Problem]:
    if isinstance(items, list) and len(items) > most:
        yield Problem("EXW0326", f"{field} has {len(items)} entries", f"at most {most}; use several rules", field)


def _to_faults(to: Mapping[str, Any], field: str, action: Any) -> Iterator[Problem]:
    if bool(to.get("hosts")) == bool(to.get("cidrs")):
        both = "hosts and cidrs, each in an entry of its own" if to.get("hosts") else "either hosts or cidrs"
        yield Problem("EXW0301", f"{field} must have {both}", field=field)
    for index, host in strings(to.get("hosts")):
        yield from host_fault(host, f"{field}.hosts[{index}]")
    for index, cidr in strings(to.get("cidrs")):
        yield from cidr_fault(cidr, f"{field}.cidrs[{index}]")
    if to.get("originateTLS") is True and action == "DENY":
        yield Problem("EXW0309", "originateTLS means nothing where nothing is let out", field=f"{field}.originateTLS")
    if to.get("traceContext") is True and action == "DENY":
        yield Problem("EXW2201", "traceContext means nothing where nothing is let out", field=f"{field}.traceContext")
    if isinstance(file := to.get("caFile"), str):
        yield from _ca_file_faults(file, to.get("originateTLS"), f"{field}.caFile")
    yield from _port_faults(to, field)
    yield from request_faults(to, field)
    if to.get("direct") is True:
        yield from _direct_faults(to, field, action)


def _ca_file_faults(file: str, originate_tls: Any, field: str) -> Iterator[Problem]:
    """Whether there are certificates in it is asked where the rule comes in: nothing is read here."""
    if originate_tls is False or originate_tls is None:
        hint = "it says who vouches for the server when Exitway speaks TLS; the program's own TLS is not looked into"
        yield Problem("EXW0323", "caFile means nothing without originateTLS: true", hint, field)
    if not file.startswith("/") or not file.isprintable():
        yield Problem("EXW0324", f"{quoted(file)} is not an absolute path", "such as /etc/exitway/ca.pem", field)


def _direct_faults(to: Mapping[str, Any], field: str, action: Any) -> Iterator[Problem]:
    """What is direct is not looked at: whatever needs a look contradicts it."""
    if action == "DENY":
        yield Problem("EXW0314", "direct means nothing where nothing is let out", field=f"{field}.direct")
    for index, host in strings(to.get("hosts")):
        if "*" in host:
            hint = "name them one by one, or leave direct out"
            yield Problem(
                "EXW0315", f"{quoted(host)} cannot be direct: it is not one name", hint, f"{field}.hosts[{index}]"
            )
        if host.lower() == LOCAL_HOST:
            hint = "it is reached through the proxy"
            yield Problem("EXW0314", f"{LOCAL_HOST} cannot be direct", hint, f"{field}.hosts[{index}]")
    for name in ("originateTLS", "methods", "paths", "traceContext"):
        if to.get(name):
            hint = "what is direct does not come to the proxy; leave one of the two out"
            yield Problem("EXW0314", f"direct and {name} contradict each other", hint, f"{field}.{name}")


def _port_faults(to: Mapping[str, Any], field: str) -> Iterator[Problem]:
    if to.get("ports") == []:
        yield Problem("EXW0302", f"{field}.ports must name a port", field=f"{field}.ports")
    yield from _length_faults(to.get("ports"), MAX_PORTS, f"{field}.ports")
    seen: set[int] = set()
    for index, port in mappings(to.get("ports")):
        at, number, protocol = f"{field}.ports[{index}]", port.get("number"), port.get("protocol")
        if type(number) is int:
            if not 1 <= number <= 65535:
                message = f"port {number} is out of range"
                yield Problem("EXW0103", message, "ports are numbered from 1 to 65535", f"{at}.number")
            elif number in seen:
                yield Problem("EXW0108", f"port {number} is given twice", "use two entries", f"{at}.number")
            seen.add(number)
        if isinstance(protocol, str):
            yield from _protocol_faults(to, protocol, f"{at}.protocol")


def _protocol_faults(to: Mapping[str, Any], protocol: str, field: str) -> Iterator[Problem]:
    if protocol not in PROTOCOLS:
        hint = _HTTPS if protocol.upper() == "HTTPS" else did_you_mean(protocol, PROTOCOLS)
        yield Problem("EXW0109", f"unknown protocol {quoted(protocol)}", hint, field)
        return
    if to.get("cidrs") and protocol != Protocol.TCP:
        hint = "allow requests and TLS by name, in hosts"
        yield Problem("EXW0308", f"cidrs can only be allowed for TCP, not for {protocol}", hint, field)
    if to.get("originateTLS") is True and not Protocol(protocol).is_http:
        hint = "the program speaks HTTP, HTTP2 or GRPC to such a port"
        yield Problem("EXW0309", f"originateTLS needs HTTP, not {protocol}", hint, field)
    if to.get("traceContext") is True and not Protocol(protocol).is_http:
        hint = "it is a header of requests; what is inside TLS and TCP is not looked into"
        yield Problem("EXW2201", f"traceContext needs HTTP, not {protocol}", hint, field)
