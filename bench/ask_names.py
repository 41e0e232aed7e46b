"""ask_names.py COUNT, inside a sealed workload: says what it did after each line of stdin: nothing; ask for so many names; fetch from each."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Awaitable, Callable

COUNT = int(sys.argv[1])
AT_ONCE = 32
REQUEST = "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n"


async def ask(name: str) -> bool:
    loop = asyncio.get_running_loop()
    return bool(await loop.getaddrinfo(name, 80, family=socket.AF_INET, type=socket.SOCK_STREAM))


async def fetch(name: str) -> bool:
    reader, writer = await asyncio.open_connection(name, 80, family=socket.AF_INET)
    writer.write(REQUEST.format(name).encode())
    answer = await reader.read()
    writer.close()
    return answer.startswith(b"HTTP/1.1 200 ")


async def each(do: Callable[[str], Awaitable[bool]]) -> dict[str, float]:
    """``do`` for every name, some at a time."""
    names = iter(f"name{number}.bench.test" for number in range(COUNT))
    failed = 0

    async def work() -> None:
        nonlocal failed
        for name in names:
            try:
                failed += not await do(name)
            except OSError:
                failed += 1

    begin = time.monotonic()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return {"failed": failed, "seconds": round(time.monotonic() - begin, 1)}


def main() -> None:
    for do in (None, ask, fetch):
        sys.stdin.readline()
        print(json.dumps({"failed": 0, "seconds": 0} if do is None else asyncio.run(each(do))), flush=True)


main()
