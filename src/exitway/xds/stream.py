"""One Envoy's delta stream, without I/O: requests and snapshots go in, responses come out.

The protocol: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol (incremental xDS). What is particular here:

* A resource that the proxy is known to hold at its present version is never sent again, also after a reconnect
  (``initial_resource_versions``).
* Make before break: what is new or changed goes out in the order cluster, listener, route; what is to vanish goes last, in reverse.
* After a NACK the proxy keeps what it had. The refused versions are remembered as sent, so that they are not sent in a loop; any other
  version is sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from exitway.envoy.snapshot import TYPES, Resource, Snapshot

WILDCARD = "*"


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
    """What the proxy is told: resources that are new or changed, and names that are gone."""

    type_url: str
    nonce: str
    changed: tuple[Resource, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass
class _Subscription:
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)  # name -> version, as last sent or as held from before

    def wants(self, name: str) -> bool:
        return self.wildcard or name in self.names


class DeltaStream:
    """The state of one stream. ``unanswered``: nonces neither acknowledged nor refused; ``errors``: refusals in force, by type."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._subscriptions: dict[str, _Subscription] = {}
        self._count = 0
        self.unanswered: set[str] = set()
        self.errors: dict[str, str] = {}

    def receive(self, request: Request) -> Iterator[Response]:
        """Take in one request; yields what has to be said in reply, if anything."""
        self._answered(request)
        known = self._subscriptions.get(request.type_url)
        subscription = known or self._subscriptions.setdefault(request.type_url, _Subscription(sent=dict(request.held)))
        if known is None and not request.subscribe:
            subscription.wildcard = True  # a first request that names nothing asks for everything
        subscription.wildcard |= WILDCARD in request.subscribe
        subscription.names |= request.subscribe - {WILDCARD}
        subscription.names -= request.unsubscribe
        for name in request.unsubscribe:
            subscription.sent.pop(name, None)
        if known is None or request.subscribe:
            answers = [*self._removals(request.type_url, request.subscribe), *self._changes(request.type_url)]
            if not answers and known is None and subscription.wildcard and not request.held:
                answers = [
                    self._response(request.type_url)
                ]  # a proxy that starts waits for an answer, were it an empty one
            yield from answers

    def publish(self, snapshot: Snapshot) -> Iterator[Response]:
        """Take in a new snapshot; yields what the proxy has to be told."""
        self._snapshot = snapshot
        for type_url in TYPES:
            yield from self._changes(type_url)
        for type_url in reversed(TYPES):
            yield from self._removals(type_url)

    @property
    def in_step(self) -> bool:
        """Whether the proxy has answered for everything in the snapshot: it has it, or has refused some of it (``errors``)."""
        if self.unanswered:
            return False
        return bool(self.errors) or all(self._was_sent(type_url) for type_url in TYPES)

    def _was_sent(self, type_url: str) -> bool:
        wanted = self._snapshot.named(type_url)
        subscription = self._subscriptions.get(type_url)
        sent = subscription.sent if subscription else {}
        return all(sent.get(name) == resource.version for name, resource in wanted.items())

    def _answered(self, request: Request) -> None:
        if request.nonce not in self.unanswered:
            return
        self.unanswered.discard(request.nonce)
        if request.error:
            self.errors[request.type_url] = request.error
        else:
            self.errors.pop(request.type_url, None)

    def _changes(self, type_url: str) -> Iterator[Response]:
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return
        wanted = self._snapshot.named(type_url).items()
        changed = [r for name, r in wanted if subscription.wants(name) and subscription.sent.get(name) != r.version]
        if changed:
            subscription.sent.update({resource.name: resource.version for resource in changed})
            yield self._response(type_url, changed=tuple(changed))

    def _removals(self, type_url: str, asked: frozenset[str] = frozenset()) -> Iterator[Response]:
        """Names that the proxy holds, or has just asked for, and that do not exist."""
        subscription = self._subscriptions.get(type_url)
        if subscription is None:
            return
        present = self._snapshot.named(type_url)
        gone = sorted(name for name in {*subscription.sent, *(asked - {WILDCARD})} if name not in present)
        if gone:
            for name in gone:
                subscription.sent.pop(name, None)
            yield self._response(type_url, removed=tuple(gone))

    def _response(self, type_url: str, changed: tuple[Resource, ...] = (), removed: tuple[str, ...] = ()) -> Response:
        self._count += 1
        nonce = str(self._count)
        self.unanswered.add(nonce)
        return Response(type_url, nonce, changed, removed)
