"""The form of EgressRule ``exitway.dev/v1``: its fields, and the limits that readers of the schema are told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from exitway.names.host import LABEL
from exitway.names.port import Protocol
from exitway.names.request import UPPER_CASE
from exitway.resources.form import Form
from exitway.resources.request import LONGEST_PATH
from exitway.resources.schema import agreeing, keyed, said

PROTOCOLS = tuple(map(str, Protocol))
MAX_DESTINATIONS = 500
"""Entries of ``to``."""
MAX_PORTS = 100
"""Of each of them."""

_Host = Annotated[str, said(maxLength=255, pattern=rf"^(\*\.)?{LABEL}(\.{LABEL})*$")]
_Cidr = Annotated[str, said(maxLength=64, pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
_Method = Annotated[str, said(pattern=f"^{UPPER_CASE}$")]
_Path = Annotated[str, said(maxLength=LONGEST_PATH, pattern=r"^/[^?*]*\*?$")]


class _Port(Form):
    number: Annotated[int, said("The port that programs dial.", minimum=1, maximum=65535)]
    protocol: Annotated[str, said("What they speak there; for cidrs only TCP.", enum=PROTOCOLS)]


class To(Form):
    """A destination."""

    model_config = agreeing(
        {
            "(has(self.hosts) && size(self.hosts) > 0) != (has(self.cidrs) && size(self.cidrs) > 0)": "must have either hosts or cidrs",
            "!has(self.cidrs) || size(self.cidrs) == 0 || self.ports.all(port, port.protocol == 'TCP')": "cidrs can only be allowed for TCP",
            "!has(self.originateTLS) || !self.originateTLS || self.ports.all(port, port.protocol in ['HTTP', 'HTTP2', 'GRPC'])": (
                "originateTLS needs HTTP, HTTP2 or GRPC"
            ),
            "!(has(self.methods) || has(self.paths)) || self.ports.all(port, port.protocol in ['HTTP', 'HTTP2', 'GRPC'])": (
                "methods and paths need HTTP, HTTP2 or GRPC"
            ),
            "!has(self.caFile) || (has(self.originateTLS) && self.originateTLS)": "caFile means nothing without originateTLS: true",
            "!has(self.direct) || !self.direct || !(has(self.methods) || has(self.paths) || (has(self.originateTLS) && self.originateTLS))": (
                "what is direct does not come to the proxy: no originateTLS, methods or paths"
            ),
            "!has(self.traceContext) || !self.traceContext || self.ports.all(port, port.protocol in ['HTTP', 'HTTP2', 'GRPC'])": (
                "traceContext needs HTTP, HTTP2 or GRPC"
            ),
            "!has(self.direct) || !self.direct || !has(self.traceContext) || !self.traceContext": (
                "what is direct does not come to the proxy: no traceContext"
            ),
        }
    )
    ports: Annotated[
        tuple[_Port, ...], said("The ports, each once.", minItems=1, maxItems=MAX_PORTS, **keyed("number"))
    ]
    hosts: Annotated[tuple[_Host, ...], said('Names: exact ones, or "*." and what all of them end in.')] = ()
    cidrs: Annotated[tuple[_Cidr, ...], said("Blocks of addresses, IPv4 or IPv6.")] = ()
    originateTLS: Annotated[bool, said("Programs speak plain HTTP, the proxy verified TLS beyond it.")] = False  # noqa: N815 - wire name
    caFile: Annotated[str, said("Who vouches for the servers; absent: who the system trusts.", pattern="^/")] = ""  # noqa: N815 - wire name
    direct: Annotated[bool, said("Through the kernel, past the proxy.")] = False
    traceContext: Annotated[bool, said("Requests carry traceparent, where the proxy makes spans of them.")] = False  # noqa: N815 - wire name
    methods: Annotated[tuple[_Method, ...], said("Absent: all.", minItems=1)] = ()
    paths: Annotated[tuple[_Path, ...], said('Exact, or a prefix that ends in "*". Absent: all.', minItems=1)] = ()


class _WorkloadSelector(Form):
    """Whom the rule holds for. Absent: every workload of the namespace."""

    matchLabels: Annotated[dict[str, str], said("Labels that the workloads have.")] = Field(default_factory=dict)  # noqa: N815 - wire name


class Spec(Form):
    """What the rule allows or denies, and to whom."""

    model_config = agreeing(
        {
            f"!has(self.action) || self.action != 'DENY' || !self.to.exists(to, has(to.{name}) && to.{name})": (
                f"{name} means nothing where nothing is let out"
            )
            for name in ("originateTLS", "direct", "traceContext")
        }
    )
    to: Annotated[tuple[To, ...], said("What the rule is about.", minItems=1, maxItems=MAX_DESTINATIONS)]
    workloadSelector: _WorkloadSelector = _WorkloadSelector()  # noqa: N815 - wire name
    action: Annotated[Literal["ALLOW", "DENY"], said("DENY wins over any ALLOW. Absent: ALLOW.")] = "ALLOW"
    expires: Annotated[str, said("After that the rule is as if absent (RFC 3339).", format="date-time")] = ""
