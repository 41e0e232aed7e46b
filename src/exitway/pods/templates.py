"""Objects that pods are made from: where in them the pod stands, and the same object with it made ready to be captured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from exitway.pods.inject import inject
from exitway.pods.installation import Installation
from exitway.resources.form import mapping
from exitway.resources.problem import Problems

_TEMPLATE = ("spec", "template")
PLACES: Mapping[str, tuple[str, ...]] = {
    "Pod": (),
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "Job"), _TEMPLATE),
    **dict.fromkeys(("ReplicationController", "DeploymentConfig"), _TEMPLATE),
    "CronJob": ("spec", "jobTemplate", *_TEMPLATE),
    "PodTemplate": ("template",),
}
"""By kind: the way to the pod."""


def inject_object(
    wire: Mapping[str, Any], namespace: Mapping[str, str], installation: Installation
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The object, and warnings. One that no pod is made from comes out as it went in. Raises Problems, their fields those of the object."""
    place = PLACES.get(str(wire.get("kind")))
    if place is None:
        return dict(wire), ()
    pod: Mapping[str, Any] = wire
    for step in place:
        pod = mapping(pod.get(step))
    if not pod:
        return dict(wire), ()
    try:
        made = inject(pod, namespace, installation)
    except Problems as problems:
        prefix = ".".join(place)
        raise Problems(
            [
                replace(one, field=f"{prefix}.{one.field}" if prefix and one.field else one.field)
                for one in problems.problems
            ]
        ) from None
    return _put(wire, place, made.pod), made.warnings


def _put(wire: Mapping[str, Any], place: tuple[str, ...], pod: dict[str, Any]) -> dict[str, Any]:
    if not place:
        return pod
    first, *rest = place
    return {**wire, first: _put(wire[first], tuple(rest), pod)}
