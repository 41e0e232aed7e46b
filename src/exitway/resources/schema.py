"""The form of a kind as the structural schema of a CustomResourceDefinition.

It has the types, and the limits that one field or one CEL rule can say; the forms carry them. What values mean together, and the words for it,
is the business of the kind's own file: what its reader takes, the schema takes. Fields that are not known are kept, so that the reader refuses
them by name; the Kubernetes API would drop them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo

from exitway.resources.form import Form
from exitway.resources.resource import Json

_TAKEN = (
    "type",
    "description",
    "enum",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
)
_RULES, _UNKNOWN = "x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields"
_LISTS = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys")


def said(description: str = "", **limits: Any) -> FieldInfo:
    """In ``Annotated``: what a value is for, and its limits in the words of OpenAPI. The form itself refuses nothing by them."""
    return Field(description=description or None, json_schema_extra=limits)  # type: ignore[no-any-return]


def keyed(key: str) -> Json:
    """Among the limits of a list: that no two items have the same value under the key."""
    return dict(zip(_LISTS, ("map", [key]), strict=True))


def agreeing(rules: Mapping[str, str], required: tuple[str, ...] = ()) -> ConfigDict:
    """The configuration of a form: CEL rules with the sentences for those who break them, and fields that it can do without but readers cannot."""
    extra: Json = {_RULES: [{"rule": rule, "message": message} for rule, message in rules.items()]}
    return ConfigDict(json_schema_extra={**extra, **({"required": list(required)} if required else {})})


def structural(form: type[Form]) -> Json:
    """The schema of a form, without references, titles and defaults."""
    whole = form.model_json_schema()
    return _structural(whole, whole.get("$defs", {}))


def _structural(schema: Mapping[str, Any], forms: Mapping[str, Any]) -> Json:
    schema = _resolved(schema, forms)
    made: Json = {name: schema[name] for name in _TAKEN if name in schema}
    if "items" in schema:
        made["items"] = _structural(schema["items"], forms)
    if isinstance(values := schema.get("additionalProperties"), dict):
        made["additionalProperties"] = _structural(values, forms)
    elif made.get("type") == "object":
        made[_UNKNOWN] = True
        typed = {name: _structural(inner, forms) for name, inner in schema["properties"].items()}
        made["properties"] = {name: inner for name, inner in typed.items() if "type" in inner}
    return {**made, **{name: schema[name] for name in ("required", *_LISTS, _RULES) if schema.get(name)}}


def _resolved(schema: Mapping[str, Any], forms: Mapping[str, Any]) -> Json:
    """Without the null that a value may also be, and with what a reference stands for; what is said beside it holds."""
    merged = dict(schema)
    for one in merged.pop("anyOf", ()):
        if one.get("type") != "null":
            merged = {**one, **merged}
    reference = merged.pop("$ref", "")
    return {**forms[reference.rpartition("/")[2]], **merged} if reference else merged
