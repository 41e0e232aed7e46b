"""What stands for an object that is there and cannot be read: the webhook was away when it came, or another version of Exitway let it in.

    it allows             nothing stands for it: it lets nothing out
    it denies, or may     a DENY that names nothing, which denies everything, to the workloads that it selects (to all, if that cannot be read)

So no rule that cannot be read opens anything, and every replica makes the same of it, whatever it has seen before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exitway.names.workload import Selector
from exitway.resources import egress_rule
from exitway.resources.form import mapping
from exitway.resources.intent import Action, Intent
from exitway.resources.metadata import label_faults
from exitway.resources.resource import Resource


def stand_in(wire: Mapping[str, Any]) -> Resource | None:
    """What stands for the object. Its name, namespace, kind and version are a server's, and right."""
    if wire["apiVersion"] != egress_rule.API_VERSION:
        return None  # only these deny
    spec = wire.get("spec")
    if isinstance(spec, Mapping) and spec.get("action", Action.ALLOW) == Action.ALLOW:
        return None
    metadata = wire["metadata"]
    key = egress_rule.key_of(metadata["namespace"], metadata["name"])
    intent = Intent(key, (), _selector(mapping(spec).get("workloadSelector")), Action.DENY)
    return Resource(key, wire["apiVersion"], wire["kind"], wire, (intent,))


def _selector(given: Any) -> Selector:
    """As the object has it, if nothing is in it but labels; else everything."""
    if not isinstance(given, Mapping) or set(given) - {"matchLabels"}:
        return Selector()
    labels = given.get("matchLabels") or {}
    texts = isinstance(labels, Mapping) and all(isinstance(value, str) for value in labels.values())
    if not texts or any(label_faults(labels, "")):
        return Selector()
    return Selector(tuple(sorted(labels.items())))
