"""The CustomResourceDefinitions by which a Kubernetes API keeps our kinds. ``deploy/helm/exitway/crds`` is written from this.

Where two groups have a plural, kubectl takes the group that comes first in the alphabet: ``egressrules`` means Istio's, ``egr`` and
``egressrules.exitway.dev`` ours, ``kubectl get exitway`` (a category) both.
"""

from __future__ import annotations

from exitway.resources.kind_names import KIND_NAMES, KindName
from exitway.resources.kinds import spec_of
from exitway.resources.resource import Json
from exitway.resources.schema import keyed, structural

_SHORT_NAMES = {"exitway.dev": ["egr"], "config.istio.io": ["iegr"]}
_WIDE = 1
# A column shows the first of several results, so what may be several is told in a sentence of the status.
_PORTS = ("Ports", ".status.ports", 0)
_COLUMNS = {
    "exitway.dev": [
        ("Destinations", ".status.destinations", 0),
        _PORTS,
        ("Action", ".spec.action", _WIDE),
        ("Expires", ".spec.expires", _WIDE),
    ],
    "config.istio.io": [("Destination", ".spec.destination.service", 0), _PORTS],
}
_STATES = [
    ("Accepted", '.status.conditions[?(@.type=="Accepted")].status', 0),
    ("Programmed", '.status.conditions[?(@.type=="Programmed")].status', 0),
    ("Message", '.status.conditions[?(@.type=="Programmed")].message', _WIDE),
]


def definitions() -> list[Json]:
    """One for each kind."""
    return [_definition(kind) for kind in KIND_NAMES]


def _definition(kind: KindName) -> Json:
    names = {
        "kind": kind.kind,
        "listKind": f"{kind.kind}List",
        "plural": kind.plural,
        "singular": kind.singular,
        "shortNames": _SHORT_NAMES[kind.group],
        "categories": ["exitway"],
    }
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _object(kind)},
        "subresources": {"status": {}},
        "additionalPrinterColumns": _columns(kind),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}", "labels": {"app.kubernetes.io/part-of": "exitway"}},
        "spec": {"group": kind.group, "scope": "Namespaced", "names": names, "versions": [version]},
    }


def _columns(kind: KindName) -> list[Json]:
    columns: list[Json] = [
        {"name": name, "type": "string", "jsonPath": path, "priority": priority}
        for name, path, priority in (*_COLUMNS[kind.group], *_STATES)
    ]
    return [*columns, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]


def _object(kind: KindName) -> Json:
    words = {"type": "string"}
    return {
        "type": "object",
        "description": f"What may leave, for the workloads of a namespace; in exitway-system, of all. {kind.api_version}.",
        "required": ["spec"],
        "properties": {
            "apiVersion": words,
            "kind": words,
            "metadata": {"type": "object"},
            "spec": structural(spec_of(kind)),
            "status": _STATUS,
        },
    }


def _map(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties}


def _text(most: int, **more: object) -> Json:
    return {"type": "string", "maxLength": most, **more}


_COUNT: Json = {"type": "integer", "format": "int32", "minimum": 0}
_GENERATION: Json = {"type": "integer", "format": "int64", "minimum": 0}
_CONDITION = _map(
    ["type", "status", "lastTransitionTime", "reason", "message"],  # metav1.Condition
    type=_text(316),
    status={"type": "string", "enum": ["True", "False", "Unknown"]},
    observedGeneration=_GENERATION,
    lastTransitionTime={"type": "string", "format": "date-time"},
    reason=_text(1024, minLength=1, pattern="^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"),
    message=_text(32768),
)
_REPLICA = _map(
    ["name"],
    name=_text(253, minLength=1),
    observedGeneration=_GENERATION,
    proxies=_COUNT | {"description": "How many proxies that the rule concerns are connected to this replica."},
    acknowledged=_COUNT | {"description": "How many of them have the rule in force."},
    errors={
        "type": "array",
        "maxItems": 10,
        "items": _text(2048),
        "description": "What the others say of it.",
        "x-kubernetes-list-type": "atomic",
    },
)
_STATUS = _map(
    [],
    destinations=_text(1024, description="Names and address ranges that the rule is about, the first few."),
    ports=_text(1024, description="Ports, each with its protocol, the first few."),
    conditions={"type": "array", "items": _CONDITION, **keyed("type")},
    replicas={
        "type": "array",
        "items": _REPLICA,
        **keyed("name"),
        "description": "What each replica of the control plane has told proxies.",
    },
)
