"""Whether a captured pod still is what it was made: after others have had a hand in it, and for as long as it lives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from exitway.names.cluster import CAPTURED, PLACEMENT, UNSAFE, Placement
from exitway.pods.containers import CONTAINERS
from exitway.pods.inject import Injected, without_raw_sockets
from exitway.pods.refusal import refused
from exitway.resources.problem import Problem, quoted

_KINDS = ("initContainers", "containers")
_OURS = ("args", "securityContext", "restartPolicy", "volumeMounts")
"""Not what they run: another replica, of another version or with other ranges, may have made the pod."""


def disturbed(pod: Mapping[str, Any], made: Injected) -> Iterator[Problem]:
    """``made``: what injecting the same pod again makes of it. Others may add to our containers what cannot change what they do."""
    spec, again = pod.get("spec") or {}, made.pod["spec"]
    if not _holds(spec.get("securityContext"), again.get("securityContext")):
        yield _changed("securityContext of the pod", "spec.securityContext")
    for kind in _KINDS:
        now, then = spec.get(kind) or [], again.get(kind) or []
        if [one.get("name") for one in now] != [one.get("name") for one in then]:
            yield _changed(f"the order of {kind}", f"spec.{kind}")
            continue
        for index, (one, other) in enumerate(zip(now, then, strict=True)):
            keys = _OURS if one["name"] in CONTAINERS else ("securityContext",)
            yield from (
                _changed(f"{key} of container {quoted(one['name'])}", f"spec.{kind}[{index}].{key}")
                for key in keys
                if key in other and not _holds(one.get(key), other[key])
            )


def _holds(now: Any, then: Any) -> bool:
    """Whether all that we wrote is still there. OpenShift's constraints add user ids, labels and dropped capabilities to every container."""
    if isinstance(then, Mapping):
        return isinstance(now, Mapping) and all(_holds(now.get(key), value) for key, value in then.items())
    if isinstance(then, list):
        there = now if isinstance(now, list) else []
        return all(_is_among(there, wanted, index) for index, wanted in enumerate(then))
    return bool(now == then)


def _is_among(there: list[Any], wanted: Any, index: int) -> bool:
    """What a program's container has itself stands where it stood, so only what is ours is looked for: that is short, and a list may be long."""
    return (index < len(there) and _holds(there[index], wanted)) or any(_holds(one, wanted) for one in there)


def _changed(what: str, field: str) -> Problem:
    message = f"{what} is not as Exitway made it: another webhook has changed the pod afterwards"
    hint = "have the other webhook leave the containers called exitway-* alone, and put nothing before them"
    return Problem("EXW1126", message, hint, field)


def moved(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Problem]:
    """What may not change in a pod that is there: by what it is captured, and what it was allowed."""
    if CAPTURED not in _labels(before):
        if CAPTURED in _labels(after):
            yield Problem(
                "EXW1125", f"the label {CAPTURED} is Exitway's to give", "make the pod anew", "metadata.labels"
            )
        return
    fixed = {f"label {CAPTURED}": (_labels(before).get(CAPTURED), _labels(after).get(CAPTURED))}
    for name in (PLACEMENT, UNSAFE):
        fixed[f"annotation {name}"] = (_annotations(before).get(name), _annotations(after).get(name))
    images = _images(before), _images(after)
    for name in CONTAINERS:
        fixed[f"image of container {name}"] = (images[0].get(name), images[1].get(name))
    for what, (then, now) in fixed.items():
        if then != now:
            yield Problem("EXW1125", f"the {what} of a captured pod cannot change", "make the pod anew", "metadata")


def joined(pod: Mapping[str, Any], namespace: Mapping[str, str]) -> tuple[list[Problem], list[dict[str, Any]]]:
    """A pod that ephemeral containers are put into: what stands against them, and how they shall be. Nothing for a pod that is not captured.

    ``namespace``: its labels.
    """
    listed = (pod.get("spec") or {}).get("ephemeralContainers") or []
    if _labels(pod).get(CAPTURED) not in (Placement.SIDECAR, Placement.NODE):
        return [], listed
    problems, _ = refused({**pod, "spec": {"ephemeralContainers": listed, "volumes": _mounted(pod, listed)}}, namespace)
    confined = [{**one, "securityContext": _confined(one)} for one in listed]
    return problems, confined


def _mounted(pod: Mapping[str, Any], listed: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """The volumes of a pod, each in its place, without those that these containers do not mount."""
    names = {mount.get("name") for one in listed for mount in one.get("volumeMounts") or []}
    volumes = (pod.get("spec") or {}).get("volumes") or []
    return [volume if volume.get("name") in names else {} for volume in volumes]


def _images(pod: Mapping[str, Any]) -> dict[str, str]:
    spec = pod.get("spec") or {}
    return {one["name"]: one.get("image", "") for kind in _KINDS for one in spec.get(kind) or []}


def _confined(container: Mapping[str, Any]) -> dict[str, Any]:
    security = dict(container.get("securityContext") or {})
    security["capabilities"] = dict(security.get("capabilities") or {})
    copy = {"securityContext": security}
    without_raw_sockets(copy)
    return copy["securityContext"]


def _labels(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get("labels") or {}


def _annotations(pod: Mapping[str, Any]) -> Mapping[str, str]:
    return (pod.get("metadata") or {}).get("annotations") or {}
