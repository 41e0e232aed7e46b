"""Changes sent to the server, in one request: it takes all of them or none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from exitway.cli import problems
from exitway.cli.client import Refusal, Unreachable
from exitway.cli.target import Api
from exitway.resources.problem import Problem, Problems

if TYPE_CHECKING:  # it brings PyYAML, which `exitway delete TYPE NAME` can do without
    from exitway.resources.document import Document

Locate = Callable[[int, Problem], Problem]
"""Says of a problem which object of the request it is about."""


def read_files(
    ctx: click.Context, filenames: Sequence[str], namespace: str | None
) -> tuple[list[Document], list[Problem]]:
    """The documents of ``-f`` and the problems found in the files. There is at least one of either."""
    if not filenames:
        raise click.UsageError("filename not specified (see --filename or -f)")
    from exitway.cli.input import read_all

    documents, found = read_all(filenames, namespace)
    if not documents and all(problem.code == "EXW0004" for problem in found):
        raise Problems([Problem("EXW0914", f"nothing to {ctx.info_name}", "no object is in what -f names")])
    return documents, found


def placed(wire: Any, namespace: str) -> Any:
    """The object with its namespace, which is the given one unless it names its own."""
    metadata = wire.get("metadata") if isinstance(wire, dict) else None
    return {**wire, "metadata": {"namespace": namespace, **metadata}} if isinstance(metadata, dict) else wire


def submit(api: Api, body: dict[str, Any], located: Locate, found: Sequence[Problem] = ()) -> Any:
    """Send the changes and return the answer. Where the files have problems, send them only to learn of all the others.

    Raises:
        Problems: those found in the files, and those the server found, ``located``.
    """
    try:
        answer = api.change({**body, "dryRun": True} if found else body)
    except Refusal as refusal:
        causes = [problem if index is None else located(index, problem) for index, problem in refusal.causes]
        raise Problems([*found, *(causes or refusal.problems)]) from None
    except Unreachable:
        if not found:
            raise
    if found:
        raise Problems(list(found))
    return answer


def in_files(documents: Sequence[Document]) -> Locate:
    """Gives a problem of an object its place in the file that the object came from."""
    return lambda index, problem: problem.at(documents[index].place(problem.field))


def check_acknowledged(ctx: click.Context, answer: Any) -> None:
    """Warn of the proxies that have not acknowledged the change, and then end with 1."""
    for sentence in answer["unacknowledged"]:
        problems.warn(sentence)
    if answer["unacknowledged"]:
        ctx.exit(1)
