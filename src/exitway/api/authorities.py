"""Whether the files of certificate authorities that rules name can be read: asked when a rule comes in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from exitway.proxy.authorities import read_authorities
from exitway.resources.intent import Intent
from exitway.resources.problem import Problem, quoted


def authority_faults(intents: Iterable[Intent]) -> Iterator[Problem]:
    """One problem for each target whose file cannot be read, or has no certificate in it."""
    for intent in intents:
        for index, target in enumerate(intent.to):
            for file in {port.ca_file for port in target.ports if port.ca_file}:
                try:
                    read_authorities(file)
                except ValueError as error:
                    message = f"certificate authorities {quoted(file)} cannot be read: {error}"
                    hint = "a file of certificates, PEM, that the server may read"
                    yield Problem("EXW0325", message, hint, f"spec.to[{index}].caFile")
