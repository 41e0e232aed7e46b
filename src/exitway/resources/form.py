"""The form of what people write: which fields there are, and of which type. What a kind means by them is checked in its own file.

Both are checked on the same wire form and reported together, so the checks of meaning pass over what has the wrong type:
:func:`mapping`, :func:`mappings` and :func:`strings` show them only what has the right one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from exitway.resources.problem import MAX_PROBLEMS, Problem, quoted
from exitway.resources.scalar import described

_TYPES = {
    "string_type": "a string",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_LONGEST_WORD = 64
_MANY = 10_000
"""Errors."""
_PLAIN_STEP = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class Form(BaseModel):
    """Strict (no value is converted), frozen, and without room for unknown fields."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


AnyForm = TypeVar("AnyForm", bound=Form)


def read_form(form: type[AnyForm], wire: Mapping[str, Any]) -> tuple[AnyForm | None, list[Problem]]:
    """The form, or all that is wrong with it."""
    try:
        # Strict Python mode would refuse a list for a tuple; strict JSON mode does not.
        return form.model_validate_json(json.dumps(wire)), []
    except ValidationError as error:
        return None, _problems(form, error) if error.error_count() <= _MANY else _first_problems(form, wire, error)
    except RecursionError:
        return None, [Problem("EXW0010", "nested too deep")]


def _problems(form: type[Form], error: ValidationError) -> list[Problem]:
    return [_problem(form, details) for details in error.errors(include_url=False)[:MAX_PROBLEMS]]


def _first_problems(form: type[Form], wire: Mapping[str, Any], many: ValidationError) -> list[Problem]:
    """Of so many that to tell them all would take long, and all else would wait for it: those at the beginning of lists."""
    try:
        form.model_validate_json(json.dumps(_shortened(wire)))
    except ValidationError as error:
        return _problems(form, error)
    message = f"{many.error_count()} values are wrong, none of them among the first {MAX_PROBLEMS} of their lists"
    return [Problem("EXW0104", message)]


def _shortened(wire: Any) -> Any:
    if isinstance(wire, dict):
        return {name: _shortened(value) for name, value in wire.items()}
    return [_shortened(one) for one in wire[:MAX_PROBLEMS]] if isinstance(wire, list) else wire


def field_path(steps: tuple[str | int, ...]) -> str:
    """``spec.ports[0].port``; a key that is not a plain word stands in brackets, as in ``metadata.labels[a.b/c]``."""
    path = ""
    for step in steps:
        if isinstance(step, str) and _PLAIN_STEP.match(step):
            path += f".{step}" if path else step
        else:
            path += f"[{step}]"
    return path


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower()[:_LONGEST_WORD], lower, n=1)
    return lower[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint for a word that is not known: the closest one that is, or all of them."""
    meant = closest(word, known)
    return f"did you mean {meant}?" if meant else f"known are {', '.join(known)}"


def mapping(wire: Any) -> Mapping[str, Any]:
    """The value, if it is a mapping; else an empty one."""
    return wire if isinstance(wire, dict) else {}


def mappings(wire: Any) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The mappings in a list, with their indexes."""
    return ((i, item) for i, item in enumerate(wire if isinstance(wire, list) else ()) if isinstance(item, dict))


def strings(wire: Any) -> Iterator[tuple[int, str]]:
    """The strings in a list, with their indexes."""
    return ((i, item) for i, item in enumerate(wire if isinstance(wire, list) else ()) if isinstance(item, str))


def _problem(form: type[Form], error: ErrorDetails) -> Problem:
    steps, sort, value = error["loc"], error["type"], error["input"]
    field = field_path(steps)
    if sort == "extra_forbidden":
        return Problem(
            "EXW0101", f"unknown field {field}", did_you_mean(str(steps[-1]), _fields(form, steps[:-1])), field
        )
    if sort == "missing":
        return Problem("EXW0102", f"{field} is missing", field=field)
    if sort == "literal_error":
        known = [word.strip("'") for word in re.split(", | or ", error["ctx"]["expected"])]
        return Problem("EXW0109", f"{field} must not be {quoted(str(value))}", did_you_mean(str(value), known), field)
    expected = _TYPES.get(sort)
    if expected is None:
        return Problem("EXW0104", f"{field or 'the object'}: {error['msg']}", field=field)
    return Problem("EXW0104", f"{field} must be {expected}, not {described(value)}", _type_hint(sort, value), field)


def _type_hint(sort: str, value: Any) -> str:
    if value is None:
        return "leave the field out, or give it a value"
    if sort == "string_type" and not isinstance(value, dict | list):
        return "put it in quotes"
    if isinstance(value, str) and sort in ("int_type", "bool_type"):
        return "write it without quotes"
    return ""


def _fields(form: type[Form], steps: tuple[str | int, ...]) -> list[str]:
    """The fields that are known at a place in a form."""
    for step in steps:
        if isinstance(step, str):
            form = _form_in(form.model_fields[step].annotation) or form
    return list(form.model_fields)


def _form_in(annotation: Any) -> type[Form] | None:
    if isinstance(annotation, type) and issubclass(annotation, Form):
        return annotation
    return next(filter(None, map(_form_in, get_args(annotation))), None)
