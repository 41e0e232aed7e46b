"""What a workload brings, ``POST /exitway/v1/workloads``, read strictly: its names end in paths and in Envoy's format strings.

    {"namespace": "shop", "name": "checkout", "pid": 4711, "labels": {"app": "checkout"}, "rules": [wire, ...],
     "publish": [{"address": "127.0.0.1", "port": 8080, "target": 80}], "includeIPRanges": [CIDR, ...], "excludeIPRanges": [CIDR, ...]}

``"audit": true``: what is denied is recorded and let through; ``"requireEnforce": true``: refuse the workload rather than that.
``pid``: a process in the workload's namespaces, as the server sees it. The namespace of the rules is that of the workload.
``includeIPRanges``, where it is there: only these go through the proxy; ``excludeIPRanges``: these do not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from typing import Any

from pydantic import Field

from exitway.api.status import Cause, invalid
from exitway.names.guard import Network
from exitway.names.ranges import direct_ranges
from exitway.names.workload import Workload
from exitway.resources import kinds
from exitway.resources.destination import cidr_fault
from exitway.resources.form import Form, mapping, mappings, read_form, strings
from exitway.resources.intent import Intent
from exitway.resources.metadata import metadata_faults
from exitway.resources.problem import Problem, Problems, quoted
from exitway.server.program import Publication

ITSELF = -1
"""As the index of a cause: the workload, none of its rules."""


class _Publish(Form):
    address: str
    port: int
    target: int


class _Request(Form):
    namespace: str
    name: str
    pid: int
    labels: dict[str, str] = Field(default_factory=dict)
    rules: tuple[dict[str, Any], ...] = ()
    publish: tuple[_Publish, ...] = ()
    includeIPRanges: tuple[str, ...] | None = None  # noqa: N815 - wire name
    excludeIPRanges: tuple[str, ...] = ()  # noqa: N815 - wire name
    audit: bool = False
    requireEnforce: bool = False  # noqa: N815 - wire name


@dataclass(frozen=True)
class Brought:
    """A request that is in order."""

    workload: Workload
    pid: int
    intents: tuple[Intent, ...]
    publications: tuple[Publication, ...]
    ranges: tuple[Network, ...] = ()
    audit: bool = False
    require_enforce: bool = False


def read_request(wire: Mapping[str, Any]) -> Brought:
    """The request.

    Raises:
        Refusal: all that is wrong with it and with its rules.
    """
    form, problems = read_form(_Request, wire)
    problems += [replace(one, field=one.field.removeprefix("metadata.")) for one in metadata_faults(wire)]
    problems += _publish_faults(wire.get("publish"))
    for field in ("includeIPRanges", "excludeIPRanges"):
        problems += [
            fault for index, cidr in strings(wire.get(field)) for fault in cidr_fault(cidr, f"{field}[{index}]")
        ]
    if form is None or problems:
        raise invalid([Cause(problem, ITSELF) for problem in problems])
    return Brought(
        Workload(form.namespace, form.name, form.labels),
        form.pid,
        tuple(_intents(form)),
        tuple(Publication(one.address, one.port, one.target) for one in form.publish),
        direct_ranges(
            None if form.includeIPRanges is None else [*map(ip_network, form.includeIPRanges)],
            [*map(ip_network, form.excludeIPRanges)],
        ),
        form.audit,
        form.requireEnforce,
    )


def _publish_faults(publish: Any) -> Iterator[Problem]:
    """The values of the right type."""
    taken = set()
    for index, one in mappings(publish):
        field = f"publish[{index}]"
        if isinstance(address := one.get("address"), str) and not _is_address(address):
            yield Problem("EXW0109", f"{quoted(address)} is not an address", "such as 127.0.0.1", f"{field}.address")
        for key in ("port", "target"):
            if isinstance(port := one.get(key), int) and not 0 < port < 65536:
                hint = "ports are numbered from 1 to 65535"
                yield Problem("EXW0103", f"port {port} is out of range", hint, f"{field}.{key}")
        where = (str(one.get("address")), str(one.get("port")))
        if where in taken:
            yield Problem("EXW0108", f"port {where[1]} is given twice", "publish another one", f"{field}.port")
        taken.add(where)


def _is_address(text: str) -> bool:
    try:
        return str(ip_address(text)) == text
    except ValueError:
        return False


def _intents(form: _Request) -> list[Intent]:
    causes: list[Cause] = []
    intents: list[Intent] = []
    for index, rule in enumerate(form.rules):
        metadata = {**mapping(rule.get("metadata")), "namespace": form.namespace}
        try:
            intents += kinds.read({**rule, "metadata": metadata}).intents
        except Problems as found:
            causes += [Cause(problem, index) for problem in found.problems]
    if causes:
        raise invalid(causes)
    return intents
