"""Small conventions of the Kubernetes API: what a path fills in, dry runs, preconditions of a deletion, warnings, content negotiation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.requests import Request

from exitway.api.status import Refusal, bad_request
from exitway.resources.form import mapping
from exitway.resources.kind_names import KindName
from exitway.resources.resource import Json, Resource
from exitway.store.change import Delete


def placed(kind: KindName, path: Mapping[str, str], wire: Json) -> Json:
    """The object with what its path says filled in. ``path`` has ``namespace``, and ``name`` where the path names one object.

    Raises:
        Refusal: the object says something else.
    """
    given = wire.get("metadata", {})
    if not isinstance(given, dict):
        raise bad_request("metadata is not an object")
    said = {"apiVersion": kind.api_version, "kind": kind.kind, **wire}
    said["metadata"] = {
        **path,
        **{name: value for name, value in given.items() if name not in path or value not in (None, "")},
    }
    expected = {"apiVersion": kind.api_version, "kind": kind.kind}
    pairs = [(field, said[field], value) for field, value in expected.items()]
    pairs += [(f"metadata.{field}", said["metadata"][field], value) for field, value in path.items()]
    for field, value, in_path in pairs:
        if value != in_path:
            raise bad_request(f"{field} is {str(value)[:200]!r} in the object, and {in_path!r} in the path")
    return said


def is_dry_run(request: Request, options: Any = None) -> bool:
    """Whether ``dryRun=All`` stands in the query or in the options of the body."""
    in_body = mapping(options).get("dryRun")
    asked = [*request.query_params.getlist("dryRun"), *(in_body if isinstance(in_body, list) else [])]
    if any(value != "All" for value in asked):
        raise bad_request("dryRun can only be All")
    return bool(asked)


def deletion(resource: Resource, options: Any) -> Delete:
    """The deletion of a resource under the preconditions of DeleteOptions.

    Raises:
        Refusal: Conflict; it is not the object that was meant.
    """
    preconditions = mapping(mapping(options).get("preconditions"))
    if preconditions.get("uid") not in (None, resource.metadata["uid"]):
        raise Refusal(409, "Conflict", f"{resource.key} has another uid than the precondition")
    return Delete(resource.key, str(preconditions.get("resourceVersion") or ""))


def warning_header(sentences: Sequence[str]) -> dict[str, str]:
    """Sentences as a ``Warning`` header (RFC 7234, section 5.5), which kubectl prints."""
    plain = (" ".join(sentence.split()).encode("ascii", "replace").decode() for sentence in sentences)
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in plain)
    return {"warning": ", ".join(f'299 - "{text}"' for text in quoted)} if sentences else {}


def wants_table(request: Request) -> bool:
    """Whether the client prefers the server's columns (``Accept: application/json;as=Table;v=v1;g=meta.k8s.io``)."""
    first = request.headers.get("accept", "").partition(",")[0].replace(" ", "")
    return "as=Table" in first.split(";") and "v=v1" in first.split(";")
