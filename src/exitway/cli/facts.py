"""What is known of rules that are in force, beside what they say: what runs, and when they were used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exitway.analyze.facts import Namespace, Pod, Use
from exitway.cli.client import Client
from exitway.cli.problems import warn
from exitway.names.key import Key
from exitway.names.workload import Workload
from exitway.resources.problem import Problems
from exitway.resources.resource import Resource

if TYPE_CHECKING:
    from exitway.cli.cluster_client import ClusterClient


def of_machine(api: Client) -> list[Workload]:
    """The workloads that run."""
    status = api.request("GET", "/exitway/v1/status")
    return [Workload(one["namespace"], one["name"], one["labels"]) for one in status["workloads"]]


def of_cluster(api: ClusterClient, namespace: str | None) -> tuple[list[Namespace], list[Pod], list[Workload] | None]:
    """Namespaces whose pods are captured, the pods that run in them, and those that are; of one namespace or of all.

    None: whoever asks may not see them.
    """
    from exitway.pods.held import captured_namespaces, pods_in

    within = f"/namespaces/{namespace}" if namespace else ""
    try:
        found = api.request("GET", f"/api/v1{within or '/namespaces'}")
        items = api.request("GET", f"/api/v1{within}/pods")["items"]
    except Problems as refused:
        warn(f"pods are not looked at: {refused.problems[0].message}")
        return [], [], None
    namespaces = captured_namespaces([found] if namespace else found["items"])
    pods = pods_in(items, namespaces)
    captured = {(pod.namespace, pod.name) for pod in pods if pod.captured}
    there = [item["metadata"] for item in items]
    return namespaces, pods, [_workload(one) for one in there if (one["namespace"], one["name"]) in captured]


def _workload(metadata: Any) -> Workload:
    return Workload(metadata["namespace"], metadata["name"], metadata.get("labels") or {})


def use_of(flow_db: Path) -> Use | None:
    """When rules were used, by these records; None: there are none."""
    from exitway.flows.history import History

    try:
        with closing(History(flow_db, read_only=True)) as history:
            last = {rule: _time(when) for rule, (when, _) in history.rule_use().items()}
            oldest = [_time(flow.time) for flow in history.select(after=-1, limit=1)]
    except (Problems, OSError) as error:
        warn(f"which rules are unused is not known: {error}")
        return None
    times = [*oldest, *last.values()]
    return Use(min(times), last) if times else None


def created(resources: Sequence[Resource]) -> dict[Key, datetime]:
    """When the rules were made, as their server says."""
    return {
        resource.key: _time(resource.metadata["creationTimestamp"])
        for resource in resources
        if resource.metadata.get("creationTimestamp")
    }


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
