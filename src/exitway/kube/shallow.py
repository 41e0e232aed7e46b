"""JSON from the Kubernetes API, however deep somebody has nested it: it takes 10,000 levels where a kind keeps unknown fields, Python's reader fewer.

Who could not read an object would not see any other of its collection either. So what is too deep is read as null, which no kind means anything by.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

MOST_LEVELS = 200
"""More than any object has that means something, and fewer than Python reads."""
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[][{}]')


def read(content: bytes) -> Any:
    """The value. Raises ValueError: it is not JSON."""
    try:
        return json.loads(content)
    except RecursionError:
        return json.loads(b"".join(_shallow(content)))


def _shallow(content: bytes) -> Iterator[bytes]:
    level = done = 0
    for token in _TOKEN.finditer(content):
        if token[0] in b"[{":
            level += 1
            if level == MOST_LEVELS + 1:
                yield content[done : token.start()] + b"null"
        elif token[0] in b"]}":
            level -= 1
            if level == MOST_LEVELS:
                done = token.end()
    yield content[done:]
