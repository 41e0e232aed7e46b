"""The rules of a store and what changes in them, as whoever works with them by namespaces wants to hear it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from exitway.resources.resource import Resource
from exitway.store.change import Gone
from exitway.store.reading import Rules

News = AsyncGenerator[tuple[set[str], Iterable[Resource]]]
"""The namespaces that are touched, and the rules that came, changed or went."""


async def following(store: Rules, known: Iterable[str] = ()) -> News:
    """Everything at first, then what changes. Ends with the store.

    What is no longer known one by one is told as everything anew. ``known``: namespaces that had rules when they were followed before.
    """
    touched = {*known, *store.registry.namespaces}
    rules: Iterable[Resource] = store.registry
    while True:
        before, revision = store.registry.namespaces, store.revision
        yield touched, rules
        try:
            events = await store.after(revision)
        except Gone:
            touched, rules = {*before, *store.registry.namespaces}, store.registry
            continue
        if not events:
            return
        touched, rules = {event.resource.key.namespace for event in events}, [event.resource for event in events]
