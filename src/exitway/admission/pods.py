"""What becomes of a pod that somebody wants: it is made ready to be captured, or refused with all that stands against it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

from exitway.admission.review import ALLOWED, Answer, Request, judged, not_yet
from exitway.names.cluster import MIRROR, NODES, Placement
from exitway.pods.inject import inject
from exitway.pods.installation import Installation
from exitway.pods.patch import patch
from exitway.pods.standing import disturbed, joined, moved
from exitway.resources.form import mapping
from exitway.resources.problem import MAX_PROBLEMS, Problem, Problems


def injected(request: Request, namespace: Mapping[str, str], installation: Installation) -> Answer:
    """``namespace``: the labels of the pod's. For a webhook that may change what it is asked about."""
    if request.resource == "pods/ephemeralcontainers":
        return _debugged(request, namespace)
    if request.operation == "UPDATE":
        return _refusing(list(moved(request.old, request.object)), request)
    if _is_static(request):
        return ALLOWED
    try:
        made = inject(request.object, namespace, installation)
    except Problems as problems:
        return _refusing(problems.problems, request)
    return Answer(patch=list(patch(request.object, made.pod)), warnings=made.warnings)


def held(request: Request, namespace: Mapping[str, str], installation: Installation) -> Answer:
    """The same for a webhook that sees the pod when nobody changes it any more."""
    if request.resource != "pods" or request.operation != "CREATE":
        return injected(request, namespace, installation)
    if _is_static(request):
        return ALLOWED
    try:
        made = inject(request.object, namespace, installation)
    except Problems as problems:
        return _refusing(problems.problems, request)
    return (
        ALLOWED
        if made.placement is Placement.NONE
        else _refusing(list(islice(disturbed(request.object, made), MAX_PROBLEMS)), request)
    )


def unknown(what: str) -> Answer:
    """Something is not known yet without which no pod can be captured."""
    return not_yet("EXW1127", f"Exitway does not know {what} yet, so it can capture no pod")


def _is_static(request: Request) -> bool:
    """Whether its node says of the pod that it runs already, so that nothing can be put into it. A label would call it captured.

    What others say of a pod does not count, though no kubelet runs one that has the annotation, and nobody can add it later
    (https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-mirror).
    """
    annotations = mapping(mapping(request.object.get("metadata")).get("annotations"))
    return MIRROR in annotations and request.user.startswith(NODES)


def _debugged(request: Request, namespace: Mapping[str, str]) -> Answer:
    problems, containers = joined(request.object, namespace)
    if problems:
        return _refusing(problems, request)
    after = {**request.object, "spec": {**request.object.get("spec", {}), "ephemeralContainers": containers}}
    return Answer(patch=list(patch(request.object, after)))


def _refusing(problems: Sequence[Problem], request: Request) -> Answer:
    return judged(problems, request, "Pod")
