"""Rules as they stand in a revision of git: ``REVISION:PATH``, a file or a directory, as ``git show`` names it."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterator

from exitway.cli.input import SUFFIXES, nothing_in
from exitway.resources.document import Document, read_documents
from exitway.resources.problem import Place, Problem, Problems

_OF_FILES = ("/", "./", "../")
"""What no revision begins with (git-check-ref-format, rules 1 and 6)."""


def is_revision(name: str) -> bool:
    """Whether git is asked for it. What lies in the working tree does not matter, for others may have put it there."""
    return ":" in name and not name.startswith(_OF_FILES)


def documents_of(name: str) -> tuple[list[Document], list[Problem]]:
    """The documents and the problems of what the name means. Raises :class:`Problems`: git does not know it."""
    documents: list[Document] = []
    problems: list[Problem] = []
    for file, identity in _files(name):
        try:
            documents += read_documents(_git(name, "cat-file", "--end-of-options", "blob", identity), file)
        except Problems as bad:
            problems += bad.problems
    return documents, problems


def _files(name: str) -> Iterator[tuple[str, str]]:
    """The files, each with its identity: the one that is meant, or those of a directory."""
    if _git(name, "cat-file", "-t", "--end-of-options", name).strip() != b"tree":
        yield name, name
        return
    top = name.rstrip("/")
    files: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)  # by directory
    for entry in (
        _git(name, "ls-tree", "-rz", "--full-tree", "--end-of-options", name).decode(errors="replace").split("\0")
    ):
        described, _, file = entry.partition("\t")
        if file.endswith(SUFFIXES) and described.split()[1] == "blob":
            files[file.rpartition("/")[0]].append((f"{top}/{file}", described.split()[2]))
    if "" not in files:
        raise Problems([nothing_in(name, [f"{top}/{directory}" for directory in sorted(files)])])
    yield from files[""]


def _git(name: str, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Problems(
            [Problem("EXW1811", "git is not installed, so it knows no revision", place=Place(name))]
        ) from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().removeprefix("fatal: ").splitlines()
        hint = "REVISION:PATH is as in `git show`, PATH from the top or from here with ./; a file's name with a : begins with ./"
        reason = f": {said[0]}" if said else ""
        raise Problems([Problem("EXW1811", f"git does not know it{reason}", hint, place=Place(name))]) from None
    return done.stdout
