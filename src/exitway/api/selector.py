"""Which objects a request means: label selectors and field selectors, as the Kubernetes API takes them in its query.

labels   a=b  a==b  a!=b  a  !a  a in (b,c)  a notin (b,c)      joined by commas, all must hold
fields   metadata.name=x  metadata.namespace!=y                 the same, for these two fields
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from exitway.api.status import bad_request
from exitway.resources.kind_names import KindName
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource

Values = Mapping[str, str]
Requirement = Callable[[Values], bool]

_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?"
_VALUE = r"[-A-Za-z0-9_.]*"
_SET = re.compile(rf"({_NAME})\s+(in|notin)\s*\(([-A-Za-z0-9_.,\s]*)\)\Z")
_EQUAL = re.compile(rf"({_NAME})\s*(==|=|!=)\s*({_VALUE})\Z")
_EXISTS = re.compile(rf"(!?)\s*({_NAME})\Z")
_COMMA = re.compile(r",(?![^(]*\))")


class Selector:
    """The resources of a kind, in a namespace (empty: in all), that the ``labelSelector`` and the ``fieldSelector`` mean (empty: all)."""

    def __init__(self, kind: KindName, namespace: str = "", labels: str = "", fields: str = "") -> None:
        self._kind = (kind.group, kind.type)
        self._namespace = namespace
        self._labels = [_requirement(part) for part in _split(labels)]
        self._fields = [_field(part) for part in _split(fields)]

    def select(self, registry: Registry) -> list[Resource]:
        """The resources that are meant, in the order of their keys."""
        near = registry.resources_in(self._namespace) if self._namespace else registry
        return [resource for resource in near if self.selects(resource)]

    def selects(self, resource: Resource) -> bool:
        """Whether the resource is meant."""
        key = resource.key
        if (key.group, key.type) != self._kind or self._namespace not in ("", key.namespace):
            return False
        fields = {"metadata.name": key.name, "metadata.namespace": key.namespace}
        labels = resource.metadata.get("labels", {})
        return all(holds(fields) for holds in self._fields) and all(holds(labels) for holds in self._labels)


def _split(text: str) -> list[str]:
    return [part.strip() for part in _COMMA.split(text)] if text.strip() else []


def _requirement(text: str) -> Requirement:
    if match := _SET.match(text):
        return _among(match[1], {value.strip() for value in match[4].split(",")}, wanted=match[3] == "in")
    if match := _EQUAL.match(text):
        return _among(match[1], {match[4]}, wanted=match[3] != "!=")
    if match := _EXISTS.match(text):
        name, wanted = match[2], not match[1]
        return lambda values: (name in values) is wanted
    raise bad_request(f"cannot read the selector {text[:200]!r}")


def _field(text: str) -> Requirement:
    match = _EQUAL.match(text)
    if match is None or match[1] not in ("metadata.name", "metadata.namespace"):
        raise bad_request(f"cannot select by the field {text[:200]!r}: only metadata.name and metadata.namespace")
    return _among(match[1], {match[4]}, wanted=match[3] != "!=")


def _among(name: str, values: set[str], *, wanted: bool) -> Requirement:
    """An absent label is not among any values, so ``!=`` and ``notin`` select it, as in Kubernetes."""
    return lambda given: (name in given and given[name] in values) is wanted
