"""The rules of a cluster: the reading half of the store, fed by the Kubernetes API.

Its revision counts the changes that this process has seen; it says nothing to another process. A change of an object's status alone is none.
Nothing is there before everything was listed, and what was there stays while the API server is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any, Never

from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.kube.reflector import Name, Reflector
from exitway.names.key import Key
from exitway.resources.intent import Action
from exitway.resources.kind_names import KIND_NAMES, KindName
from exitway.resources.kinds import read
from exitway.resources.paths import collection
from exitway.resources.problem import Problem, Problems
from exitway.resources.registry import Registry
from exitway.resources.resource import Json, Resource
from exitway.resources.unreadable import stand_in
from exitway.store.change import Event, EventType
from exitway.store.reading import Rules

GATHER_SECONDS = 0.02
"""After a change, what follows within this time becomes one change with it: a flood costs no more than a few of them do."""

_METADATA = (
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


@dataclass(frozen=True, slots=True)
class Standing:
    """An object as it is in the API. ``since``: the store's revision at which it became what it is now. ``problems``: why it cannot be read.

    ``resource``: what it says, or what stands for it, be it in force or not.
    """

    key: Key
    wire: Json
    since: int
    resource: Resource | None
    problems: tuple[Problem, ...] = ()

    @property
    def uid(self) -> str:
        """The object's; one that is made anew has another."""
        return str(self.wire["metadata"]["uid"])

    @property
    def generation(self) -> int:
        """How often its spec has changed."""
        return int(self.wire["metadata"]["generation"])

    @property
    def withdrawn(self) -> bool:
        """Whether it is as if gone: it only allows, and was deleted, whatever somebody's finalizer still waits for. A DENY stays until it is gone."""
        allows = self.resource is None or all(one.action is Action.ALLOW for one in self.resource.intents)
        return allows and "deletionTimestamp" in self.wire["metadata"]


class KubernetesStore(Rules):
    """The rules of all namespaces, while :meth:`run` runs.

    ``synced``: set once everything was listed. ``touched``: called with the keys of the objects that changed in whatever way, their status included.
    """

    def __init__(self, kube: Kube, *, history: int = 10_000) -> None:
        super().__init__(Registry(), history)
        self.synced = asyncio.Event()
        self.touched: list[Callable[[AbstractSet[Key]], None]] = []
        self._known: dict[Key, Standing] = {}
        self._waiting = set[Key]()
        self._gathering: asyncio.TimerHandle | None = None
        self._reflectors = {
            kind: Reflector(kube, collection(kind), changed=self._heard(kind), kept=_kept) for kind in KIND_NAMES
        }

    @property
    def versions(self) -> Mapping[str, str]:
        """How far each group's objects are followed, as the API counts: resourceVersions of the collections, by group."""
        return {kind.group: reflector.revision for kind, reflector in self._reflectors.items()}

    @property
    def error(self) -> KubeError | None:
        """Why the API is not followed now; None while it is."""
        return next((reflector.error for reflector in self._reflectors.values() if reflector.error), None)

    def standing(self, key: Key) -> Standing | None:
        """An object, whether it can be read or not."""
        return self._known.get(key)

    def __iter__(self) -> Iterator[Standing]:
        """All objects, whether they can be read or not."""
        return iter(list(self._known.values()))

    @property
    def problems(self) -> dict[Key, tuple[Problem, ...]]:
        """What is wrong with the objects that cannot be read."""
        return {key: one.problems for key, one in self._known.items() if one.problems}

    async def run(self) -> Never:
        """Follow the API, for ever."""
        async with asyncio.TaskGroup() as group:
            for reflector in self._reflectors.values():
                group.create_task(reflector.run())
        raise AssertionError  # they do not end

    def _heard(self, kind: KindName) -> Callable[[AbstractSet[Name]], None]:
        return lambda names: self._gather({Key(kind.type, *name, kind.group) for name in names})

    def _gather(self, keys: set[Key]) -> None:
        self._waiting |= keys
        if not all(reflector.synced.is_set() for reflector in self._reflectors.values()):
            return
        if self._gathering is None:  # the first at once, those that follow closely together
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._gathered)
            self._take()

    def _gathered(self) -> None:
        self._gathering = None
        if self._waiting:
            self._gather(set())

    def _take(self) -> None:
        keys, standing = self._waiting.copy(), dict[Key, Standing]()
        events = [event for event in (self._event(key, standing) for key in sorted(keys)) if event]
        first = self.revision + 1
        events = [Event(one.type, first + at, one.resource, one.before) for at, one in enumerate(events)]
        self._take_in(events, self.revision + len(events))
        self._known |= standing
        self._remember(keys)
        self._waiting -= keys  # not before: what is not taken in is not forgotten
        self.synced.set()
        if events:
            self._wake()
        for listener in self.touched:
            listener(keys)

    def _event(self, key: Key, standing: dict[Key, Standing]) -> Event | None:
        """What has happened to the rule; its revision is not yet known. What it is now goes to ``standing``."""
        before, item = self.registry.get(key), self._item(key)
        known = self._known.get(key)
        if item and known and _identity(item) == _identity(known.wire):
            return None
        now = Standing(key, item, 0, *read_object(item)) if item else None
        if now:
            standing[key] = now
        resource = now.resource if now else None
        if now is None or resource is None or now.withdrawn:
            return Event(EventType.DELETED, 0, resource or before, before) if before else None
        return Event(EventType.MODIFIED if before else EventType.ADDED, 0, resource, before)

    def _remember(self, keys: Iterable[Key]) -> None:
        """Keep the newest form of each object, and since when it says what it says."""
        for key in keys:
            item, known = self._item(key), self._known.get(key)
            if item is None:
                self._known.pop(key, None)
            elif known:
                self._known[key] = Standing(key, item, known.since or self.revision, known.resource, known.problems)

    def _item(self, key: Key) -> Json | None:
        reflector = next(
            one for kind, one in self._reflectors.items() if (kind.group, kind.type) == (key.group, key.type)
        )
        return reflector.objects.get((key.namespace, key.name))


def _kept(item: Json) -> Json:
    """The object without what nobody here asks for, which is more than half of it."""
    metadata = {name: item["metadata"][name] for name in _METADATA if name in item["metadata"]}
    if _LAST_APPLIED in (annotations := metadata.get("annotations", {})):
        metadata["annotations"] = {name: text for name, text in annotations.items() if name != _LAST_APPLIED}
    return {**item, "metadata": metadata}


def _identity(item: Mapping[str, Any]) -> tuple[Any, ...]:
    """What differs if the object says something else; not its resourceVersion, which its status changes as well.

    The generation does not tell for itself: where the API server's data were restored, it is given again.
    """
    metadata = item["metadata"]
    said = (metadata.get(name) for name in ("uid", "generation", "labels", "annotations", "deletionTimestamp"))
    return *said, item.get("spec")


def read_object(item: Json) -> tuple[Resource | None, tuple[Problem, ...]]:
    """An object of the API as a resource; else what stands for it, and why it cannot be read."""
    wire = {name: value for name, value in _kept(item).items() if name != "status"}
    try:
        return read(wire), ()
    except Problems as problems:
        return stand_in(wire), tuple(problems.problems)
