"""What the API server says no with, in our words: problems, each of one of the objects that were sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from exitway.api.plan import absent, overtaken, present
from exitway.kube.error import KubeError
from exitway.names.key import Key
from exitway.resources.problem import Problem

_CODED = re.compile(r"(EXW\d{4}) (.*?)(?: \(([^()]*(?:\([^()]*\)[^()]*)*)\))?\Z", re.DOTALL)
"""As our webhook writes a problem: code, sentence, and the hint in brackets (``api/status.py``)."""


def problems_of(error: KubeError, key: Key) -> list[Problem]:
    """What the API server, or a webhook behind it, has against an object."""
    details = error.status.get("details") or {}
    if error.code == 0:
        return [whole(error)]
    if error.reason == "AlreadyExists":
        return [present(key)]
    if error.code == 404:
        return [_absent(key, details)]
    if error.reason == "Conflict":
        return [overtaken(f"{key} has changed meanwhile: {error.message}")]
    causes = [_problem(cause) for cause in details.get("causes") or ()]
    return [cause for cause in causes if cause.code] or [whole(error, f" {key}")]


def _absent(key: Key, details: Mapping[str, Any]) -> Problem:
    if details.get("kind") == "namespaces":
        message = f"there is no namespace {key.namespace} in the cluster"
        return Problem("EXW1405", message, f"`kubectl create namespace {key.namespace}` makes it", "metadata.namespace")
    if not details.get("name"):
        return unknown_kind(f" of {key.group}")
    return absent(key)


def unknown_kind(more: str) -> Problem:
    """The cluster has no definition of the kind; ``more``: of which group, or what it says itself."""
    hint = "Exitway's chart brings it: `helm install exitway`"
    return Problem("EXW1404", f"the cluster does not know EgressRule{more}", hint)


def _problem(cause: Mapping[str, Any]) -> Problem:
    match = _CODED.match(str(cause.get("message") or ""))
    code, message, hint = match.groups() if match else ("", "", "")
    return Problem(code, message, hint or "", str(cause.get("field") or ""))


def whole(error: KubeError, what: str = "") -> Problem:
    """Nobody answers, or the answer is no (``what``: to what), for a reason that is only the API server's."""
    if error.code == 0:
        return Problem("EXW1402", error.message, "`kubectl cluster-info` shows whether it can be reached")
    hint = "`kubectl auth can-i --list` shows what you may do" if error.code in (401, 403) else ""
    return Problem("EXW1403", f"the API server refuses{what}: {error.message}", hint)
