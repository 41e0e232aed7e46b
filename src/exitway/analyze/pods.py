"""Pods of a cluster that rules do not hold, or not for sure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exitway.analyze.catalogue import found
from exitway.analyze.facts import Namespace, Pod
from exitway.analyze.finding import Finding
from exitway.names.cluster import OPT_OUT, PLACEMENT, UNSAFE, UNSAFE_PODS

_SHOWN = 5


def unheld(namespaces: Sequence[Namespace], pods: Sequence[Pod]) -> Iterator[Finding]:
    """Of namespaces whose pods are captured."""
    for namespace in namespaces:
        there = [pod for pod in pods if pod.namespace == namespace.name]
        if namespace.opt_out:
            yield _opt_out(namespace, there)
        if namespace.unsafe:
            yield _unsafe_pods(namespace, there)
    placements = {namespace.name: namespace.placement for namespace in namespaces}
    for pod in pods:
        if pod.unsafe is not None:
            yield _unsafe(pod, pod.unsafe)
        if not pod.captured and not pod.unsafe and pod.namespace in placements:
            yield _not_captured(pod, placements[pod.namespace])


def _unsafe(pod: Pod, allowed: Sequence[str]) -> Finding:
    if not allowed:
        message = f"{UNSAFE} allows it what it does not ask for"
        return found("EXW2060", str(pod), message, "take the annotation away", "metadata.annotations")
    message = f"{UNSAFE} allows it {', '.join(allowed)}, so its programs may get round their rules"
    return found(
        "EXW2060", str(pod), message, "have it do without, and take the annotation away", "metadata.annotations"
    )


def _opt_out(namespace: Namespace, pods: Sequence[Pod]) -> Finding:
    done = _done([pod for pod in pods if pod.opted_out], pods)
    message = f"its pods may choose to be held to no rules, and {done}"
    hint = f"take the label {OPT_OUT} away when none of them needs it"
    return found("EXW2061", f"namespace/{namespace.name}", message, hint, "metadata.labels")


def _unsafe_pods(namespace: Namespace, pods: Sequence[Pod]) -> Finding:
    done = _done([pod for pod in pods if pod.unsafe], pods)
    message = f"its pods may say that they ask for what defeats the boundary, and {done}"
    hint = f"take the label {UNSAFE_PODS} away when none of them needs it"
    return found("EXW2063", f"namespace/{namespace.name}", message, hint, "metadata.labels")


def _done(by: Sequence[Pod], pods: Sequence[Pod]) -> str:
    names = sorted(pod.name for pod in by)
    shown = ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
    return f"{len(names)} of {len(pods)} do: {shown}" if names else f"none of {len(pods)} does"


def _not_captured(pod: Pod, placement: str) -> Finding:
    if pod.opted_out:
        message, hint = f"it says {PLACEMENT}: none, so no rule holds it", "take its annotation away, and make it anew"
    elif pod.static:
        message = "it is a static pod, which its node runs without asking, so no rule holds it"
        hint = "have it run in a namespace without a placement, or make it a pod of the API"
    else:
        message = f"its namespace says {PLACEMENT}={placement}, but it is not captured, so no rule holds it"
        hint = "make it anew (kubectl rollout restart): it may be older than the label"
    return found("EXW2062", str(pod), message, hint, "metadata.labels")
