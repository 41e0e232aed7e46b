"""Where an API has the objects of a kind: that of one machine and that of a cluster alike."""

from __future__ import annotations

from urllib.parse import quote

from exitway.names.key import Key
from exitway.resources.kind_names import KindName, kind_of


def collection(kind: KindName, namespace: str = "") -> str:
    """The path of those of a namespace, or of all."""
    where = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
    return f"/apis/{kind.api_version}{where}/{kind.plural}"


def collection_of(key: Key) -> str:
    """The path of the objects of its kind, in its namespace."""
    return collection(kind_of(key), key.namespace)


def path_of(key: Key) -> str:
    """The path of the object."""
    return f"{collection_of(key)}/{quote(key.name, safe='')}"
