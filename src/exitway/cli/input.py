"""The files of ``-f``: found, read and made ready to be sent."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from exitway.names.words import listed
from exitway.resources.document import MAX_BYTES, Document, read_documents
from exitway.resources.problem import Place, Problem, Problems

SUFFIXES = (".yaml", ".yml", ".json")
"""Of the files that are read in a directory. A name may be no more, as for kubectl."""


def read_all(filenames: Sequence[str], namespace: str | None) -> tuple[list[Document], list[Problem]]:
    """The documents and the problems of all files. ``namespace``: the one that was asked for, if one was."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for filename in filenames:
        try:
            paths = _expand(filename)
        except Problems as bad:
            problems += bad.problems
            continue
        for path in paths:
            try:
                found = read_documents(_content(path), "<stdin>" if path == "-" else path)
            except Problems as bad:
                problems += bad.problems
            else:
                documents += found
                problems += [clash for document in found for clash in _clash(document, namespace)]
    return documents, problems


def _expand(filename: str) -> list[str]:
    """A directory's files, sorted: at least one; any other name as it is."""
    directory = Path(filename)
    with _legible(filename):
        if filename == "-" or not directory.is_dir():
            return [filename]
        if not (found := _within(directory)):
            below = [path for path in directory.iterdir() if path.is_dir() and _within(path)]
            raise Problems([nothing_in(filename, sorted(map(str, below)))])
        return found


def _within(directory: Path) -> list[str]:
    return sorted(str(path) for path in directory.iterdir() if path.name.endswith(SUFFIXES) and path.is_file())


def nothing_in(directory: str, below: Sequence[str]) -> Problem:
    """No file of a directory is read. That it has no rules is more than we know. ``below``: directories in it with files to be read."""
    message = f"nothing in this directory is named {', '.join(f'*{suffix}' for suffix in SUFFIXES)}"
    hint = f"directories in it are not read unless they are named: {listed(below)}" if below else ""
    return Problem("EXW0915", message, hint, place=Place(directory))


def _content(path: str) -> bytes:
    """The bytes; one more than may be read is enough to tell that there are too many."""
    with _legible(path):
        if path == "-":
            return sys.stdin.buffer.read(MAX_BYTES + 1)
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)


@contextmanager
def _legible(path: str) -> Iterator[None]:
    """What the system has against a file or a directory becomes a problem, and a name that none can have."""
    try:
        yield
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise Problems([Problem("EXW0911", f"the file cannot be read: {reason}", place=Place(path))]) from None


def _clash(document: Document, namespace: str | None) -> Iterator[Problem]:
    """The object's namespace is not the one that was asked for."""
    metadata = document.wire.get("metadata")
    own = metadata.get("namespace") if isinstance(metadata, dict) else None
    if own and namespace and own != namespace:
        sentence = f'the namespace from the provided object "{own}" does not match the namespace "{namespace}".'
        advice = f"You must pass '--namespace={own}' to perform this operation"
        yield Problem("EXW0912", f"{sentence} {advice}", place=document.place("metadata.namespace"))
