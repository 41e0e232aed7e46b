"""Requests that say one thing to one reader and another to the next."""

from __future__ import annotations

from exitway.attack.attempts.http import request, to_both
from exitway.attack.probe import Reached, Tries, Try, talk
from exitway.attack.target import Target


def wrong_certificate(target: Target) -> Tries:
    """B23. The proxy speaks TLS for the program, to a server that cannot prove its name."""
    return [Try("a request", talk, target.untrusted, target.tls, request(target.untrusted, target="/secret"))]


def redirections(target: Target) -> Tries:
    """B24. Whoever follows for the program must not get there, either."""
    goals = (
        f"http://{target.refused}/",
        f"http://{target.ipv4}/",
        "http://169.254.169.254/",
        f"http://127.0.0.1:{target.helper_port}/",
    )
    said: Tries = [
        Try(goal, talk, target.redirecting, target.http, request(target.redirecting, target=f"/redirect-to?url={goal}"))
        for goal in goals
    ]
    return [*said, Try("what follows", talk, target.refused, 80, request(target.refused))]


def smuggled_requests(target: Target) -> Tries:
    """B26. What one reader takes for a body, and another for the next request."""
    hidden = request(target.refused, target="/smuggled").decode()
    size = f"Content-Length: {len(hidden) + 5}"
    chunked = "Transfer-Encoding: chunked"

    def post(*lines: str, body: str) -> bytes:
        return request(target.allowed, *lines, method="POST", body=body)

    return to_both(
        target,
        {
            "CL.TE": post(size, chunked, body="0\r\n\r\n" + hidden),
            "TE.CL": post(chunked, "Content-Length: 4", body=f"{len(hidden):x}\r\n{hidden}\r\n0\r\n\r\n"),
            "TE.TE": post(chunked, "Transfer-Encoding: x", body="0\r\n\r\n" + hidden),
            "TE, odd case": post("Transfer-Encoding: xchunked", "Content-Length: 5", body="0\r\n\r\n" + hidden),
            "TE with a space": post("Transfer-Encoding : chunked", "Content-Length: 5", body="0\r\n\r\n" + hidden),
            "TE with a tab": post("Transfer-Encoding:\tchunked", "Content-Length: 5", body="0\r\n\r\n" + hidden),
            "two lengths": post("Content-Length: 0", f"Content-Length: {len(hidden)}", body=hidden),
            "a length with a sign": post(f"Content-Length: +{len(hidden)}", body=hidden),
            "bare line feeds": f"GET / HTTP/1.1\nHost: {target.allowed}\n\n{hidden}".encode(),
            "chunk extension": post(chunked, body=f"0;x=\n\r\n\r\n{hidden}"),
            "chunk size too large": post(chunked, body=f"ffffffffffffffff1\r\n{hidden}"),
            "body of a GET": request(target.allowed, "Content-Length: 0") + hidden.encode(),
            "pipelined": request(target.allowed) + hidden.encode(),
        },
    )


def paths(target: Target) -> Tries:
    """B27."""
    tricks = (
        "/open/../secret", "/open/%2e%2e/secret", "/open/%2E%2E/secret", "/open/.%2e/secret", "/open/..%2fsecret", "/open/%2e%2e%2fsecret",
        "/open%2f..%2fsecret", "/open/..%5csecret", "/open/..\\secret", "/open/..;/secret", "/open/..;x=1/secret", "/open/;/../secret",
        "//secret", "/open//../secret", "/open/./../secret", "/OPEN/x", "/Open/../secret", "/open", "/openx", "/open%2fx/../secret",
        "/open/%252e%252e/secret", "/open/%c0%ae%c0%ae/secret", "/%6fpen/../secret", "/secret?/open/", "/secret#/open/", "/secret;/open/",
        "/open/..%00/secret", "http://{0}/secret", "http://{0}/open/../secret", "*", "secret", "",
    )  # fmt: skip
    return [
        Try(
            path, talk, target.limited, target.limited_port, request(target.limited, target=path.format(target.limited))
        )
        for path in tricks
    ]


def methods(target: Target) -> Tries:
    """B28."""
    odd = ("POST", "DELETE", "TRACE", "CONNECT", "get", "GETX", "PROPFIND", "FOO", "OPTIONS", "HEAD")
    said: Tries = [
        Try(method, talk, target.limited, target.limited_port, request(target.limited, target="/open/x", method=method))
        for method in odd
    ]
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        said.append(Try(name, _override, name, target))
    return said


def _override(name: str, target: Target) -> bytes:
    answer = talk(target.limited, target.limited_port, request(target.limited, f"{name}: DELETE", target="/open/x"))
    if f'"{name.lower()}": "DELETE"'.encode() in answer:
        raise Reached(f"{name} arrived")
    return answer


def orders_to_proxies(target: Target) -> Tries:
    """B29."""
    elsewhere = f"{target.ipv4}:80"
    orders = {
        "x-envoy-original-dst-host": elsewhere,
        "x-envoy-original-host": target.refused,
        "x-envoy-original-path": f"http://{target.refused}/",
        "x-envoy-decorator-operation": target.refused,
        "x-envoy-upstream-alt-stat-name": target.refused,
        "x-envoy-internal": "true",
        "x-envoy-force-trace": "true",
        "x-envoy-upstream-rq-timeout-ms": "1",
        "x-forwarded-host": target.refused,
        "x-forwarded-proto": "https",
        "x-original-host": target.refused,
        "x-original-url": f"http://{target.refused}/",
        "x-upstream-https-proxy": f"http://{elsewhere}",
        "forwarded": f"host={target.refused}",
        "alt-used": target.refused,
    }
    every = request(target.allowed, *[f"{name}: {value}" for name, value in orders.items()])
    return to_both(
        target, {name: request(target.allowed, f"{name}: {value}") for name, value in orders.items()} | {"all": every}
    )
