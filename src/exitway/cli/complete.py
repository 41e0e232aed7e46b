"""What the shell offers while a command is typed.

It asks the server, quickly and silently: where none answers there is nothing to offer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click

Complete = Callable[[click.Context, click.Parameter, str], list[str]]

PATIENCE_SECONDS = 0.5


def words(*choice: str) -> Complete:
    """Completes one of some words."""
    return lambda _ctx, _param, incomplete: [word for word in choice if word.startswith(incomplete)]


def namespaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """The namespaces that have rules."""
    del param
    from exitway.cli.kind import paths
    from exitway.resources.kind_names import KIND_NAMES

    found = {item["metadata"]["namespace"] for item in _items(ctx, paths(KIND_NAMES, None))}
    return sorted(name for name in found if name.startswith(incomplete))


def resources(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """First a type, then the names of that type's resources that are not yet on the line."""
    from exitway.cli.kind import TYPES, find_kinds, paths

    given: Sequence[str] = ctx.params.get(param.name or "") or ()
    if not given:
        return [name for name in TYPES if name.startswith(incomplete)]
    try:
        kinds = find_kinds(given[0])
    except click.UsageError:
        return []
    found = {item["metadata"]["name"] for item in _items(ctx, paths(kinds, _option(ctx, "namespace")))}
    return sorted(name for name in found - set(given) if name.startswith(incomplete))


def _items(ctx: click.Context, collections: Sequence[str]) -> list[Any]:
    from exitway.cli.target import Target
    from exitway.resources.problem import Problems

    try:
        api = Target(*(_option(ctx, name) for name in ("server", "kubeconfig", "context"))).connect()
        return [
            item
            for path in collections
            for item in api.request("GET", path, patience_seconds=PATIENCE_SECONDS)["items"]
        ]
    except Problems:
        return []


def _option(ctx: click.Context, name: str) -> Any:
    """An option of the command, or of the group before it (which is not yet handed down while the shell completes)."""
    return ctx.params.get(name) or ctx.find_root().params.get(name)
