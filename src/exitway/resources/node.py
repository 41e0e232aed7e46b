"""YAML text to trees of nodes that know where they stand.

Built from libyaml's event stream, without recursion and without expanding anything, so that depth, size and time are bounded here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

import yaml

from exitway.resources.problem import MAX_PROBLEMS, Place, Problem, quoted
from exitway.resources.scalar import Scalar, described, scalar

MAX_DEPTH = 64
MAX_VALUES = 500_000

_QUOTE = "quote what is meant as a string"


@dataclass(slots=True)
class Node:
    """A value, and where it stands: a scalar at its own place, a collection at that of its key."""

    value: Scalar | dict[str, Node] | list[Node]
    at: tuple[int, int]
    """Line and column, from 1."""
    key: Node | None = None
    """Of a mapping that is being read: the key that waits for its value."""

    def child(self, step: str) -> Node | None:
        """The value under a key, or the item with an index."""
        if isinstance(self.value, dict):
            return self.value.get(step)
        if isinstance(self.value, list) and step.isdecimal() and len(step) < 10 and int(step) < len(self.value):
            return self.value[int(step)]
        return None


class Composer:
    """Reads one text; then ``problems`` says what is wrong with it."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._roots: list[Node] = []
        self._open: list[Node] = []
        self._values = 0

    def compose(self, text: str) -> list[Node]:
        """The top of each document that is not empty; none, if the text could not be read to its end."""
        try:
            for event in yaml.parse(text, Loader=yaml.CSafeLoader):
                if isinstance(event, yaml.NodeEvent):
                    self._begin(event)
                elif isinstance(event, yaml.CollectionEndEvent):
                    self._open.pop()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            context = f" ({error.context})" if error.context else ""
            hint = "indent with spaces, not with tabs" if mark and text[mark.index : mark.index + 1] == "\t" else ""
            self.report("EXW0001", f"not valid YAML: {error.problem}{context}", _at(mark), hint)
            return []
        except _Enough:
            return []
        return [root for root in self._roots if root.value is not None]

    def report(self, code: str, message: str, at: tuple[int, int], hint: str = "") -> None:
        """Add a problem."""
        self.problems.append(Problem(code, message, hint, place=Place(self.file, *at)))

    def _begin(self, event: yaml.NodeEvent) -> None:
        node = Node(None, _at(event.start_mark))
        node.value = self._value(event, node.at)
        self._attach(node)
        self._values += 1
        if isinstance(event, yaml.CollectionStartEvent):
            self._open.append(node)
        if len(self._open) > MAX_DEPTH:
            self._stop("EXW0010", f"nested more than {MAX_DEPTH} levels deep", node.at)
        if self._values > MAX_VALUES:
            self._stop("EXW0012", f"more than {MAX_VALUES} values in one file", node.at, "split it into several files")
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Enough

    def _value(self, event: yaml.NodeEvent, at: tuple[int, int]) -> Scalar | dict[str, Node] | list[Node]:
        anchor = event.anchor or ""
        if isinstance(event, yaml.AliasEvent):
            self.report("EXW0008", f"the alias {quoted(anchor)} is not allowed", at, "write the value out")
            return anchor
        if anchor:
            self.report(
                "EXW0008",
                f"the anchor {quoted(anchor)} is not allowed",
                at,
                "write the value out where it is used",
            )
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag is not None:
            self.report("EXW0009", f"the tag {quoted(event.tag)} is not allowed", at, _QUOTE)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, at)
        return {} if isinstance(event, yaml.MappingStartEvent) else []

    def _scalar(self, event: yaml.ScalarEvent, at: tuple[int, int]) -> Scalar:
        if event.style:
            return str(event.value)
        try:
            return scalar(event.value)
        except ValueError as error:
            self.report("EXW0011", str(error), at, _QUOTE)
            return str(event.value)

    def _attach(self, node: Node) -> None:
        """Put a node where it belongs: at the top, into a sequence, or into a mapping as its next key or value."""
        parent = self._open[-1] if self._open else None
        if parent is None:
            self._roots.append(node)
        elif isinstance(parent.value, list):
            parent.value.append(node)
        elif isinstance(parent.value, dict):
            parent.key = self._attach_to(parent.value, parent.key, node)

    def _attach_to(self, mapping: dict[str, Node], key: Node | None, node: Node) -> Node | None:
        """Take the node as a key, or as the value of the key that waited. Returns the key that waits now."""
        if key is None:
            self._check_key(node, mapping)
            return node
        if isinstance(node.value, dict | list):
            node.at = key.at
        if isinstance(key.value, str):
            mapping.setdefault(key.value, node)
        return None

    def _check_key(self, key: Node, siblings: dict[str, Node]) -> None:
        if not isinstance(key.value, str):
            self.report("EXW0007", f"a key must be a string, not {described(key.value)}", key.at, "quote it")
        elif key.value == "<<":
            self.report("EXW0008", 'the merge key "<<" is not allowed', key.at, "write the fields out")
        elif key.value in siblings:
            line = siblings[key.value].at[0]
            self.report(
                "EXW0006", f"duplicate key {quoted(key.value)}, already given in line {line}", key.at, "keep one"
            )

    def _stop(self, code: str, message: str, at: tuple[int, int], hint: str = "") -> NoReturn:
        self.report(code, message, at, hint)
        raise _Enough


class _Mark(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Enough(Exception):  # noqa: N818 - a signal: reading on is impossible, or helps nobody
    pass


def _at(mark: _Mark | None) -> tuple[int, int]:
    return (mark.line + 1, mark.column + 1) if mark else (0, 0)
