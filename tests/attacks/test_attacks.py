"""Every technique of the table, from inside a sealed workload; the lab's witness decides. And each without the boundary: it must be seen."""

import re
from pathlib import Path

import pytest

from exitway.attack.catalogue import ROWS

pytestmark = pytest.mark.lab

TRIED = [row.id for row in ROWS.values() if row.attempts]
LIMITS = Path(__file__).parents[2] / "docs/limits.md"


def test_the_table_has_every_id_once_and_each_row_is_stopped_or_documented():
    expected = [
        f"{area}{number}"
        for area, count in {"A": 25, "B": 29, "C": 13, "D": 15}.items()
        for number in range(1, count + 1)
    ]
    assert list(ROWS) == expected
    headings = {
        re.sub(r"[^-a-z0-9_ ]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in LIMITS.read_text().splitlines()
        if line.startswith("#")
    }
    for row in ROWS.values():
        assert bool(row.by) != bool(row.documented)
        assert not row.documented or row.anchor in headings
        assert row.attempts or row.untried or row.documented


@pytest.mark.parametrize("identity", TRIED)
def test_nothing_but_what_is_allowed_gets_out(boundary, identity):
    before = boundary.server.status()["proxy"]
    outcome, leaked = boundary.attack(boundary.sealed, ROWS[identity])
    assert not outcome.reached, outcome
    assert not leaked, outcome.saw
    assert boundary.server.status()["proxy"] == before


@pytest.mark.parametrize("identity", [identity for identity in TRIED if not ROWS[identity].no_control])
def test_without_the_boundary_the_witness_sees_it(boundary, identity):
    outcome, leaked = boundary.attack(boundary.free, ROWS[identity])
    assert leaked or outcome.reached, outcome.saw
