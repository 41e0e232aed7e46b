r"""What of an HTTP request a rule may speak of: its method, and its path.

Servers do not agree on what a path means: they decode it once or twice, drop dot segments, empty segments and parameters, before or after
they choose what to do. So where rules speak of paths, only those may leave that every server reads alike: the plain ones.

    plain       /  /v1/users  /v1/users/  /a%20b  /caf%C3%A9  /u/me@a.example
    not plain   //  /v1/../x  /v1/%2e%2e/x  /v1/%2Fx  /a\b  /a;b=1/c  /%61  /a%2525  /caf%c3%a9  /%C0%AE  *

In the terms of RFC 3986: an absolute path, normalised (section 6.2.2), without ``;``, of segments none of which is empty but the last, in
which only UTF-8 is percent-encoded, and no delimiter, ``%``, ``\`` or control character. Case matters.
"""

from __future__ import annotations

import re
from itertools import product

_LITERAL = r"[A-Za-z0-9_~!$&'()*+,=:@-]"  # what may stand in a segment as it is (RFC 3986, section 3.3), but for the dot and ";"
_EITHER = "!$&'()+,=:@"  # some clients encode these and some do not; servers make no difference ("*" cannot be written in a rule)
_ENCODED_ASCII = r"%(?:2[0-246-9A-C]|3[ACDE]|40|5[BDE]|60|7[BCD])"
_NEXT = "%[89AB][0-9A-F]"  # of a character in UTF-8, all but its first byte (RFC 3629, section 4)
_ENCODED_UTF_8 = (
    f"%(?:C[2-9A-F]|D[0-9A-F]){_NEXT}|%E0%[AB][0-9A-F]{_NEXT}|%E[1-9A-CEF]{_NEXT}{_NEXT}|%ED%[89][0-9A-F]{_NEXT}"
    f"|%F0%[9AB][0-9A-F]{_NEXT}{_NEXT}|%F[1-3]{_NEXT}{_NEXT}{_NEXT}|%F4%8[0-9A-F]{_NEXT}{_NEXT}"
)
_CHARACTER = f"(?:{_LITERAL}|{_ENCODED_ASCII}|{_ENCODED_UTF_8})"
_SEGMENT = rf"(?:\.{{0,2}}{_CHARACTER}(?:{_CHARACTER}|\.)*|\.{{3}}(?:{_CHARACTER}|\.)*)"

PLAIN = rf'(?:/|(?:/{_SEGMENT})+/?)(?:\?[!-"$-~]*)?'
"""A request target whose path is plain, in the syntax that RE2 and Python share, to be matched as a whole. Its query may be anything."""

UPPER_CASE = "[A-Z]+(?:-[A-Z]+)*"
"""A method that every server reads alike, to be matched as a whole."""


def _spellings(*names: str) -> tuple[str, ...]:
    """Headers as servers know them: to some (CGI, RFC 3875, section 4.1.18) ``_`` is ``-``."""
    return tuple(
        "".join(parts)
        for name in names
        for parts in product(*([part] if part != "-" else "-_" for part in re.split("(-)", name)))
    )


METHOD_OVERRIDES = _spellings("x-http-method-override", "x-http-method", "x-method-override")
"""Headers by which a client asks a server to take another method."""

PATH_OVERRIDES = _spellings("x-original-url", "x-original-uri", "x-rewrite-url", "x-forwarded-uri", "x-forwarded-path")
"""Headers that some servers take for the path (IIS, Symfony, Zend, proxies in front of them). Where rules speak of paths they are taken away."""


def is_plain(target: str) -> bool:
    """Whether the path of a request target (the target up to its query) is plain."""
    return re.fullmatch(PLAIN, target) is not None


def is_upper_case(method: str) -> bool:
    """Whether a method is written as those of HTTP are."""
    return re.fullmatch(UPPER_CASE, method) is not None


def path_matches(pattern: str, target: str) -> bool:
    """Whether the path of a request target is the pattern, or begins with it up to its ``*``."""
    path, stem = decoded(target.partition("?")[0]), decoded(pattern.removesuffix("*"))
    return path.startswith(stem) if pattern.endswith("*") else path == stem


def path_expression(pattern: str) -> str:
    """The same for RE2, of a path without its query; empty where the pattern's own characters will do."""
    stem = decoded(pattern.removesuffix("*"))
    if not set(stem) & set(_EITHER):
        return ""
    either = "".join(f"(?:[{c}]|%{ord(c):02X})" if c in _EITHER else re.escape(c) for c in stem)
    return either + (".*" if pattern.endswith("*") else "")


def decoded(path: str) -> str:
    """The one spelling of a path in which it is compared."""
    return path if "%" not in path else _ENCODED_EITHER.sub(lambda found: chr(int(found[1], 16)), path)


_ENCODED_EITHER = re.compile(f"%({'|'.join(f'{ord(c):02X}' for c in _EITHER)})")
