"""``destination.service`` of ``config.istio.io/v1alpha2``: with exactly one ``/`` a block of addresses, else a domain.

valid domains     cnn.com  10.0.0.100  *cnn.com  *.cnn.com  *-cnn.com  *.0.0.100  *com  *0  *
invalid ones      cnn..com  cnn.com:80  *cnn*.com  cnn.*.com  **com  *.  and the empty one
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_address

from exitway.names.host import LABEL, is_label
from exitway.resources.problem import Problem, quoted

_MAX_LENGTH = 255
SERVICE = rf"^(\*|(\*[.-]?)?{LABEL}(\.{LABEL})*|[0-9.]+/[0-9]{{1,3}})$"
"""What every service looks like, for readers of schemas (RE2)."""
_PREFIX = re.compile(r"\d{1,3}\Z", re.ASCII)


def is_cidr(service: str) -> bool:
    """Whether the service is to be read as a block of addresses."""
    return service.count("/") == 1


def service_fault(service: str, field: str) -> Iterator[Problem]:
    """The first fault of a service."""
    if is_cidr(service):
        code, fault = "EXW0204", _cidr_fault(service)
    else:
        code, fault = "EXW0203", _domain_fault(service)
    if fault:
        yield Problem(code, fault, _hint(service), field)


def _cidr_fault(cidr: str) -> str:
    text, _, prefix = cidr.partition("/")
    try:
        address = ip_address(text)
    except ValueError:
        return f"{shown(cidr)} is not a valid CIDR block"
    if not _PREFIX.match(prefix) or int(prefix) > address.max_prefixlen:
        return f"{shown(cidr)} is not a valid CIDR block"
    return "" if address.version == 4 else f"{shown(cidr)} is not a valid IPv4 address"


def shown(service: str) -> str:
    """As it stands in Istio's texts; one that is longer than any that is right is cut short."""
    return service if len(service) <= _MAX_LENGTH else f"{service[:_MAX_LENGTH]}..."


def _domain_fault(domain: str) -> str:
    if domain == "*":
        return ""
    if not domain:
        return "domain must not be empty string"
    name = domain
    if domain[0] == "*":
        name = domain[2:] if domain[1] in ".-" else domain[1:]
    if not name:
        return "empty domain name not allowed"
    if len(name) > _MAX_LENGTH:
        return f"domain name {quoted(name)} too long (max {_MAX_LENGTH})"
    bad = next((label for label in name.split(".") if not is_label(label)), None)
    return "" if bad is None else f"domain name {quoted(name)} invalid (label {quoted(bad)} invalid)"


def _hint(service: str) -> str:
    if "://" in service:
        return "only the name, without the scheme"
    if service.endswith("."):
        return "without the trailing dot"
    if ":" in service and not is_cidr(service):
        return "only the name: ports stand in ports"
    return 'a name, "*" and the end of a name, an IPv4 address, or an IPv4 CIDR block'
