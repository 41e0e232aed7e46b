"""greeting.py HOST PORT: the first line of a server that speaks first; a failure if it takes longer than half a second."""

import socket
import sys
import time

begin = time.monotonic()
with socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=5) as stream, stream.makefile("rb") as lines:
    greeting = lines.readline().decode()
    assert time.monotonic() - begin < 0.5, "it waited"
    print(greeting)
