"""Every resource at one revision. A change makes a new registry, which shares with the old one all namespaces that it did not touch."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.claims import Claims
from exitway.resources.intent import Intent
from exitway.resources.resource import Resource


@dataclass(frozen=True, eq=False)
class Registry:
    """``Registry()`` is the empty one, at revision 0."""

    revision: int = 0
    _namespaces: Mapping[str, _Namespace] = field(default_factory=dict)

    def get(self, key: Key) -> Resource | None:
        """The resource with this key."""
        return self._in(key.namespace).get(key)

    def __iter__(self) -> Iterator[Resource]:
        """All resources, in the order of their keys."""
        everything = chain.from_iterable(namespace.resources for namespace in self._namespaces.values())
        return iter(sorted(everything, key=lambda resource: resource.key))

    def __len__(self) -> int:
        return sum(len(namespace.resources) for namespace in self._namespaces.values())

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces that have resources, sorted."""
        return tuple(sorted(self._namespaces))

    def resources_in(self, namespace: str) -> tuple[Resource, ...]:
        """The resources of one namespace, in the order of their keys."""
        return self._in(namespace).resources

    def claims_in(self, namespace: str) -> Claims:
        """What the rules of one namespace have claimed."""
        return self._in(namespace).claims

    def intents_for(self, namespace: str) -> tuple[Intent, ...]:
        """What holds for the workloads of a namespace: its own intents, and those of ``exitway-system``."""
        if namespace == SYSTEM_NAMESPACE:
            return self._in(namespace).intents
        return self._in(namespace).intents + self._in(SYSTEM_NAMESPACE).intents

    def changed(self, put: Iterable[Resource] = (), deleted: Iterable[Key] = (), *, revision: int) -> Registry:
        """The registry after a change, which costs as much as copying the namespaces it touches. A key is either put or deleted."""
        touched: dict[str, dict[Key, Resource | None]] = {}
        for key in deleted:
            touched.setdefault(key.namespace, {})[key] = None
        for resource in put:
            touched.setdefault(resource.key.namespace, {})[resource.key] = resource
        namespaces = dict(self._namespaces)
        for name, changes in touched.items():
            namespaces[name] = self._in(name).changed(changes)
            if not namespaces[name].resources:
                del namespaces[name]
        return Registry(revision, namespaces)

    def _in(self, namespace: str) -> _Namespace:
        return self._namespaces.get(namespace, _EMPTY)


@dataclass(frozen=True, eq=False)
class _Namespace:
    """The resources of one namespace, in the order of their keys."""

    resources: tuple[Resource, ...] = ()
    claims: Claims = field(default_factory=Claims)

    @cached_property
    def intents(self) -> tuple[Intent, ...]:
        return tuple(chain.from_iterable(resource.intents for resource in self.resources))

    def get(self, key: Key) -> Resource | None:
        at = _position(self.resources, key)
        return self.resources[at] if at < len(self.resources) and self.resources[at].key == key else None

    def changed(self, changes: Mapping[Key, Resource | None]) -> _Namespace:
        """With each key's new resource, or without it."""
        resources = list(self.resources)
        for key, resource in changes.items():
            at = _position(resources, key)
            end = at + (at < len(resources) and resources[at].key == key)
            resources[at:end] = [resource] if resource else []
        removed = filter(None, map(self.get, changes))
        return _Namespace(tuple(resources), self.claims.changed(filter(None, changes.values()), removed))


_EMPTY = _Namespace()


def _position(resources: list[Resource] | tuple[Resource, ...], key: Key) -> int:
    return bisect_left(resources, key, key=lambda resource: resource.key)
