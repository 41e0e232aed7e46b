"""Who makes a call that is asked about: somebody with a namespace and labels, or a workload that runs, with all it has brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from exitway.cli.client import Client
from exitway.cli.options import DEFAULT_NAMESPACE
from exitway.names.workload import Workload
from exitway.resources.metadata import label_faults, namespace_faults
from exitway.resources.problem import Problem, Problems

if TYPE_CHECKING:
    from exitway.cli.cluster_client import ClusterClient
    from exitway.names.guard import Network
    from exitway.resources.intent import Intent

STATUS = "/exitway/v1/status"


@dataclass(frozen=True)
class Asker:
    """``intents``: of the rules that it brought; ``ranges``: what it reaches past the proxy; ``request``: as it was told to the server."""

    workload: Workload
    intents: tuple[Intent, ...] = ()
    ranges: tuple[Network, ...] = ()
    audit: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)


def anybody(namespace: str, labels: Mapping[str, str], api: Client | ClusterClient | None = None) -> Asker:
    """Somebody of this namespace with these labels. ``api``: who knows which namespaces are under audit. Raises Problems: nobody can be."""
    check(namespace, labels)
    audited = api.request("GET", STATUS).get("auditNamespaces", ()) if isinstance(api, Client) else ()
    return Asker(Workload(namespace, "", labels), audit=namespace in audited)


def check(namespace: str | None, labels: Mapping[str, str]) -> None:
    """Raise Problems where no workload can be of this namespace, or have these labels."""
    if faults := [*namespace_faults(namespace, ""), *label_faults(labels, "")]:
        raise Problems([replace(one, field="") for one in faults])


def running(api: Client | ClusterClient, name: str, namespace: str | None) -> Asker:
    """The workload of this name, or of NAMESPACE/NAME; of several the last one. Raises Problems: there is none."""
    before, slash, after = name.rpartition("/")
    namespace, name = (before if slash else namespace), after
    return _sealed(api, name, namespace) if isinstance(api, Client) else _pod(api, name, namespace or api.namespace)


def _sealed(api: Client, name: str, namespace: str | None) -> Asker:
    from exitway.server.request import read_request

    found = [
        one
        for one in api.request("GET", STATUS)["workloads"]
        if name in (one["name"], one["id"]) and namespace in (None, one["namespace"])
    ]
    if not found:
        raise _unknown(name, namespace, "`exitway status` lists what runs")
    request = api.request("GET", f"/exitway/v1/workloads/{found[-1]['id']}")
    brought = read_request(request)
    return Asker(brought.workload, brought.intents, brought.ranges, found[-1]["audit"], request)


def _pod(api: ClusterClient, name: str, namespace: str) -> Asker:
    path = f"/api/v1/namespaces/{quote(namespace or DEFAULT_NAMESPACE, safe='')}/pods/{quote(name, safe='')}"
    try:
        pod: Any = api.request("GET", path)
    except Problems as refused:
        if refused.problems[0].code != "EXW1404":
            raise
        raise _unknown(name, namespace, "`kubectl get pods` lists what runs") from None
    return Asker(Workload(pod["metadata"]["namespace"], name, pod["metadata"].get("labels") or {}))


def _unknown(name: str, namespace: str | None, hint: str) -> Problems:
    where = f" in namespace {namespace}" if namespace else ""
    return Problems([Problem("EXW1708", f"no workload {name} runs{where}", hint)])
