"""Where the proxy of a pod stands: what its namespace says, and what it says itself."""

from __future__ import annotations

from collections.abc import Mapping

from exitway.names.cluster import OPT_OUT, PLACEMENT, Placement
from exitway.resources.problem import Problem, Problems, quoted

_CHOICE = f"{Placement.SIDECAR}, {Placement.NODE}"


def placement(namespace: Mapping[str, str], annotations: Mapping[str, str]) -> Placement:
    """``namespace``: its labels; ``annotations``: of the pod.

    Raises:
        Problems: one of them says what cannot be, or what the namespace does not let the pod say.
    """
    if PLACEMENT not in namespace:
        return Placement.NONE
    said = annotations.get(PLACEMENT, namespace[PLACEMENT])
    if said == Placement.NONE and PLACEMENT in annotations:
        if namespace.get(OPT_OUT) == "allowed":
            return Placement.NONE
        message = f"the annotation {PLACEMENT} says none, and the namespace does not let its pods choose that"
        hint = f"take the annotation away, or label the namespace {OPT_OUT}=allowed"
        raise Problems([Problem("EXW1111", message, hint, "metadata.annotations")])
    if said in (Placement.SIDECAR, Placement.NODE):
        return Placement(said)
    where = f"the annotation {PLACEMENT}" if PLACEMENT in annotations else f"the namespace's label {PLACEMENT}"
    field = "metadata.annotations" if PLACEMENT in annotations else ""
    raise Problems(
        [Problem("EXW1110", f"{where} is {quoted(said)}, which is no placement", f"choose one of {_CHOICE}", field)]
    )
