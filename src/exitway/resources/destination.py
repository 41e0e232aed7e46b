"""What may stand in ``hosts`` and ``cidrs`` of ``exitway.dev/v1``: nothing that two readers could take for two things."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Network, ip_address, ip_network

from exitway.names.host import ends_in_number, is_name
from exitway.resources.problem import Problem, quoted

_CIDR = re.compile(r"[0-9a-fA-F.:]+/\d{1,3}\Z", re.ASCII)
_MAPPED = IPv6Network("::ffff:0:0/96")


def host_fault(host: str, field: str) -> Iterator[Problem]:
    """The first fault of a host: an exact DNS name, or ``*.`` and one, in A-labels."""
    if fault := _host_fault(host):
        code, message, hint = fault
        yield Problem(code, f"{quoted(host)} {message}", hint, field)


def cidr_fault(cidr: str, field: str) -> Iterator[Problem]:
    """The first fault of a CIDR block: an IPv4 or IPv6 network with its prefix length, and no host bits."""
    if fault := _cidr_fault(cidr):
        code, message, hint = fault
        yield Problem(code, f"{quoted(cidr)} {message}", hint, field)


def _host_fault(host: str) -> tuple[str, str, str] | None:
    if host == "*":
        return "EXW0305", "stands for every name", 'name them, or the part they share: "*.example.com"'
    if address := _address(host):
        return "EXW0304", "is an address, not a name", f"it belongs to cidrs, as {address}"
    name = host.removeprefix("*.")
    if hint := _form_hint(name):
        return "EXW0303", "is not a host name", hint
    if ends_in_number(name):  # that includes all that inet_aton(3) reads as an address
        return "EXW0304", "can be read as an address: it ends in a number", "addresses belong to cidrs"
    return None


def _form_hint(name: str) -> str:
    """What to do about a malformed name; empty if it is well formed."""
    if is_name(name):
        return ""
    if "://" in name or "/" in name:
        return "only the name, without scheme and path"
    if ":" in name:
        return "only the name: ports stand in ports"
    if name.endswith("."):
        return "without the trailing dot"
    if "*" in name:
        return 'a "*" can only be the whole first label, as in "*.example.com"'
    if not name.isascii():
        return 'write its A-labels, which begin with "xn--"'
    return 'labels of letters, digits and inner "-", at most 63 each and 253 together'


def _address(host: str) -> str:
    try:
        address = ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return ""
    return f"{address}/{address.max_prefixlen}"


def _cidr_fault(cidr: str) -> tuple[str, str, str] | None:
    if address := _address(cidr):
        return "EXW0306", "has no prefix length", f"for this one address write {address}"
    try:
        network = ip_network(cidr, strict=False) if _CIDR.match(cidr) else None
    except ValueError:
        network = None
    if network is None:
        return "EXW0306", "is not a CIDR block", "such as 10.20.0.0/16 or 2001:db8::/32"
    if isinstance(network, IPv6Network) and network.subnet_of(_MAPPED):
        return "EXW0306", "is a block of IPv4 addresses in IPv6 notation", "write it as IPv4"
    if str(network.network_address) != str(ip_address(cidr.partition("/")[0])):
        return "EXW0307", "has bits set beyond its prefix", f"the network is {network}"
    return None
