"""Whether the files of certificate authorities that rules name can be read: asked when a rule comes in."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from exitway.proxy.authorities import read_authorities
from exitway.resources.intent import Intent
from exitway.resources.problem import Problem, quoted


def authority_faults(intents: Iterable[Intent]) -> Iterator[Problem]:
    """One problem for each target whose file cannot be read, or has no certificate in it."""
    faults: dict[object, str] = {}
    for intent in intents:
        for index, target in enumerate(intent.to):
            for file in {port.ca_file for port in target.ports if port.ca_file}:
                which = _which(file)
                if which not in faults:
                    faults[which] = _fault(file)
                if faults[which]:
                    message = f"certificate authorities {quoted(file)} cannot be read: {faults[which]}"
                    hint = "a file of certificates, PEM, that the server may read"
                    yield Problem("EXW0325", message, hint, f"spec.to[{index}].caFile")


def _fault(file: str) -> str:
    try:
        read_authorities(file)
    except ValueError as error:
        return str(error)
    return ""


def _which(file: str) -> object:
    """The same for all names of one file: reading is dear, and names are not."""
    try:
        found = os.stat(file)  # noqa: PTH116 - as proxy/authorities.py
    except (OSError, ValueError):
        return file
    return found.st_dev, found.st_ino
