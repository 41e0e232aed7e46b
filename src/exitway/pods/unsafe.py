"""One thing that a pod asks for although it defeats the boundary."""

from __future__ import annotations

from dataclasses import dataclass

from exitway.names.cluster import UNSAFE, UNSAFE_PODS
from exitway.resources.problem import Problem


@dataclass(frozen=True, slots=True)
class Unsafe:
    """One thing that a pod asks for; ``word``: what the annotation calls it, empty if nothing can allow it."""

    word: str
    problem: Problem


def asks(word: str, code: str, message: str, field: str) -> Unsafe:
    """One that the annotation can allow, by this word."""
    hint = (
        f"do without, or give the pod the annotation {UNSAFE}: {word} in a namespace with the label {UNSAFE_PODS}=allowed, "
        "if its programs may get round its rules"
    )
    return Unsafe(word, Problem(code, message, hint, field))
