"""Changes that a person makes to the rules of a cluster: as far as the API allows, all or none.

1. Everything that is there and matters is read, and the objects are judged as on one machine, all at once.
2. Each change is tried on the API server without being made (``dryRun=All``), so webhooks and permissions have their say.
3. They are made one by one. What fails now, fails because something has changed meanwhile; it is said what had been done before.

An object that is gone has no status that could say who has acknowledged that. So a deletion that is waited for leaves the object a finalizer: it
allows nothing any more, but is there until :func:`let_go` takes that away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from exitway.api.plan import Verb, plan
from exitway.api.status import Cause, Refusal
from exitway.cluster.refusals import problems_of, unknown_kind
from exitway.kube.client import JSON_PATCH, MERGE_PATCH, Kube
from exitway.kube.error import KubeError
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.form import mapping
from exitway.resources.kind_names import KIND_NAMES, KindName
from exitway.resources.paths import collection, collection_of, path_of
from exitway.resources.problem import Problem
from exitway.resources.registry import Registry
from exitway.resources.resource import Json, Resource
from exitway.store.change import Change, Delete, version
from exitway.store.kubernetes import read_object
from exitway.store.stamp import same

FINALIZER = "exitway.dev/acknowledged"
_AT_ONCE = 8
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was made (or tried). ``wire``: the object after it; of one that was deleted, before."""

    key: Key
    outcome: str
    wire: Mapping[str, Any]

    @property
    def version(self) -> str:
        """Its resourceVersion; empty for one that was only tried."""
        return str(self.wire["metadata"].get("resourceVersion", ""))


async def make(kube: Kube, verb: Verb, wires: Sequence[Json], *, dry_run: bool, linger: bool) -> list[Done]:
    """Make the changes that the objects ask for. ``linger``: what is deleted stays until :func:`let_go`.

    Raises:
        Refusal: with the problems of all objects.
        KubeError: nothing could be read.
    """
    registry = await _present(kube, wires, unseen=verb is Verb.CREATE)
    changes = plan(registry, verb, wires, files=False)
    tried = await _try(kube, registry, changes)
    if dry_run:
        return tried
    done, held = list[Done](), list[Done]()
    try:
        for index, change in enumerate(changes):
            try:
                if linger and isinstance(change, Delete):
                    held.append(await _hold(kube, registry, change))
                done.append(await _make(kube, registry, Delete(change.key) if held else change, dry_run=False))
            except KubeError as error:
                causes = [Cause(problem, index) for problem in problems_of(error, change.key)]
                raise _refused([*causes, *_so_far(done, len(changes), index)]) from error
    except BaseException:
        await let_go(kube, held)
        raise
    return done


