"""Whether a rule may come into the cluster: what ``exitway create`` asks on one machine, with the same problems.

Two rules that contradict each other and come at the same moment, each to a replica that does not know the other yet, come in both. What then
holds is not decided here.
"""

from __future__ import annotations

from itertools import islice

from exitway.admission.review import ALLOWED, Answer, Request, judged, not_yet
from exitway.api.authorities import authority_faults
from exitway.resources.conflicts import conflicts
from exitway.resources.form import mapping
from exitway.resources.kinds import read
from exitway.resources.problem import MAX_PROBLEMS, Problem, Problems
from exitway.resources.registry import Registry
from exitway.resources.resource import Json

_GENERATED = "00000"


def reviewed(request: Request, registry: Registry | None) -> Answer:
    """The answer, given all rules of the cluster; None: they are not known yet."""
    if request.operation not in ("CREATE", "UPDATE"):
        return ALLOWED
    if request.old and request.old.get("spec") == request.object.get("spec"):
        return (
            ALLOWED  # it means what it meant, whatever was thought of it then; so a finalizer can always be taken away
        )
    if registry is None:
        return not_yet("EXW1501", "the rules of the cluster are not known yet")
    return judged(_problems(_placed(request), registry), request, str(request.object.get("kind", "")))


def _problems(wire: Json, registry: Registry) -> list[Problem]:
    try:
        resource = read(wire)
    except Problems as problems:
        return problems.problems
    after = registry.changed([resource], revision=registry.revision)
    return [*islice(authority_faults(resource.intents), MAX_PROBLEMS), *conflicts(after, resource)]


def _placed(request: Request) -> Json:
    """The object with its namespace, and with a name where the API server is still to make one."""
    wire = {name: value for name, value in request.object.items() if name != "status"}
    metadata = mapping(wire.get("metadata"))
    name = metadata.get("name") or (
        f"{metadata['generateName']}{_GENERATED}" if metadata.get("generateName") else request.name
    )
    return {**wire, "metadata": {**metadata, "namespace": request.namespace, **({"name": name} if name else {})}}
