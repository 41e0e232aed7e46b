"""Every finding has a page, and its example is what it says."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from exitway.analyze.catalogue import AREA, SEVERITIES
from exitway.analyze.examine import examine
from exitway.analyze.facts import Facts, Lookup, Use
from exitway.cli.rules import rules_of
from exitway.names.workload import Workload
from exitway.pods.held import captured_namespaces, pods_in
from exitway.resources.catalogue import CATALOGUE
from exitway.resources.document import read_documents

PAGES = Path(__file__).parents[2] / "docs/findings"
NOW = datetime(2027, 1, 1, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=90)
KNOWN: dict[str, dict[str, Any]] = {
    "EXW2032": {"use": Use(LONG_AGO, {"egress-rule/shop/old-partner": LONG_AGO})},
    "EXW2033": {"running": [Workload("shop", "checkout-1", {"app": "checkout"})]},
    "EXW2042": {"lookups": {"api.gone.example.com": Lookup(exists=False)}},
    "EXW2043": {"lookups": {"wiki.corp.example.com": Lookup(("10.9.8.7",))}},
    "EXW2044": {
        "lookups": {"api.weather.example.com": Lookup(("198.51.100.7",))},
        "tls": {"api.weather.example.com": True},
    },
}
"""What else must be known, so that there is something to find."""


def page(code):
    return (PAGES / f"{code}.md").read_text()


def examples(code):
    return re.findall(r"^```yaml\n(.*?)^```$", page(code), re.DOTALL | re.MULTILINE)


def findings(text, **known):
    documents = read_documents(text.encode(), "page.yml")
    ours = [one for one in documents if "/" in one.wire["apiVersion"]]
    of_kind = {kind: [one.wire for one in documents if one.wire["kind"] == kind] for kind in ("Namespace", "Pod")}
    namespaces = captured_namespaces(of_kind["Namespace"])
    facts = replace(Facts(NOW, namespaces=namespaces, pods=pods_in(of_kind["Pod"], namespaces)), **known)
    return examine(rules_of(ours, "default", conflicting=True).in_order(), facts)


def test_every_finding_has_a_page_and_every_page_a_finding():
    assert {path.stem for path in PAGES.glob("*.md")} == set(SEVERITIES)
    assert set(SEVERITIES) == {code for code in CATALOGUE if code[3:5] == AREA}


@pytest.mark.parametrize("code", SEVERITIES)
def test_the_example_of_a_page_is_found_to_be_that_and_nothing_else(code):
    found = findings(examples(code)[0], **KNOWN.get(code, {}))
    assert [one.code for one in found] == [code]
    assert all(one.message and one.hint and one.field for one in found)


@pytest.mark.parametrize("code", SEVERITIES)
def test_a_page_says_what_it_means_why_it_matters_and_how_to_mend_it(code):
    head, *rest = page(code).split("\n", 4)
    assert head == f"# {code}: {CATALOGUE[code]}"
    assert rest[1].startswith(f"Severity: {SEVERITIES[code]}. ")
    assert re.findall(r"^## (.*)", page(code), re.MULTILINE) == ["Example", "Why it matters", "How to mend it"]
