"""Findings for code scanning: SARIF 2.1.0 (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), what GitHub and GitLab read of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from exitway.analyze.catalogue import SEVERITIES
from exitway.analyze.finding import Finding, Severity
from exitway.resources.catalogue import CATALOGUE
from exitway.resources.problem import Place

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_PROJECT = "https://github.com/exitway/exitway"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def page(code: str) -> str:
    """Where more is said about a finding."""
    return f"{_PROJECT}/blob/main/docs/findings/{code}.md"


def sarif(findings: Sequence[Finding], version: str) -> dict[str, Any]:
    """The log of one run. Those that are ignored are there, as suppressed."""
    driver = {
        "name": "exitway",
        "version": version,
        "informationUri": _PROJECT,
        "rules": [_rule(code) for code in SEVERITIES],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": [_result(one) for one in findings]}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": CATALOGUE[code]},
        "helpUri": page(code),
        "help": {"text": f"{CATALOGUE[code]}: see {page(code)}"},
        "defaultConfiguration": {"level": _LEVELS[SEVERITIES[code]]},
    }


def _result(finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {"logicalLocations": [{"fullyQualifiedName": str(finding.about), "kind": "resource"}]}
    if finding.place.file not in ("", "<stdin>"):
        location["physicalLocation"] = _physical(finding.place)
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": list(SEVERITIES).index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.about}: {finding.message}. Hint: {finding.hint}."},
        "locations": [location],
        "partialFingerprints": {"finding/v1": f"{finding.about}:{finding.field}:{finding.code}"},
    }
    if finding.silenced:
        result["suppressions"] = [{"kind": "inSource"}]
    return result


def _physical(place: Place) -> dict[str, Any]:
    """A relative path stays one: it is relative to where the command ran, which in CI is the repository."""
    path = quote(place.file.removeprefix("./"))
    physical: dict[str, Any] = {"artifactLocation": {"uri": f"file://{path}" if path.startswith("/") else path}}
    if place.line:
        physical["region"] = {"startLine": place.line, "startColumn": place.column}
    return physical
