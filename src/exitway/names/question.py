"""The question that the proxy asks about a destination: not only which name, but who dialled what and said what.

Envoy resolves a name of this form (``envoy/listener.py`` composes it), and our own resolver reads it (``dns/resolution.py``):

    NAME.KIND-WHERE.WORKLOAD.exitway      api.example.s-240-240-0-5-443.4f2a91c0.exitway

WHERE is the port that was dialled, for some kinds with the address before it. Only the first part is the client's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

SUFFIX = "exitway"


class Kind(StrEnum):
    """What the name was read from, and so what must be held against it."""

    HTTP = "h"  # the authority of a request
    TLS = "s"  # the SNI: it must be the name behind the address that was dialled
    TCP = "t"  # nothing: the name is the one behind the address


@dataclass(frozen=True, slots=True)
class Question:
    """``name``: what the client said, lower case (empty for TCP). ``address``: what it dialled (empty for HTTP)."""

    kind: Kind
    name: str
    address: str
    port: int
    workload: str


_FORM = re.compile(
    rf"(?:(?P<name>.+)\.)?(?P<kind>[hst])-(?:(?P<address>[0-9a-f-]+)-)?(?P<port>[0-9]{{1,5}})\.(?P<workload>[0-9a-z]+)\.{SUFFIX}"
)


def compose(kind: Kind, name: str, where: str, workload: str) -> str:
    """The text of a question. ``name`` and ``where`` may be Envoy's format strings."""
    return f"{name}{'.' if name else ''}{kind}-{where}.{workload}.{SUFFIX}"


def parse(text: str) -> Question | None:
    """Read a question; None: it is none of ours."""
    match = _FORM.fullmatch(text.lower())
    if match is None:
        return None
    kind, name, address = Kind(match["kind"]), match["name"] or "", match["address"] or ""
    if bool(address) != (kind is not Kind.HTTP) or bool(name) != (kind is not Kind.TCP):
        return None
    return Question(kind, name, _address(address), int(match["port"]), match["workload"])


def _address(text: str) -> str:
    """``240-240-0-5`` and ``2001-2--5``: an address cannot be written into a label otherwise."""
    return text.replace("-", ":" if "--" in text or text.count("-") > 3 else ".")


def label(identity: str) -> str:
    """The last part of a workload's id, which is unique: what stands for it in a question."""
    return identity.rpartition("-")[2]
