"""converse.py URL: a WebSocket that stays for a while."""

import sys

from websockets.sync.client import connect

with connect(sys.argv[1], open_timeout=10) as stream:
    for said in ("hello", "x" * 100_000, "bye"):
        stream.send(said)
        assert stream.recv(10) == said
print("hello, bye")
