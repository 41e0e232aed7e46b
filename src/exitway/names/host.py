"""Host names and suffix wildcards, in one normal form.

    pattern         matches                          not
    a.example       a.example, A.EXAMPLE             x.a.example
    *.a.example     x.a.example, x.y.a.example       a.example
    *-b.a.example   x-b.a.example                    -b.a.example
    *a.example      xa.example, x.a.example          a.example
    *               anything

A ``*`` stands for a non-empty string, as in Envoy's virtual host domains (``config/route/v3/route_components.proto``) and Istio's EgressRule.
Two patterns that match one name are nested, so among those that match a name the longest is the most specific.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

LABEL = "[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
"""A DNS label, as a pattern that RE2 reads too."""
_LABEL = re.compile(rf"{LABEL}\Z")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII | re.IGNORECASE)
_MAX_LENGTH = 253

LOCAL_HOST = "host.exitway.internal"
"""This machine's own loopback, as a workload names it. Only a rule with exactly this name allows it."""


def is_label(text: str) -> bool:
    """Whether the text is one DNS label (RFC 1123): letters, digits and inner hyphens, at most 63."""
    return _LABEL.match(text) is not None


def as_label(text: str, longest: int = 60) -> str:
    """The text as a DNS label in lower case, as Kubernetes names things (RFC 1123); empty: nothing of it can stand in one."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:longest].strip("-")


def is_name(text: str) -> bool:
    """Whether the text is a name of labels joined by dots, at most 253 characters together (RFC 1123; RFC 1035, section 2.3.4)."""
    return len(text) <= _MAX_LENGTH and all(map(is_label, text.split(".")))


def is_host(name: str) -> bool:
    """Whether a rule of ``exitway.dev/v1`` can name it: it is a name, and nobody reads an address in it."""
    return is_name(name) and not ends_in_number(name)


def ends_in_number(name: str) -> bool:
    """Whether a URL parser makes an IPv4 address of it (https://url.spec.whatwg.org/#ends-in-a-number-checker): no name ends so."""
    return _NUMBER.fullmatch(name.rpartition(".")[2]) is not None


@dataclass(frozen=True, slots=True, order=True)
class Host:
    """An exact name, or a wildcard and the suffix that follows it. Lower case, no trailing dot."""

    suffix: str
    wildcard: bool = False

    @classmethod
    def parse(cls, text: str) -> Host:
        """Read ``a.example`` or ``*.a.example``. The caller has checked the form (the kinds differ in what they accept)."""
        text = text.lower()
        return cls(text[1:], wildcard=True) if text.startswith("*") else cls(text)

    def matches(self, name: str) -> bool:
        """Whether the (lower-case) name is one of those that this pattern stands for."""
        if not self.wildcard:
            return name == self.suffix
        return len(name) > len(self.suffix) and name.endswith(self.suffix)

    def covers(self, other: Host) -> bool:
        """Whether every name of the other pattern is a name of this one."""
        if not other.wildcard:
            return self.matches(other.suffix)
        return self.wildcard and other.suffix.endswith(self.suffix)

    @property
    def is_address(self) -> bool:
        """Whether the name is an IP literal."""
        try:
            ipaddress.ip_address(self.suffix)
        except ValueError:
            return False
        return not self.wildcard

    def __str__(self) -> str:
        return f"*{self.suffix}" if self.wildcard else self.suffix


def patterns(name: str) -> Iterator[Host]:
    """Every pattern that matches a name (in normal form), the most specific first."""
    yield Host(name)
    yield from (Host(name[start:], wildcard=True) for start in range(1, len(name) + 1))


def authority_name(authority: str) -> str:
    """The name in an HTTP authority, in normal form: lower case, without the port and without one trailing dot."""
    head, colon, port = authority.lower().rpartition(":")
    name = head if colon and port.isdigit() else authority.lower()
    return name.removesuffix(".")
