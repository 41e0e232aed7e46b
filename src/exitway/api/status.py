"""Saying no: a Kubernetes ``Status`` (API conventions, "Response Status Kind") whose causes are our problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import JSONResponse

from exitway.resources.problem import Problem


@dataclass(frozen=True, slots=True)
class Cause:
    """A problem of one object of the request."""

    problem: Problem
    index: int = 0

    def json(self) -> dict[str, Any]:
        """``field``, ``reason`` and ``message`` are Kubernetes' own; kubectl prints the first and the last, so that the hint has to be in there too."""
        problem = self.problem
        return {"index": self.index, "field": problem.field, "reason": problem.code, "message": problem.message, "hint": problem.hint}


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The answer is no. Anything may raise it; the application makes a Status of it."""

    def __init__(self, code: int, reason: str, message: str, causes: Sequence[Cause] = (), **details: Any) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes, self.details = code, reason, message, causes, details

    def status(self) -> dict[str, Any]:
        """The Status object."""
        details = {**self.details, "causes": [cause.json() for cause in self.causes]}
        return failure_status(self.code, self.reason, self.message, details)


def failure_status(code: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A Status that says no."""
    known = {name: value for name, value in (details or {}).items() if value}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "details": known,
        "code": code,
    }


def failure(code: int, reason: str, message: str) -> JSONResponse:
    """The same as an answer."""
    return JSONResponse(failure_status(code, reason, message), code)


def invalid(causes: Sequence[Cause], kind: str = "", name: str = "", group: str = "") -> Refusal:
    """422: everything that is wrong with the objects."""
    lines = "; ".join(f"{cause.problem.field}: {cause.problem.message}".removeprefix(": ") for cause in causes)
    what = f'{kind}.{group} "{name}"' if kind else "the request"
    return Refusal(422, "Invalid", f"{what} is invalid: {lines}", causes, name=name, group=group, kind=kind)


def bad_request(message: str, causes: Sequence[Cause] = ()) -> Refusal:
    """400: the request cannot be understood."""
    return Refusal(400, "BadRequest", message, causes)
