"""However many are taken, one is left, and a client can send it."""

from itertools import product
from string import ascii_letters, ascii_lowercase, digits

import pytest

from exitway.explain.target import read_call
from exitway.names.example import name_in, path_in
from exitway.names.host import Host, patterns
from exitway.names.request import is_plain, path_matches

LETTERS = ascii_lowercase + digits
SHORT = [*LETTERS, *map("".join, product(LETTERS, LETTERS)), *map("".join, product(LETTERS, "-.", LETTERS))]


@pytest.mark.parametrize("wide", [Host(".example.com", wildcard=True), Host("-b.example.com", wildcard=True)])
@pytest.mark.parametrize("taken", ["", "*"])
def test_a_name_is_left_to_a_pattern(wide, taken):
    known = {wide, *(Host.parse(f"{taken}{end}{wide.suffix}") for end in ("www", "api", "other", *SHORT))}
    name = name_in(wide, known)
    assert next(one for one in patterns(name) if one in known) == wide
    assert read_call(f"https://{name}/").name == name


@pytest.mark.parametrize(
    "taken",
    [[], [""], ["", *LETTERS], ["", *(f"{letter}*" for letter in LETTERS)], ["", *(f"{c}*" for c in f"{ascii_letters}{digits}-._~!$&'()+,=:@")]],
)  # fmt: skip
@pytest.mark.parametrize("stem", ["/", "/p", "/p/.", "/a@b/"])
def test_a_path_is_left_to_a_prefix(stem, taken):
    narrower = [f"{stem}{end}" for end in taken]
    path = path_in(f"{stem}*", {f"{stem}*", *narrower})
    assert is_plain(path)
    assert path_matches(f"{stem}*", path)
    assert not any(path_matches(one, path) for one in narrower)
    assert read_call(f"http://a.example{path}").path == path
