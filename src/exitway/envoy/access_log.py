"""What Envoy writes of each request and connection, at its end and while it runs: one JSON line each.

Envoy sorts the keys. What differs between two uses of one destination is in ``z``, the last of them, so two such lines have an equal beginning,
and a reader counts what it has seen without parsing it (``flows/access_log.py``). ``z`` itself begins with what tells one connection or
request from all others, equal in every line of it; what was measured of it comes next, and then what the client has written. The path is without
its query, which may hold secrets. What others have written is cut, so that no line is long: no name has more than 253 characters.

https://www.envoyproxy.io/docs/envoy/v1.40.0/configuration/observability/access_log/usage
"""

from __future__ import annotations

from exitway.envoy.api import Json
from exitway.envoy.route import DECISION
from exitway.envoy.wire import extension

LISTENER_ID = "%METADATA(LISTENER:exitway:id)%"
"""Which workload it is, where the listener is that of one."""

FIELDS = {
    "access": "%ACCESS_LOG_TYPE%",
    "authority": "%REQ(:AUTHORITY):512%",
    "chain": "%FILTER_CHAIN_NAME%",
    "decision": f"%RESP({DECISION}):200%",
    "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "flags": "%RESPONSE_FLAGS%",
    "protocol": "%PROTOCOL%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "status": "%RESPONSE_CODE%",
    "workload": LISTENER_ID,
    "z": {
        "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "connection": "%CONNECTION_ID%",
        "from": "%UPSTREAM_LOCAL_ADDRESS%",
        "measured": "%DURATION% %DOWNSTREAM_WIRE_BYTES_RECEIVED% %DOWNSTREAM_WIRE_BYTES_SENT%",
        "method": "%REQ(:METHOD):32%",
        "path": "%PATH(NQ:PATH):8192%",
        "peer": "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%",
        "to": "%UPSTREAM_REMOTE_ADDRESS%",
    },
}

RUNNING_INTERVAL = "0.5s"
"""How long a request runs before it is told of, and how often from then on."""

LONG_SECONDS, LONG_PERCENT = 15, 5
"""From when on it is told of at random only: it has reached the outside by then, so it is known, unless a line was lost."""


def access_log(path: str, workload: str = LISTENER_ID) -> list[Json]:
    """Every request and connection, to a file. ``workload``: what says whose it is (a format string)."""
    return [
        extension(
            "envoy.access_loggers.file",
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=path,
            log_format={"json_format": FIELDS | {"workload": workload}},
        )
    ]


MARK = "/ready?mark="
"""What the admin interface is asked, with a word of one's own, for a line in the log: all that was logged before stands before it."""


def mark_log(path: str) -> Json:
    """Of all that the admin interface is asked, the marks, to the same file."""
    log = extension(
        "envoy.access_loggers.file",
        "envoy.extensions.access_loggers.file.v3.FileAccessLog",
        path=path,
        log_format={"json_format": {"access": "Mark", "mark": "%REQ(:PATH)%"}},
    )
    return log | {"filter": {"header_filter": {"header": {"name": ":path", "string_match": {"prefix": MARK}}}}}


def tcp_access_log(path: str, workload: str = LISTENER_ID) -> Json:
    """For a TCP proxy: a line when the connection outside stands, and one at the end."""
    return {"access_log": access_log(path, workload), "access_log_options": {"flush_access_log_on_connected": True}}


def http_access_log(path: str, workload: str = LISTENER_ID) -> Json:
    """For HTTP: a line at the end of each request, when an upgrade succeeds, and now and then while a request runs.

    None at the start: most requests are short, and each line has its price.
    """
    (log,) = access_log(path, workload)
    options = {"access_log_flush_interval": RUNNING_INTERVAL, "flush_log_on_tunnel_successfully_established": True}
    return {"access_log": [log | {"filter": _not_too_often()}], "access_log_options": options}


def _not_too_often() -> Json:
    milliseconds = {"default_value": LONG_SECONDS * 1000, "runtime_key": "exitway.long"}
    sampled = {
        "runtime_key": "exitway.long_told",
        "percent_sampled": {"numerator": LONG_PERCENT},
        "use_independent_randomness": True,
    }
    filters = [
        {"log_type_filter": {"types": ["DownstreamPeriodic"], "exclude": True}},
        {"duration_filter": {"comparison": {"op": "LE", "value": milliseconds}}},
        {"runtime_filter": sampled},
    ]
    return {"or_filter": {"filters": filters}}
