"""Saying no: a Kubernetes ``Status`` (API conventions, "Response Status Kind") whose causes are our problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse

from exitway.resources.problem import Problem


@dataclass(frozen=True, slots=True)
class Cause:
    """A problem of one object of the request."""

    problem: Problem
    index: int = 0

    def json(self, *, hint_apart: bool) -> dict[str, Any]:
        """``field``, ``reason`` and ``message`` are Kubernetes' own. kubectl prints only field and message, so for it all stands in the message."""
        problem = self.problem
        if hint_apart:
            return {
                "index": self.index,
                "field": problem.field,
                "reason": problem.code,
                "message": problem.message,
                "hint": problem.hint,
            }
        sentence = f"{problem.code} {problem.message}" + (f" ({problem.hint})" if problem.hint else "")
        return {"field": problem.field, "reason": problem.code, "message": sentence}


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """The answer is no. Anything may raise it; the application makes a Status of it."""

    def __init__(self, code: int, reason: str, message: str, causes: Sequence[Cause] = (), **details: Any) -> None:
        super().__init__(message)
        self.code, self.reason, self.message, self.causes, self.details = code, reason, message, causes, details

    def status(self, *, hints_apart: bool) -> dict[str, Any]:
        """The Status object; ``hints_apart``: as our own commands want its causes, with index and hint."""
        causes = [cause.json(hint_apart=hints_apart) for cause in self.causes]
        message = self.message
        if self.reason == "Invalid" and not hints_apart:  # where kubectl shows the message, it does not show the causes
            message = "".join(f"\n* {cause['field']}: {cause['message']}" for cause in causes)
        return failure_status(self.code, self.reason, message, {**self.details, "causes": causes})


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


def invalid(causes: Sequence[Cause]) -> Refusal:
    """422: everything that is wrong with the objects."""
    return Refusal(422, "Invalid", "; ".join(str(cause.problem) for cause in causes), causes)


def bad_request(message: str, causes: Sequence[Cause] = ()) -> Refusal:
    """400: the request cannot be understood."""
    return Refusal(400, "BadRequest", message, causes)
