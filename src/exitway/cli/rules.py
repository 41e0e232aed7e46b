"""Rules to be asked about: those of files, or those in force on this machine or in a cluster. Both are read alike, and nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exitway.cli.get import fetch, in_order
from exitway.cli.input import read_all
from exitway.cli.problems import warn
from exitway.cli.submit import placed
from exitway.cli.target import Api
from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.kind_names import KIND_NAMES
from exitway.resources.problem import Place, Problem, Problems
from exitway.resources.registry import Registry

if TYPE_CHECKING:
    from exitway.resources.document import Document
    from exitway.resources.resource import Resource


@dataclass(frozen=True)
class Rules:
    """``documents``: of rules of files, by their keys."""

    registry: Registry
    documents: Mapping[Key, Document] = field(default_factory=dict)

    def place(self, key: Key, field: str = "metadata.name") -> Place | None:
        """Where a field of the rule stands; None: it is of no file."""
        document = self.documents.get(key)
        return document.place(field) if document else None

    def place_of(self, key: Key, target: int | None) -> str:
        """Where the rule says what it does, or one of its destinations (by index); empty: it is of no file."""
        field = f"spec.to[{target}]" if key.group == "exitway.dev" and target is not None else "spec"
        return str(self.place(key, field) or "")

    def in_order(self) -> list[Resource]:
        """The resources: those of files in the order in which they stand there, others in the order of their keys."""
        order = {key: number for number, key in enumerate(self.documents)}
        return sorted(self.registry, key=lambda resource: (order.get(resource.key, -1), resource.key))

    def changed(self, other: Rules) -> Rules:
        """These, with the others applied to them."""
        return Rules(
            self.registry.changed(other.registry, revision=self.registry.revision),
            {**self.documents, **other.documents},
        )


def rules_of(
    documents: Iterable[Document], namespace: str, found: Sequence[Problem] = (), *, conflicting: bool = False
) -> Rules:
    """The rules of documents. ``namespace``: of those that name none; ``found``: what was wrong before; ``conflicting``: whether they may conflict.

    Raises:
        Problems: that and all else that is wrong, as ``create`` would say it.
    """
    problems = list(found)
    resources: dict[Key, tuple[Resource, Document]] = {}
    for document in documents:
        try:
            resource = _read(placed(document.wire, namespace))
        except Problems as bad:
            problems += [problem.at(document.place(problem.field)) for problem in bad.problems]
            continue
        if other := resources.get(resource.key):
            at = other[1].place("metadata.name")
            problem = Problem("EXW0610", f"{resource.key} is also in {at}", "keep one of them", "metadata.name")
            problems.append(problem.at(document.place(problem.field)))
        resources.setdefault(resource.key, (resource, document))
    rules = Rules(
        Registry().changed((resource for resource, _ in resources.values()), revision=0),
        {key: document for key, (_, document) in resources.items()},
    )
    if not conflicting:
        problems += conflicts_among(rules)
    if problems:
        raise Problems(problems)
    return rules


def rules_in_files(filenames: Sequence[str], namespace: str) -> Rules:
    """The rules of files and directories. ``namespace``: of those that name none. Raises as :func:`rules_of`."""
    documents, found = read_all(filenames, None)
    return rules_of(documents, namespace, found)


def rules_to_look_at(filenames: Sequence[str], namespace: str) -> Rules:
    """The same, as :func:`rules_among`."""
    documents, found = read_all(filenames, None)
    return rules_among(documents, namespace, found)


def rules_among(documents: Sequence[Document], namespace: str, found: Sequence[Problem]) -> Rules:
    """The rules, whether they can stand beside each other or not, and whatever objects of others there are. Raises as :func:`rules_of`."""
    ours = [document for document in documents if _is_ours(document.wire)]
    if others := len(documents) - len(ours):
        warn(f"{others} object{'s' * (others > 1)} of other kinds {'are' if others > 1 else 'is'} not looked at")
    return rules_of(ours, namespace, found, conflicting=True)


def _is_ours(wire: Mapping[str, Any]) -> bool:
    """Whether the object is of a group that rules are of, or is malformed: somebody meant a rule."""
    version = wire.get("apiVersion")
    group = version.partition("/")[0] if isinstance(version, str) else ""
    return not group or group in {kind.group for kind in KIND_NAMES}


def rules_in_force(api: Api, namespace: str | None = None) -> Rules:
    """All rules that a server or a cluster has, or those that hold in one namespace.

    One that cannot be read opens nothing, as where it is enforced (:mod:`exitway.resources.unreadable`).
    """
    from exitway.resources.unreadable import stand_in

    namespaces = [None] if namespace is None else sorted({namespace, SYSTEM_NAMESPACE})
    resources: list[Resource] = []
    for wire in (wire for one in namespaces for wire in in_order(fetch(api, KIND_NAMES, one, ()))):
        try:
            resources.append(_read(wire))
        except Problems as bad:
            metadata = wire["metadata"]
            warn(f"{metadata['namespace']}/{metadata['name']} cannot be read: {bad.problems[0].message}")
            if resource := stand_in(wire):
                resources.append(resource)
    return Rules(Registry().changed(resources, revision=0))


def rules_to_ask(api: Api, namespace: str) -> Rules:
    """Those in force in all namespaces, if we may see them: the nearest may be another one's. If not, those that hold in this one."""
    try:
        return rules_in_force(api)
    except Problems as refused:
        if refused.problems[0].code != "EXW1403":
            raise
    return rules_in_force(api, namespace)


def _read(wire: Mapping[str, Any]) -> Resource:
    from exitway.resources.kinds import read

    return read(wire)


def conflicts_among(rules: Rules) -> Iterable[Problem]:
    """Why rules of documents cannot stand beside each other."""
    from exitway.resources.conflicts import conflicts

    for resource in rules.registry:
        document = rules.documents[resource.key]
        for problem in conflicts(rules.registry, resource):
            yield problem.at(document.place(problem.field))
