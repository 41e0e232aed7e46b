"""The fields of a line of Envoy's access log (``envoy/access_log.py``), each of the type that Envoy gives it. Pure.

The file is on a disk that may be full, and is written by a process that may be killed; so what is in it need not be a line.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from exitway.envoy import matcher
from exitway.flows.flow import is_stamp
from exitway.names.address import is_endpoint

_CHAINS = (matcher.HTTP, matcher.TLS, matcher.TCP, matcher.NAMED, matcher.DENY)
_TEXTS = ("authority", "decision", "details", "failure", "flags", "protocol", "sni")
_TEXTS_OF_THIS = ("method", "path", "peer")
_ENDS_OF_THIS = ("from", "to")
_STATUSES = range(1000)


class Unreadable(ValueError):  # noqa: N818 - it says what the line is
    """What is no line of Envoy's. The message is half a sentence: what is wrong with it."""


def fields_of(line: bytes) -> Mapping[str, Any]:
    """What it says, with the id of its workload, and nothing else looked at.

    Whatever bytes somebody has said to the proxy: what is no text becomes ``?``, and no line is lost for it.

    Raises:
        Unreadable: it is no JSON, or nobody's.
    """
    try:
        fields = json.loads(line.decode(errors="replace"))
        if b"\\ud" in line.lower():
            fields = json.loads(json.dumps(fields, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError) as error:
        raise Unreadable("it is no JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("workload"), str):
        raise Unreadable("it names no workload")
    return fields


def check(fields: Mapping[str, Any]) -> None:
    """All that a flow is made of. A field that is not there is one that Envoy says nothing of; the proxy may be older than we are.

    Raises:
        Unreadable: it is not what Envoy writes.
    """
    this = fields.get("z")
    if not isinstance(this, dict):
        raise Unreadable("it has no z")
    wrong = [name for name in _TEXTS if not isinstance(fields.get(name), str | None)]
    wrong += [name for name in _TEXTS_OF_THIS if not isinstance(this.get(name), str | None)]
    wrong += [name for name in _ENDS_OF_THIS if this.get(name) is not None and not _is_end(this[name])]
    wrong += [] if fields.get("chain") in _CHAINS else ["chain"]
    wrong += [] if _is_end(fields.get("destination")) else ["destination"]
    wrong += [] if _is_status(fields.get("status")) else ["status"]
    wrong += [] if is_stamp(this.get("at")) else ["at"]
    if wrong:
        raise Unreadable(f"of its fields this is not as it should be: {', '.join(wrong)}")


def _is_status(value: object) -> bool:
    return value is None or (type(value) is int and value in _STATUSES)


def _is_end(value: object) -> bool:
    """``address:port``."""
    return isinstance(value, str) and is_endpoint(value)
