"""The rules: for each kind of workload that was recorded, what its calls need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

from exitway.learn.entry import Entry, entries
from exitway.learn.terms import Terms, destinations, terms
from exitway.learn.use import Labels, Use
from exitway.learn.wildcard import widened
from exitway.names.call import Sort
from exitway.names.host import as_label
from exitway.names.workload import SYSTEM_NAMESPACE, Workload
from exitway.resources.egress_rule import API_VERSION
from exitway.resources.egress_rule_form import MAX_DESTINATIONS


@dataclass(frozen=True)
class Learned:
    """What one kind of workload (those of a namespace, with these labels) is to be let out for, and the calls that this was learned from."""

    namespace: str
    labels: Labels
    uses: tuple[Use, ...]
    terms: Terms

    @property
    def workload(self) -> Workload:
        """One of that kind."""
        return Workload(self.namespace, "learned", dict(self.labels))

    @property
    def holds_everywhere(self) -> bool:
        """Whether what is learned from these holds for workloads of every namespace."""
        return self.namespace == SYSTEM_NAMESPACE

    def behind(self, entry: Entry, destination: str) -> list[Use]:
        """The calls that a destination stands in an entry for."""
        return [use for use in self.by_destination.get(destination, ()) if _belongs(use, entry)]

    @cached_property
    def by_destination(self) -> Mapping[str, Sequence[Use]]:
        """What was learned from each, patterns included."""
        behind: defaultdict[str, list[Use]] = defaultdict(list)
        patterns = [name for name in self.terms if name.startswith("*.")]
        for use in self.uses:
            for name in destinations(use):
                behind[name].append(use)
                parent = f"*.{name.partition('.')[2]}"
                if name not in self.terms and parent in patterns:
                    behind[parent].append(use)
        return behind


def _belongs(use: Use, entry: Entry) -> bool:
    ports = {port.number: port.sort for port in entry.ports}
    sort = ports.get(use.call.port)
    if sort is Sort.TCP:  # whatever is spoken there
        return True
    requested = (not entry.methods or use.call.method in entry.methods) and (
        not entry.paths or use.call.path in entry.paths
    )
    return sort is use.call.sort and (sort is not Sort.HTTP or requested)


@dataclass(frozen=True, slots=True)
class Rule:
    """One object."""

    name: str
    learned: Learned
    entries: tuple[Entry, ...]

    @property
    def wire(self) -> dict[str, Any]:
        """As it is written."""
        labels = dict(self.learned.labels)
        selector = {"workloadSelector": {"matchLabels": labels}} if labels else {}
        return {
            "apiVersion": API_VERSION,
            "kind": "EgressRule",
            "metadata": {"name": self.name, "namespace": self.learned.namespace},
            "spec": {**selector, "to": [entry.wire for entry in self.entries]},
        }


def learn(uses: Iterable[Use], *, hosts_only: bool, wildcards: bool = False) -> list[Learned]:
    """Exactly the calls, or with wildcards, in the order of namespaces and labels."""
    kinds: defaultdict[tuple[str, Labels], list[Use]] = defaultdict(list)
    for use in uses:
        kinds[use.namespace, use.labels].append(use)
    return [
        Learned(namespace, labels, tuple(of), widened(found) if wildcards else found)
        for (namespace, labels), of in sorted(kinds.items())
        for found in [terms(of, hosts_only=hosts_only)]
    ]


def rules(learned: Sequence[Learned], name: str) -> list[Rule]:
    """As objects. Where there are several, their names say whom they are for, so that those of the next recording have the same."""
    made: list[Rule] = []
    for kind in learned:
        alone = sum(other.namespace == kind.namespace for other in learned) == 1
        stem = name if alone else as_label("-".join([name, *(value for _, value in kind.labels)]))
        items = entries(kind.terms)
        for start in range(0, len(items), MAX_DESTINATIONS):
            taken = {rule.name for rule in made if rule.learned.namespace == kind.namespace}
            free = next(one for one in _numbered(stem) if one not in taken)
            made.append(Rule(free, kind, tuple(items[start : start + MAX_DESTINATIONS])))
    return made


def _numbered(stem: str) -> Iterator[str]:
    yield stem
    yield from (f"{stem}-{number}" for number in count(2))
