"""hold.py HOST PORT COUNT: opens so many connections, leaves them alone, and then says a word on each."""

import contextlib
import resource
import socket
import sys
import time

host, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
_, most = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
streams = [socket.create_connection((host, port), timeout=20) for _ in range(count)]
time.sleep(2)
answered = 0
for stream in streams:
    with contextlib.suppress(ConnectionError):
        stream.sendall(b"still here")
        answered += stream.recv(100) == b"still here"
print(answered, "said it back")
