"""mitmproxy's allow-list: an addon, as its documentation suggests."""

from pathlib import Path

from mitmproxy import http

ALLOWED = frozenset(Path("/run/bench/allowed").read_text().split())


def request(flow: http.HTTPFlow) -> None:
    if flow.request.host not in ALLOWED:
        flow.response = http.Response.make(403)
