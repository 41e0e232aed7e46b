"""The addresses of names that TCP rules speak of, kept while rules change. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from exitway.dns.hashed import HashedAddresses, pin, pinned_names
from exitway.resources.registry import Registry


class Pins:
    """``addresses``: of all names; replaced when a pinned one comes or goes."""

    def __init__(self) -> None:
        self.addresses = HashedAddresses()
        self._names: dict[str, frozenset[str]] = {}
        self._count: Counter[str] = Counter()

    @property
    def namespaces(self) -> list[str]:
        """Those whose rules are known."""
        return list(self._names)

    def follow(self, registry: Registry, touched: Iterable[str]) -> None:
        """Take in new rules; ``touched``: the namespaces whose rules have changed."""
        before = set(self._count)
        for namespace in touched:
            rules = registry.resources_in(namespace)
            names = pinned_names(intent.proxied for rule in rules for intent in rule.intents)
            self._count.subtract(self._names.pop(namespace, frozenset()))
            self._count.update(names)
            self._names[namespace] = names
        self._count = +self._count
        if self._count.keys() != before:
            self.addresses = HashedAddresses(pin(self._count))
