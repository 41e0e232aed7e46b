"""The text of a file to documents.

Strict where YAML is a trap for a policy language: plain scalars are read by the YAML 1.2 core schema (``22:22``, ``no``
and dates stay strings), and duplicate keys, keys that are not strings, anchors, aliases, merge keys and tags are
problems. JSON is read as the YAML that it is. Imports nothing heavy: the command line reads its files with it.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from exitway.resources.node import Composer, Node
from exitway.resources.problem import MAX_PROBLEMS, Place, Problem, Problems, quoted
from exitway.resources.scalar import described

MAX_BYTES = 4 * 1024 * 1024

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Outside YAML's character set (YAML 1.2.2, section 5.1)."""
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")
_LIST_FIELDS = frozenset({"apiVersion", "kind", "metadata", "items"})


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file, in its plain JSON form."""

    file: str
    wire: dict[str, Any]
    _root: Node

    def place(self, field: str) -> Place:
        """Where a field stands (``spec.ports[0].port``, ``metadata.labels[a.b/c]``); if absent, its nearest ancestor."""
        node = self._root
        for name, bracketed in _STEP.findall(field):
            child = node.child(name or bracketed)
            if child is None:
                break
            node = child
        return Place(self.file, *node.at)


def read_documents(text: bytes, file: str) -> list[Document]:
    """The objects of a file, those of a ``List`` one by one. Raises :class:`Problems` with everything that is wrong."""
    composer = Composer(file)
    roots = [item for root in composer.compose(_decoded(text, file)) for item in _items(root, composer)]
    if composer.problems:
        raise Problems(composer.problems[:MAX_PROBLEMS])
    if not roots:
        raise Problems([Problem("EXW0004", "there is nothing in it", place=Place(file, 1, 1))])
    return [Document(file, _plain(root), root) for root in roots]


def _items(root: Node, composer: Composer) -> Iterator[Node]:
    """The objects that a top stands for: itself, or the items of a ``List`` (as ``kubectl get -o yaml`` prints it)."""
    if not isinstance(root.value, dict):
        composer.report("EXW0005", f"a document must be a mapping, not {described(root.value)}", root.at)
        return
    kind = root.child("kind")
    if kind is None or not isinstance(kind.value, str) or not kind.value.endswith("List"):
        yield root
        return
    for name in sorted(root.value.keys() - _LIST_FIELDS):
        composer.report("EXW0013", f"unknown field {quoted(name)} of a {kind.value}", root.value[name].at)
    items = root.child("items")
    if items is None or not isinstance(items.value, list):
        composer.report("EXW0013", f"a {kind.value} must have a list of items", (items or root).at)
        return
    for item in items.value:
        yield from _items(item, composer)


def _decoded(text: bytes, file: str) -> str:
    """The text, without a byte order mark. Raises :class:`Problems` if it is too large, or not text."""
    if len(text) > MAX_BYTES:
        message = f"{len(text) / 2**20:.1f} MiB is more than the {MAX_BYTES // 2**20} MiB that a file may have"
        raise Problems([Problem("EXW0003", message, "split it into several files", place=Place(file))])
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise Problems([Problem("EXW0002", "not UTF-8 but UTF-16 text", "save it as UTF-8", place=Place(file, 1, 1))])
    try:
        decoded = text.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        place = _after(error.object[: error.start].decode(), file)
        raise Problems([Problem("EXW0002", "not text: invalid UTF-8", place=place)]) from None
    if unprintable := _UNPRINTABLE.search(decoded):
        place = _after(decoded[: unprintable.start()], file)
        raise Problems([Problem("EXW0002", f"not text: character U+{ord(unprintable[0]):04X}", place=place)])
    return decoded


def _after(before: str, file: str) -> Place:
    return Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _plain(node: Node) -> Any:
    """The JSON form. The composer has bounded the depth."""
    if isinstance(node.value, dict):
        return {key: _plain(value) for key, value in node.value.items()}
    if isinstance(node.value, list):
        return [_plain(item) for item in node.value]
    return node.value
