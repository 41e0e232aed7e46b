"""What the commands can be asked for by name, and where the API serves it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from exitway.names.words import printable
from exitway.resources.kind_names import KIND_NAMES, KindName, kinds_called, without_hyphens
from exitway.resources.paths import collection

Kinds = tuple[KindName, ...]
"""What one word means: a kind, in each of its versions."""

TYPES = tuple(dict.fromkeys(kind.plural for kind in KIND_NAMES))


def find_kinds(word: str) -> Kinds:
    """What ``egressrule``, ``egressrules``, ``EgressRule`` or, of one group, ``egressrules.exitway.dev`` means."""
    if kinds := kinds_called(word):
        return kinds
    if plain := without_hyphens(word):
        raise click.UsageError(f'"{printable(word)}" not recognized. Please use non-hyphenated resource name "{plain}"')
    raise click.UsageError(f"configuration type {printable(word)} not found, the types are {', '.join(TYPES)}")


def kinds_and_names(arguments: Sequence[str], verb: str) -> tuple[Kinds, list[str]]:
    """Read ``TYPE NAME...``, or ``TYPE/NAME...`` as ``-o name`` prints it."""
    if not arguments:
        raise click.UsageError(f"specify the type of resource to {verb}. Types are {', '.join(TYPES)}")
    if "/" not in arguments[0]:
        return find_kinds(arguments[0]), list(arguments[1:])
    pairs = [argument.partition("/") for argument in arguments]
    if any(word != pairs[0][0] or not name for word, _, name in pairs):
        raise click.UsageError("give every name as TYPE/NAME, all of one type")
    return find_kinds(pairs[0][0]), [name for _, _, name in pairs]


def paths(kinds: Kinds, namespace: str | None) -> list[str]:
    """The collections of the kinds in the API, of one namespace or of all."""
    return [collection(kind, namespace or "") for kind in kinds]


def full_kind(wire: Mapping[str, Any]) -> str:
    """``EgressRule.v1alpha2.config.istio.io``."""
    group, _, version = str(wire["apiVersion"]).rpartition("/")
    return f"{wire['kind']}.{version}.{group}"
