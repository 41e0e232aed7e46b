"""streams.py ALLOWED REFUSED: four requests on one HTTP/2 connection to the first; those in the middle are to the authority of the other."""

import sys

import httpx

allowed, refused = sys.argv[1:]
connections: set[object] = set()


def ask(what, authority, **request):
    answer = client.request(url=f"http://{allowed}/lab.Echo/Say", **request)
    connections.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
    return f"{what} {authority}: {answer.status_code}", answer


def call(authority):
    """A gRPC call: its message, or why there is none."""
    headers = {"host": authority, "content-type": "application/grpc", "te": "trailers"}
    said, answer = ask("call", authority, method="POST", headers=headers, content=b"\0\0\0\0\4said")
    status = answer.headers.get("grpc-status")
    denied = f" grpc-status {status}, {answer.headers['x-exitway-decision']}" if status else ""
    print(said, repr(answer.content[5:].decode()) + denied)


def get(authority):
    said, answer = ask("get", authority, method="GET", headers={"host": authority})
    print(said, answer.headers["x-exitway-decision"])


with httpx.Client(http1=False, http2=True, timeout=10) as client:
    call(allowed)
    call(refused)
    get(refused)
    call(allowed)
print("connections:", len(connections))
