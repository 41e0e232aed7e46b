"""From the wire form to a resource: which kind it is, and who reads it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from exitway.resources import egress_rule, egress_rule_form, istio_egress_rule
from exitway.resources.form import Form, closest
from exitway.resources.kind_names import KIND_NAMES, KindName
from exitway.resources.problem import Problem, Problems, quoted
from exitway.resources.resource import Resource
from exitway.resources.scalar import described

_READERS: dict[tuple[str, str], Callable[[Mapping[str, Any]], Resource]] = {
    (istio_egress_rule.API_VERSION, "EgressRule"): istio_egress_rule.read,
    (egress_rule.API_VERSION, "EgressRule"): egress_rule.read,
}

_SPECS: dict[tuple[str, str], type[Form]] = {
    (istio_egress_rule.API_VERSION, "EgressRule"): istio_egress_rule.Spec,
    (egress_rule.API_VERSION, "EgressRule"): egress_rule_form.Spec,
}


def spec_of(kind: KindName) -> type[Form]:
    """The form of what stands under ``spec``."""
    return _SPECS[kind.api_version, kind.kind]


def read(wire: Mapping[str, Any]) -> Resource:
    """The resource that an object describes; ``metadata.namespace`` is filled in. Raises :class:`Problems`, with all of them."""
    api_version, kind = wire.get("apiVersion"), wire.get("kind")
    if isinstance(api_version, str) and isinstance(kind, str) and (api_version, kind) in _READERS:
        return _READERS[api_version, kind](wire)
    raise Problems(_unreadable(wire) or [_unknown(str(api_version), str(kind))])


def _unreadable(wire: Mapping[str, Any]) -> list[Problem]:
    problems = []
    for name in ("apiVersion", "kind"):
        if name not in wire:
            problems.append(Problem("EXW0102", f"{name} is missing", _known(), name))
        elif not isinstance(wire[name], str):
            problems.append(Problem("EXW0104", f"{name} must be a string, not {described(wire[name])}", _known(), name))
    return problems


def _unknown(api_version: str, kind: str) -> Problem:
    message = f"unknown kind {quoted(kind)} of {quoted(api_version)}"
    versions = [known.api_version for known in KIND_NAMES if known.kind == kind]
    field, meant = (
        ("apiVersion", closest(api_version, versions))
        if versions
        else ("kind", closest(kind, (known.kind for known in KIND_NAMES)))
    )
    return Problem("EXW0105", message, f"did you mean {meant}? {_known()}" if meant else _known(), field)


def _known() -> str:
    return f"known are {', '.join(map(str, KIND_NAMES))}"
