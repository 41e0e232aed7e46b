"""One Envoy's delta stream, without I/O: requests and snapshots go in, and whoever writes takes out what is to be said next.

The protocol: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (incremental xDS). What is particular here:

* A resource that the proxy is known to hold at its present version is never sent again, also after a reconnect
  (``initial_resource_versions``), to whichever server.
* What is to be said follows from what the proxy has and should have, at the moment of writing. So a snapshot that a newer one overtook while
  a write was under way is never told of.
* Make before break: what is new or changed goes out in the order cluster, listener, route; what is to vanish goes last, in reverse.
* The nonce is the revision of the snapshot, so equal responses have equal bytes, whichever stream they are for. A proxy answers in order.
* After a NACK the proxy keeps what it had. The refused versions are remembered as sent, so that they are not sent in a loop; any other
  version is sent again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from exitway.envoy.api import TYPE_PREFIX
from exitway.envoy.snapshot import TYPES, Resource, Snapshot

WILDCARD = "*"
RULES = TYPE_PREFIX + "exitway.v1.Rules"
"""Up to where the rules go: what an agent is told, and acknowledges when its own proxy has them in force (``client.py``)."""
_ORDER = (*TYPES, RULES)


@dataclass(frozen=True, slots=True)
class Request:
    """What the proxy says: a subscription, an ACK (a nonce) or a NACK (a nonce and an error)."""

    type_url: str
    subscribe: frozenset[str] = frozenset()
    unsubscribe: frozenset[str] = frozenset()
    held: Mapping[str, str] = field(default_factory=dict)  # initial_resource_versions
    nonce: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What the proxy is told: resources that are new or changed, or names that are gone."""

    type_url: str
    nonce: str
    changed: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(slots=True)
class _Subscription:
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name -> version, as last sent or as held from before
    asked: set[str] = field(default_factory=set)  # names that it waits to hear of, be it that they do not exist
    waiting: bool = False  # a proxy that starts waits for an answer, were it an empty one

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class DeltaStream:
    """The state of one stream. ``errors``: refusals in force, by type; ``acknowledged``, ``refused``: so many responses ever were."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.errors: dict[str, str] = {}
        self.acknowledged = self.refused = 0
        self._subscriptions: dict[str, _Subscription] = {}
        self._unanswered: defaultdict[str, list[str]] = defaultdict(list)
        self._told = False
        self._whole = False

    def receive(self, request: Request) -> None:
        """Take in one request. There is nothing of other types, and so nothing is said."""
        if request.type_url not in _ORDER:
            return
        self._answered(request)
        known = self._subscriptions.get(request.type_url)
        subscription = known or self._subscriptions.setdefault(request.type_url, _Subscription(sent=dict(request.held)))
        if known is None and not request.subscribe:
            subscription.wildcard = True  # a first request that names nothing asks for everything
        subscription.wildcard |= WILDCARD in request.subscribe
        if known is None:
            subscription.waiting = subscription.wildcard and not request.held
        names = request.subscribe - {WILDCARD}
        subscription.names |= names
        subscription.names -= request.unsubscribe
        subscription.asked |= names
        for name in request.unsubscribe:
            subscription.sent.pop(name, None)
            subscription.asked.discard(name)
        if known is None or request.subscribe:
            self._told = False

    def publish(self, snapshot: Snapshot) -> None:
        """From now on the proxy should have this."""
        if snapshot is not self.snapshot:
            self.snapshot = snapshot
            self._told = False

    def next(self) -> Response | None:
        """What is to be said now. It counts as said. None: nothing."""
        if self._told:
            return None
        response = self._something()
        if response is None:
            self._told, self._whole = True, all(self._was_sent(type_url) for type_url in _ORDER)
        else:
            self._unanswered[response.type_url].append(response.nonce)
        return response

    @property
    def in_step(self) -> bool:
        """Whether the proxy has answered for everything in the snapshot: it has it, or has refused some of it (``errors``)."""
        return self._told and not any(self._unanswered.values()) and (self._whole or bool(self.errors))

    def _something(self) -> Response | None:
        kinds = [(type_url, self._subscriptions[type_url]) for type_url in _ORDER if type_url in self._subscriptions]
        for type_url, subscription in kinds:
            if changed := self._changed(type_url, subscription):
                return self._response(type_url, subscription, changed=changed)
        for type_url, subscription in reversed(kinds):
            if gone := self._gone(type_url, subscription):
                return self._response(type_url, subscription, removed=gone)
        for type_url, subscription in kinds:
            if subscription.waiting:
                return self._response(type_url, subscription)
        return None

    def _changed(self, type_url: str, subscription: _Subscription) -> tuple[Resource, ...]:
        wanted = self.snapshot.named(type_url).items()
        changed = [r for name, r in wanted if subscription.sent.get(name) != r.version and subscription.wants(name)]
        subscription.sent.update({resource.name: resource.version for resource in changed})
        return tuple(changed)

    def _gone(self, type_url: str, subscription: _Subscription) -> tuple[str, ...]:
        """Names that the proxy holds, or waits for, and that do not exist."""
        present = self.snapshot.named(type_url)
        gone = sorted(name for name in subscription.sent.keys() | subscription.asked if name not in present)
        for name in gone:
            subscription.sent.pop(name, None)
        subscription.asked.clear()
        return tuple(gone)

    def _response(
        self,
        type_url: str,
        subscription: _Subscription,
        changed: tuple[Resource, ...] = (),
        removed: tuple[str, ...] = (),
    ) -> Response:
        subscription.waiting = False
        return Response(type_url, self.snapshot.revision, changed, removed)

    def _was_sent(self, type_url: str) -> bool:
        wanted = self.snapshot.named(type_url)
        subscription = self._subscriptions.get(type_url)
        sent = subscription.sent if subscription else {}
        return all(sent.get(name) == resource.version for name, resource in wanted.items())

    def _answered(self, request: Request) -> None:
        unanswered = self._unanswered[request.type_url]
        if not request.nonce or request.nonce not in unanswered:
            return
        unanswered.remove(request.nonce)
        if request.error:
            self.errors[request.type_url] = request.error
            self.refused += 1
        else:
            self.errors.pop(request.type_url, None)
            self.acknowledged += 1
