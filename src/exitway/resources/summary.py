"""What a rule says, in few words: for ``get -o wide``, ``describe`` and the dashboard. It reads the wire form of every version."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from exitway.names.workload import SYSTEM_NAMESPACE

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """Where to, on which ports, and what else is said of it."""

    destinations: tuple[str, ...]
    ports: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """``action``: ``ALLOW`` or ``DENY``; ``workloads``: whose calls are meant; ``expires``: RFC 3339, or empty."""

    action: str
    workloads: str
    ways: tuple[Way, ...]
    expires: str = ""


def summary(wire: Json) -> Summary:
    """The summary of a resource that the server has accepted."""
    return _BY_VERSION[wire["apiVersion"]](wire)


def _of_istio(wire: Json) -> Summary:
    spec = wire["spec"]
    ports = tuple(f"{port['port']}/{str(port['protocol']).upper()}" for port in spec["ports"])
    originated = [port.partition("/")[0] for port in ports if port.endswith("/HTTPS")]
    notes = (f"programs speak HTTP on port {', '.join(originated)}, Exitway verified TLS",) if originated else ()
    return Summary("ALLOW", _workloads(wire, {}), (Way((spec["destination"]["service"],), ports, notes),))


def _of_exitway(wire: Json) -> Summary:
    spec = wire["spec"]
    labels = (spec.get("workloadSelector") or {}).get("matchLabels") or {}
    ways = tuple(_way(target) for target in spec["to"])
    return Summary(spec.get("action", "ALLOW"), _workloads(wire, labels), ways, spec.get("expires", ""))


def _way(target: Json) -> Way:
    destinations = tuple(target.get("hosts") or target.get("cidrs") or ())
    ports = tuple(f"{port['number']}/{port['protocol']}" for port in target["ports"])
    said = {
        "originateTLS": "programs speak HTTP, Exitway verified TLS",
        "traceContext": "requests carry traceparent where they are traced",
    }
    return Way(destinations, ports, tuple(note for field, note in said.items() if target.get(field)))


def _workloads(wire: Json, labels: Json) -> str:
    namespace = wire["metadata"]["namespace"]
    where = "every namespace" if namespace == SYSTEM_NAMESPACE else f"namespace {namespace}"
    who = " and ".join(f"{name}={value}" for name, value in labels.items())
    return f"workloads of {where} with {who}" if who else f"every workload of {where}"


_BY_VERSION: dict[str, Callable[[Json], Summary]] = {
    "config.istio.io/v1alpha2": _of_istio,
    "exitway.dev/v1": _of_exitway,
}
