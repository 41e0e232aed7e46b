"""Patches. Pure.

``application/merge-patch+json`` is RFC 7386. ``application/apply-patch+yaml`` (server-side apply) makes the object what is applied: its
spec, labels and annotations are exactly those sent. There are no field managers, so two appliers of one object overwrite each other, as
two ``replace`` would.
Strategic merge patches are for built-in kinds, and are refused, as Kubernetes itself refuses them for custom resources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exitway.resources.form import mapping
from exitway.resources.resource import Json

MERGE_PATCH = "application/merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"


def patched(wire: Mapping[str, Any], patch: Mapping[str, Any]) -> Json:
    """The object after a merge patch. Its resourceVersion is expected only where the patch gives one."""
    merged = merge(wire, patch)
    if isinstance(merged.get("metadata"), dict):
        version = mapping(patch.get("metadata")).get("resourceVersion")
        merged["metadata"] = {**merged["metadata"], "resourceVersion": version}
    return merged


def merge(target: Any, patch: Mapping[str, Any]) -> Json:
    """RFC 7386, section 2: null removes, objects merge, anything else replaces."""
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value) if isinstance(value, Mapping) else value
    return result
