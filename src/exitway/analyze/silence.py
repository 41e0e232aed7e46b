"""Findings that a rule's author knows of: ``exitway.dev/ignore-findings: EXW2012, EXW2020``, an annotation of the rule."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from exitway.analyze.catalogue import SEVERITIES, found
from exitway.analyze.finding import Finding
from exitway.names.key import Key
from exitway.resources.form import mapping
from exitway.resources.problem import quoted
from exitway.resources.resource import Resource

IGNORE = "exitway.dev/ignore-findings"
_OWN = "EXW2050"


def silenced(findings: Iterable[Finding], resources: Sequence[Resource]) -> Iterator[Finding]:
    """Those that their rule ignores are marked; codes that are none are findings themselves, which cannot be ignored."""
    ignored = {resource.key: _codes(resource) for resource in resources}
    for finding in findings:
        known = isinstance(finding.about, Key) and finding.code in ignored.get(finding.about, ())
        yield replace(finding, silenced=True) if known else finding
    for resource in resources:
        for code in ignored[resource.key]:
            if code not in SEVERITIES or code == _OWN:
                message = f"{IGNORE} names {quoted(code)}, which is no finding that could be ignored"
                hint = "codes by commas, as in EXW2012,EXW2020"
                yield found(_OWN, resource.key, message, hint, f"metadata.annotations[{IGNORE}]")


def _codes(resource: Resource) -> tuple[str, ...]:
    said = mapping(resource.wire.get("metadata") and resource.metadata.get("annotations")).get(IGNORE, "")
    return tuple(dict.fromkeys(filter(None, (word.strip() for word in str(said).split(",")))))
