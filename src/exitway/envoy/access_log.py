"""What Envoy writes of each request and connection: one JSON line.

The keys are sorted, and ``z`` (what differs between two uses of one destination) is the last: two such lines have an equal beginning, so a
reader can pass over what it has seen without parsing it (``flows/access_log.py``). The path is without its query, which may hold secrets.
"""

from __future__ import annotations

from exitway.envoy.api import Json
from exitway.envoy.route import DECISION
from exitway.envoy.wire import extension

FIELDS = {
    "authority": "%REQ(:AUTHORITY)%",
    "chain": "%FILTER_CHAIN_NAME%",
    "decision": f"%RESP({DECISION})%",
    "destination": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "failure": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "flags": "%RESPONSE_FLAGS%",
    "protocol": "%PROTOCOL%",
    "sni": "%REQUESTED_SERVER_NAME%",
    "status": "%RESPONSE_CODE%",
    "workload": "%METADATA(LISTENER:exitway:id)%",
    "z": {
        "at": "%START_TIME(%Y-%m-%dT%H:%M:%S.%3fZ)%",
        "method": "%REQ(:METHOD)%",
        "path": "%PATH(NQ:PATH)%",
    },
}


def access_log(path: str) -> list[Json]:
    """Every request and connection, to a file."""
    return [
        extension(
            "envoy.access_loggers.file",
            "envoy.extensions.access_loggers.file.v3.FileAccessLog",
            path=path,
            log_format={"json_format": FIELDS},
        )
    ]
