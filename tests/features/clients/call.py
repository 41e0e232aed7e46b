"""call.py URL: gRPC on one channel: unary, server streaming, and a conversation in which each message waits for the answer before."""

import queue
import sys
from urllib.parse import urlsplit

import grpc


def converse(channel):
    asked: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    answers = channel.stream_stream("/lab.Echo/Chat")(iter(asked.get, None), timeout=10)
    for word in (b"one", b"two", b"three"):
        asked.put(word)
        yield next(answers).decode()
    asked.put(None)
    assert not list(answers)


url = urlsplit(sys.argv[1])
if url.scheme == "https":
    channel = grpc.secure_channel(url.netloc, grpc.ssl_channel_credentials())
else:
    channel = grpc.insecure_channel(url.netloc)
with channel:
    print(channel.unary_unary("/lab.Echo/Say")(b"said", timeout=10).decode())
    print(*[word.decode() for word in channel.unary_stream("/lab.Echo/Repeat")(b"said", timeout=10)])
    print(*converse(channel))