async def _try(kube: Kube, registry: Registry, changes: Sequence[Change]) -> list[Done]:
    """All of them at once, and all that speaks against them."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def tried(index: int, change: Change) -> Done | list[Cause]:
        async with turn:
            try:
                return await _make(kube, registry, change, dry_run=True)
            except KubeError as error:
                return [Cause(problem, index) for problem in problems_of(error, change.key)]

    found = await asyncio.gather(*(tried(index, change) for index, change in enumerate(changes)))
    if causes := [cause for one in found if isinstance(one, list) for cause in one]:
        raise _refused(causes)
    return [one for one in found if isinstance(one, Done)]


async def _make(kube: Kube, registry: Registry, change: Change, *, dry_run: bool) -> Done:
    key, before = change.key, registry.get(change.key)
    query = {"fieldManager": "exitway", **({"dryRun": "All"} if dry_run else {})}
    if change.expected and change.expected != version(before):
        raise KubeError(409, "Conflict", f"it is at resourceVersion {version(before) or 'none'}, not {change.expected}")
    if isinstance(change, Delete):
        assert before is not None
        condition = {"uid": before.metadata["uid"], **({"resourceVersion": change.expected} if change.expected else {})}
        # Where there is a body, the API server reads nothing of these in the query: a dry run that is only said there deletes.
        answer = await kube.request(
            "DELETE", path_of(key), {"preconditions": condition, **({"dryRun": ["All"]} if dry_run else {})}
        )
        return Done(key, "deleted", answer if answer.get("kind") == before.kind else before.wire)
    if before is None:
        return Done(key, "created", await kube.request("POST", collection_of(key), change.resource.wire, query))
    if same(change.resource, before):
        return Done(key, "unchanged", before.wire)
    patch = _patch(change.resource, change.expected)
    return Done(key, "configured", await kube.request("PATCH", path_of(key), patch, query, JSON_PATCH))


async def _hold(kube: Kube, registry: Registry, change: Delete) -> Done:
    before = registry.get(change.key)
    assert before is not None
    present = before.metadata.get("finalizers") or []
    if FINALIZER in present or "deletionTimestamp" in before.metadata:
        return Done(change.key, "deleted", before.wire)
    expected = {"resourceVersion": change.expected} if change.expected else {}
    body = {"metadata": {"uid": before.metadata["uid"], "finalizers": [*present, FINALIZER], **expected}}
    answer = await kube.request("PATCH", path_of(change.key), body, {"fieldManager": "exitway"}, MERGE_PATCH)
    return Done(change.key, "deleted", answer)


async def let_go(kube: Kube, done: Iterable[Done]) -> list[str]:
    """Let the objects go that were deleted and linger; one sentence for each that stays."""
    stay = list[str]()
    for one in done:
        present = one.wire["metadata"].get("finalizers") or []
        if one.outcome == "deleted" and FINALIZER in present:
            at = f"/metadata/finalizers/{present.index(FINALIZER)}"
            patch = [{"op": "test", "path": at, "value": FINALIZER}, {"op": "remove", "path": at}]
            try:
                await kube.request("PATCH", path_of(one.key), patch, None, JSON_PATCH)
            except KubeError as error:
                if error.code not in (404, 422):  # else somebody else has let it go
                    stay.append(f"{one.key} is in force no more, but there until it is deleted again: {error}")
    return stay


def _patch(resource: Resource, expected: str) -> list[Json]:
    """To what the object says, whole; what only servers and other programs write is left as it is."""
    parts = {f"/metadata/{name}": resource.metadata.get(name) or {} for name in ("labels", "annotations")}
    parts["/spec"] = resource.wire["spec"]
    if expected:
        parts["/metadata/resourceVersion"] = expected
    return [{"op": "add", "path": path, "value": value} for path, value in parts.items()]


async def _present(kube: Kube, wires: Iterable[Json], *, unseen: bool) -> Registry:
    """The rules beside which the objects are to stand: those of their namespaces, and of others that they may contradict.

    ``unseen``: the namespaces may be ones that whoever asks may not look into. What cannot be seen cannot be changed, but the webhook sees it.
    """
    named = {str(mapping(wire.get("metadata")).get("namespace") or "default") for wire in wires}
    beside = "" if SYSTEM_NAMESPACE in named else SYSTEM_NAMESPACE  # its rules hold everywhere, so they meet all others
    wanted = [*((namespace, unseen) for namespace in sorted(named)), (beside, True)]
    lists = await asyncio.gather(
        *(_list(kube, kind, namespace, unseen=may_be) for kind in KIND_NAMES for namespace, may_be in wanted)
    )
    return Registry().changed([resource for one in lists for resource in one], revision=1)


async def _list(kube: Kube, kind: KindName, namespace: str, *, unseen: bool) -> list[Resource]:
    try:
        answer = await kube.request("GET", collection(kind, namespace))
    except KubeError as error:
        if error.code == 403 and unseen:
            return []
        if error.code == 404:
            raise Refusal(404, "NotFound", error.message, [Cause(unknown_kind(f" of {kind.api_version}"))]) from error
        raise
    return [_resource(kind, item) for item in answer["items"]]


def _resource(kind: KindName, item: Json) -> Resource:
    """What is there; if it cannot be read, at least that it is there, and claims nothing."""
    resource, problems = read_object(item)
    if resource is not None and not problems:
        return resource
    metadata = item["metadata"]
    return Resource(Key(kind.type, metadata["namespace"], metadata["name"], kind.group), "", kind.kind, item, ())


def _so_far(done: Sequence[Done], of: int, index: int) -> list[Cause]:
    if not done:
        return []
    shown = ", ".join(f"{one.key} {one.outcome}" for one in done[:_SHOWN])
    more = f" and {len(done) - _SHOWN} more" if len(done) > _SHOWN else ""
    message = f"of {of} changes {len(done)} had been made before: {shown}{more}"
    return [Cause(Problem("EXW1406", message, "`exitway apply` of the same files makes the others"), index)]


def _refused(causes: Sequence[Cause]) -> Refusal:
    return Refusal(409, "Conflict", "; ".join(cause.problem.message for cause in causes), causes)
