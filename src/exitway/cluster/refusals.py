"""What the API server says no with, in our words: problems, each of one of the objects that were sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exitway.kube.error import KubeError
from exitway.names.key import Key
from exitway.resources.problem import Problem

_CODED = re.compile(r"(EXW\d{4}) (.*?)(?: \(([^()]*(?:\([^()]*\)[^()]*)*)\))?\Z", re.DOTALL)
"""As our webhook writes a problem: code, sentence, and the hint in brackets (``api/status.py``)."""


def problems_of(error: KubeError, key: Key) -> list[Problem]:
    """What the API server, or a webhook behind it, has against an object."""
    details = error.status.get("details") or {}
    if error.code == 0:
        return [Problem("EXW1402", error.message, "`kubectl cluster-info` shows whether it can be reached")]
    if error.reason == "AlreadyExists":
        return [Problem("EXW0611", f"{key} already exists", "apply or replace changes it", "metadata.name")]
    if error.code == 404:
        return [_absent(key, details)]
    if error.reason == "Conflict":
        hint = "read it again, and make the change to what it is now"
        return [Problem("EXW0613", f"{key} has changed meanwhile: {error.message}", hint, "metadata.resourceVersion")]
    causes = [_problem(cause) for cause in details.get("causes") or ()]
    return [cause for cause in causes if cause.code] or [_whole(error, key)]


def _absent(key: Key, details: Mapping[str, Any]) -> Problem:
    if details.get("kind") == "namespaces":
        message = f"there is no namespace {key.namespace} in the cluster"
        return Problem("EXW1405", message, f"`kubectl create namespace {key.namespace}` makes it", "metadata.namespace")
    if not details.get("name"):
        return unknown_kind(key.group)
    hint = "`exitway get egressrules` lists what does"
    return Problem("EXW0612", f"{key} does not exist", hint, "metadata.name")


def unknown_kind(group: str) -> Problem:
    """The cluster has no definition of the group's kind."""
    return Problem(
        "EXW1404",
        f"the cluster does not know EgressRule of {group}",
        "Exitway's chart brings it: `helm install exitway`",
    )


def _problem(cause: Mapping[str, Any]) -> Problem:
    match = _CODED.match(str(cause.get("message") or ""))
    code, message, hint = match.groups() if match else ("", "", "")
    return Problem(code, message, hint or "", str(cause.get("field") or ""))


def _whole(error: KubeError, key: Key) -> Problem:
    hint = "`kubectl auth can-i --list` shows what you may do" if error.code in (401, 403) else ""
    return Problem("EXW1403", f"the API server refuses {key}: {error.message}", hint)
