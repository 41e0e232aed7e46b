"""What a plain path is, said without the expression that Envoy gets."""

import re
import string
from urllib.parse import quote, unquote_to_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exitway.names.request import METHOD_OVERRIDES, is_plain, path_expression, path_matches

UNRESERVED = string.ascii_letters + string.digits + "-._~"
PIECES = st.one_of(
    st.sampled_from(["/", ".", "..", "//", "%", "%2", "%2e", "%2E", "%2F", "%5C", ";", "\\", "?", "#", "%41", "%40", "@", "%20", "%3B", "%00", "%7F", "%C3%A9"]),
    st.integers(0, 255).map("%{:02X}".format),
    st.characters(max_codepoint=0x2FF),
    st.text(min_size=1, max_size=2).filter(lambda text: text.isprintable()).map(lambda text: quote(text, safe="")),
)  # fmt: skip
TARGETS = st.lists(PIECES, max_size=6).map(lambda pieces: "/" + "".join(pieces))


def plain(target):
    """RFC 3986 says the path is one, it is in normal form (6.2.2), and nothing in it can be taken for a delimiter."""
    path = target.partition("?")[0]
    if not target.isascii() or not target.isprintable() or " " in target or "#" in target:
        return False
    if re.search("[^" + re.escape(UNRESERVED + "!$&'()*+,=:@%/") + "]", path) or re.search("%(?![0-9A-F]{2})", path):
        return False
    encoded = "".join(chr(int(code, 16)) for code in re.findall("%(..)", path))
    if any(c in UNRESERVED + "/;\\?#%" or ord(c) < 32 or ord(c) == 127 for c in encoded):
        return False
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return False
    first, *segments = path.split("/")
    return (
        first == "" and bool(segments) and not {"", ".", ".."} & set(segments[:-1]) and segments[-1] not in (".", "..")
    )


@given(TARGETS)
@example("")
@example("*")
@example("/")
@example("/%C0%AE/x")
@example("/%ED%A0%80")
@example("/%F4%90%80%80")
def test_a_path_is_plain_if_every_server_reads_it_alike(target):
    assert is_plain(target) == plain(target)


@given(st.binary(min_size=1, max_size=4).map(lambda data: "/" + "".join(map("%{:02X}".format, data))))
def test_what_is_encoded_is_utf_8(target):
    assert is_plain(target) == plain(target)


PATTERNS = st.builds(
    "/{}{}".format,
    st.text("ab@:%~.", max_size=4).map(lambda text: text.replace("%", "%40")),
    st.sampled_from(["", "*"]),
)


@given(PATTERNS, st.text("ab@:%~./", max_size=6).map(lambda text: "/" + text.replace("%", "%40")))
@example("/a@*", "/a%40b")
@example("/a%40", "/a@?q=/b")
def test_the_expression_for_the_proxy_matches_what_the_pattern_does(pattern, target):
    path, expression = target.partition("?")[0], path_expression(pattern)
    if not expression:
        matched = path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern
    else:
        matched = re.fullmatch(expression, path) is not None
    assert matched == path_matches(pattern, target)


def test_an_override_is_known_however_its_words_are_joined():
    assert len(METHOD_OVERRIDES) == len(set(METHOD_OVERRIDES)) == 16
    assert {"x-http-method-override", "x_http_method", "x-method_override"} < set(METHOD_OVERRIDES)


@pytest.mark.parametrize(
    "target", ["/a.b", "/a..b", "/...", "/.well-known/x", "/a/", "/v1/x:batch", "/%7B%22%7D", "/$a,b=(c)!"]
)
def test_what_clients_commonly_send_is_plain(target):
    assert is_plain(target)
