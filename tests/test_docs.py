"""The pages lead somewhere, and the word for each decision is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exitway.names.call import Reason

ROOT = Path(__file__).parent.parent
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("bench/[!.]*/*.md"),
    *ROOT.glob("bench/*.md"),
    *ROOT.glob("decisions/*.md"),
]


def anchors(page: Path) -> Iterator[str]:
    """As GitHub makes them of headings."""
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_is_there(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not link.startswith("http"):
            name, _, anchor = link.partition("#")
            other = page.parent / name if name else page
            assert other.exists(), link
            assert not anchor or anchor in set(anchors(other)), link


def test_each_reason_is_in_the_table_of_reasons():
    _, _, part = (ROOT / "docs/concepts.md").read_text().partition("\n## Reasons\n")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", part.partition("\n## ")[0], re.MULTILINE)) == set(Reason)
