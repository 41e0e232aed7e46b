"""From the objects of a request to the changes of one commit: every way to say no is found here, before anything is written.

Nothing is read but the files of certificate authorities that rules name.

    create    none of them may exist
    apply     makes it or changes it
    replace   it must exist
    delete    it must exist; apiVersion may be left out, and then every version's object of that name is meant

An object's ``metadata.resourceVersion``, where given, is the version that must exist now (but not in create, where it has no meaning).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from exitway.api.authorities import authority_faults
from exitway.api.status import Cause, Refusal, bad_request, invalid
from exitway.names.key import Key
from exitway.resources.conflicts import conflicts
from exitway.resources.form import mapping
from exitway.resources.kind_names import KIND_NAMES
from exitway.resources.kinds import read
from exitway.resources.problem import Problem, Problems
from exitway.resources.registry import Registry
from exitway.resources.resource import Json, Resource
from exitway.store.change import Change, Delete, Put

_OURS = ("uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "managedFields", "selfLink")
"""Metadata that only the server writes; what comes back in a file that ``get -o yaml`` made is ignored."""


class Verb(StrEnum):
    """What a request asks for."""

    CREATE = "create"
    APPLY = "apply"
    REPLACE = "replace"
    DELETE = "delete"


def plan(registry: Registry, verb: Verb, wires: Sequence[Json], *, files: bool = True) -> list[Change]:
    """The changes that the objects ask for. ``files``: look into the files that rules name; they are on the machine of the proxies.

    Raises:
        Refusal: Invalid with every problem of every object; else AlreadyExists or NotFound with every such object.
    """
    if verb is Verb.DELETE:
        return _deletions(registry, wires)
    resources = _admitted(registry, wires, files=files)
    causes = [
        cause for index, resource in enumerate(resources) for cause in _existence(registry, verb, resource.key, index)
    ]
    if causes:
        code, reason = (409, "AlreadyExists") if verb is Verb.CREATE else (404, "NotFound")
        raise Refusal(code, reason, "; ".join(cause.problem.message for cause in causes), causes)
    return [
        Put(resource, "" if verb is Verb.CREATE else _expected(wire))
        for resource, wire in zip(resources, wires, strict=True)
    ]


def _expected(wire: Mapping[str, Any]) -> str:
    """The resourceVersion that the object gives, or nothing."""
    given = mapping(wire.get("metadata")).get("resourceVersion") or ""
    if not isinstance(given, str):
        raise bad_request("metadata.resourceVersion is not a string")
    return given


def _written(wire: Mapping[str, Any]) -> Json:
    """The object without what only the server writes, and in a namespace."""
    metadata = wire.get("metadata")
    if not isinstance(metadata, dict):
        return dict(wire)
    own = {name: value for name, value in metadata.items() if name not in _OURS}
    return {**wire, "metadata": {"namespace": "default", **own}}


def _admitted(registry: Registry, wires: Sequence[Json], *, files: bool) -> list[Resource]:
    """The objects as resources that are right in themselves, beside one another, and beside those that exist."""
    read_ones, causes = dict[int, Resource](), list[Cause]()
    for index, wire in enumerate(wires):
        try:
            read_ones[index] = resource = read(_written(wire))
            causes += [Cause(problem, index) for problem in (authority_faults(resource.intents) if files else ())]
        except Problems as problems:
            causes += [Cause(problem, index) for problem in problems.problems]
    causes += _twice([(index, resource.key) for index, resource in read_ones.items()])
    after = registry.changed(read_ones.values(), revision=registry.revision)
    causes += [Cause(problem, index) for index, resource in read_ones.items() for problem in conflicts(after, resource)]
    if causes:
        raise invalid(sorted(causes, key=lambda cause: cause.index))
    return list(read_ones.values())


def _deletions(registry: Registry, wires: Sequence[Json]) -> list[Change]:
    changes, causes = list[Change](), list[Cause]()
    meant = list[tuple[int, Key]]()
    for index, wire in enumerate(wires):
        possible = _keys(wire)
        keys = [key for key in possible if registry.get(key)]
        if not keys:
            what = possible[0] if possible else f"an object of kind {wire.get('kind')}"
            causes.append(Cause(absent(what), index))
        meant += [(index, key) for key in keys]
        changes += [Delete(key, _expected(wire)) for key in keys]
    if causes:
        raise Refusal(404, "NotFound", "; ".join(cause.problem.message for cause in causes), causes)
    if causes := _twice(meant):
        raise invalid(causes)
    return changes


def _keys(wire: Mapping[str, Any]) -> list[Key]:
    """The keys that an object to be deleted may have."""
    meta = mapping(wire.get("metadata"))
    name, namespace = str(meta.get("name", "")), str(meta.get("namespace") or "default")
    return [
        Key(kind.type, namespace, name, kind.group)
        for kind in KIND_NAMES
        if kind.kind == wire.get("kind") and wire.get("apiVersion") in (None, "", kind.api_version)
    ]


def _existence(registry: Registry, verb: Verb, key: Key, index: int) -> list[Cause]:
    exists = registry.get(key) is not None
    if verb is Verb.CREATE and exists:
        return [Cause(present(key), index)]
    if verb is Verb.REPLACE and not exists:
        return [Cause(absent(key), index)]
    return []


def present(key: Key) -> Problem:
    """What is to be created is there."""
    return Problem("EXW0611", f"{key} already exists", "apply or replace changes it", "metadata.name")


def absent(what: Key | str) -> Problem:
    """What is to be changed is not there."""
    return Problem("EXW0612", f"{what} does not exist", "`exitway get egressrules` lists what does", "metadata.name")


def overtaken(message: str) -> Problem:
    """What is to be changed is at another version than was expected."""
    hint = "read it again, and make the change to what it is now"
    return Problem("EXW0613", message, hint, "metadata.resourceVersion")


def _twice(keys: Sequence[tuple[int, Key]]) -> list[Cause]:
    seen: dict[Key, int] = {}
    causes = []
    for index, key in keys:
        if key in seen:
            problem = Problem(
                "EXW0610",
                f"{key} is also object {seen[key] + 1} of the same request",
                "keep one of them",
                "metadata.name",
            )
            causes.append(Cause(problem, index))
        seen.setdefault(key, index)
    return causes
