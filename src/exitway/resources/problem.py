"""Faults that the user can mend, and the catalogue of their codes.

A code is never reused. ``docs/reference/problems.md`` is generated from :data:`CATALOGUE`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

CATALOGUE = {
    # 00: a file that cannot be read
    "EXW0001": "the file is not valid YAML or JSON",
    "EXW0002": "the file is not UTF-8 text",
    "EXW0003": "the file is too large",
    "EXW0004": "the file is empty",
    "EXW0005": "a document is not a mapping",
    "EXW0006": "a key is given twice",
    "EXW0007": "a key is not a string",
    "EXW0008": "an anchor, an alias or a merge key",
    "EXW0009": "a tag",
    "EXW0010": "nested too deep",
    "EXW0011": "a number that readers disagree about",
    "EXW0012": "too many values in one file",
    "EXW0013": "a malformed List",
    # 01: any resource
    "EXW0101": "an unknown field",
    "EXW0102": "a required field is missing",
    "EXW0103": "a port number is out of range",
    "EXW0104": "a value of the wrong type",
    "EXW0105": "an unknown kind or version",
    "EXW0106": "a malformed name or namespace",
    "EXW0107": "a malformed label or annotation",
    "EXW0108": "a port is given twice",
    "EXW0109": "not one of the possible values",
    # 02: EgressRule of config.istio.io/v1alpha2
    "EXW0201": "the destination is missing",
    "EXW0202": "the destination has more than a service",
    "EXW0203": "the service is not a domain",
    "EXW0204": "the service is not an IPv4 CIDR block",
    "EXW0205": "no ports",
    "EXW0206": "an unsupported protocol",
    "EXW0207": "a CIDR block with a protocol that needs names",
    "EXW0208": "the egress proxy is not implemented",
    # 03: EgressRule of exitway.dev/v1
    "EXW0301": "not exactly one of hosts and cidrs",
    "EXW0302": "an empty list",
    "EXW0303": "a malformed host name",
    "EXW0304": "a host that is an address",
    "EXW0305": "a host that stands for every name",
    "EXW0306": "a malformed CIDR block",
    "EXW0307": "a CIDR block with host bits",
    "EXW0308": "a CIDR block with a protocol that needs names",
    "EXW0309": "TLS origination where there is no HTTP",
    "EXW0310": "a malformed time",
    "EXW0311": "direct is not enforced yet",
    "EXW0312": "methods are not enforced yet",
    "EXW0313": "paths are not enforced yet",
    # 04: resources that contradict each other
    "EXW0401": "two rules for one destination",
    "EXW0402": "two protocols on one port",
    # 05: the store
    "EXW0501": "the store cannot be opened or written",
    "EXW0502": "the store is missing, but its log is there",
    "EXW0503": "the store is in use by another server",
    "EXW0504": "the store is another program's file",
    "EXW0505": "the store was written by another version",
    "EXW0506": "the store is damaged",
    # 06: the API
    "EXW0601": "the API's socket cannot be made",
    "EXW0602": "a server already listens on the API's socket",
    "EXW0603": "the API's address cannot be listened on",
    "EXW0604": "the kernel does not tell a client's namespace",
    "EXW0605": "the token's file is not safe",
    "EXW0610": "one object twice in a request",
    "EXW0611": "the resource already exists",
    "EXW0612": "the resource does not exist",
    "EXW0613": "the resource has changed meanwhile",
    # 07: workloads
    "EXW0701": "the process has no network namespace of its own",
    "EXW0702": "the proxy does not listen in the workload's namespace",
    "EXW0703": "a server is already running",
    # 08: the proxy
    "EXW0801": "no Envoy binary",
    "EXW0802": "the Envoy binary is not one",
    "EXW0803": "Envoy is too old",
    # 09: the command line and the server
    "EXW0901": "no server is running",
    "EXW0902": "the server is another user's",
    "EXW0903": "the server does not answer, or breaks off its answer",
    "EXW0904": "the server did not start",
    "EXW0905": "the server does not stop",
    "EXW0911": "a file cannot be read",
    "EXW0912": "the object's namespace is not the one of -n",
    "EXW0913": "there is no resource of that name",
    "EXW0914": "no object in what -f names",
    # 10: the lab and the demo
    "EXW1001": "the lab needs a tool",
    "EXW1002": "the lab cannot be built",
    "EXW1003": "the demo cannot be played",
    # 11: sealing a command
    "EXW1101": "only root may seal a command",
    "EXW1102": "sealing a command needs a tool",
    "EXW1103": "the command cannot be sealed",
    "EXW1104": "the working directory is gone",
}
"""Every code, and what it is about."""

MAX_PROBLEMS = 100
"""More at once help nobody."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file; line and column count from 1, 0 is unknown."""

    file: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: a stable code, one sentence, a hint, the path of the field (``spec.ports[0].port``) and the place."""

    code: str
    message: str
    hint: str = ""
    field: str = ""
    place: Place = Place()

    def at(self, place: Place) -> Problem:
        """The same problem, at a place."""
        return replace(self, place=place)

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place.file else ""
        return f"{where}{self.code} {self.message}"


class Problems(Exception):  # noqa: N818 - a name of the domain
    """All the problems of one input, at once."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def quoted(text: str) -> str:
    """A piece of the user's text as it stands in a sentence: in quotes, escaped, and not longer than a sentence bears."""
    return json.dumps(text if len(text) <= 80 else f"{text[:77]}...", ensure_ascii=False)
