"""Lying about the name in HTTP/1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from exitway.attack.probe import Tries, Try, talk
from exitway.attack.target import Target


def request(host: str, *lines: str, target: str = "/", method: str = "GET", body: str = "") -> bytes:
    """A request; each line is a header, as it stands."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", *lines, "", body]).encode("latin-1")


def to_both(target: Target, requests: Mapping[str, bytes | str]) -> Tries:
    """Each request to the allowed site's address, and to the refused one's. Text: as the Host of a usual request."""
    return [
        Try(f"{what}, at {'an allowed' if at == target.allowed else 'a refused'} name", talk, at, target.http, said)
        for what, text in requests.items()
        for said in [request(text) if isinstance(text, str) else text]
        for at in (target.allowed, target.refused)
    ]


def host_at_other_address(target: Target) -> Tries:
    """B2."""
    return [
        Try("HTTP/1.1", talk, target.ipv4, target.http, request(target.allowed)),
        Try("HTTP/1.1 over IPv6", talk, target.ipv6, target.http, request(target.allowed)),
        Try("another port", talk, target.ipv4, 8080, request(target.allowed)),
    ]


def connect(target: Target) -> Tries:
    """B3, B22. What follows a CONNECT is not looked at by whoever thinks that it has been decided."""
    hidden = request(target.refused)
    return to_both(
        target,
        {
            f"CONNECT {name} port {port}": request(f"{name}:{port}", target=f"{name}:{port}", method="CONNECT") + hidden
            for name, port in (
                (target.allowed, target.tls),
                (target.allowed, 22),
                (target.refused, 443),
                (target.ipv4, 443),
            )
        },
    )


def ssh_in_tunnel(target: Target) -> Tries:
    """B22."""
    tunnel = request(f"{target.allowed}:443", target=f"{target.allowed}:443", method="CONNECT")
    return [
        Try("SSH after CONNECT", talk, target.allowed, target.http, tunnel, b"SSH-2.0-x\r\n"),
        Try("SSH on the port of TLS", talk, target.allowed, target.tls, b"SSH-2.0-x\r\n"),
        Try("SSH on the port of HTTP", talk, target.allowed, target.http, b"SSH-2.0-x\r\n"),
        Try("SSH to a refused name", talk, target.refused, 443, b"SSH-2.0-x\r\n"),
    ]


def absolute_form(target: Target) -> Tries:
    """B7. RFC 9112, section 3.2.2: the URI counts, not the Host."""
    refused, allowed = target.refused, target.allowed
    return to_both(
        target,
        {
            "refused URI, allowed Host": request(allowed, target=f"http://{refused}/"),
            "allowed URI, refused Host": request(refused, target=f"http://{allowed}/"),
            "https URI": request(allowed, target=f"https://{refused}/"),
            "ftp URI": request(allowed, target=f"ftp://{refused}/"),
            "URI without a scheme": request(allowed, target=f"//{refused}/"),
            "URI without a slash": request(allowed, target=f"http:{refused}"),
        },
    )


def malformed_host(target: Target) -> Tries:
    """B8."""
    allowed, refused = target.allowed, target.refused
    return to_both(
        target,
        {
            "two Hosts": request(allowed, f"Host: {refused}"),
            "two Hosts, the other way": request(refused, f"Host: {allowed}"),
            "folded": request(allowed, f" {refused}"),
            "folded, empty first line": request("", f" {refused}"),
            "space before the colon": request(allowed, f"Host : {refused}"),
            "space before the name": f"GET / HTTP/1.1\r\n Host: {refused}\r\nHost: {allowed}\r\n\r\n".encode(),
            "tab in the name": request(allowed, f"\tHost: {refused}"),
            "bare carriage return": request(f"{allowed}\rHost: {refused}"),
            "two in one": f"{allowed}, {refused}",
            "none, HTTP/1.0": b"GET / HTTP/1.0\r\n\r\n",
            "none, HTTP/1.1": b"GET / HTTP/1.1\r\n\r\n",
            "empty": "",
            "HTTP/0.9": b"GET /\r\n",
        },
    )


def userinfo(target: Target) -> Tries:
    """B9."""
    allowed, refused = target.allowed, target.refused
    return to_both(
        target,
        {
            "Host": f"{allowed}@{refused}",
            "Host with a password": f"{allowed}:80@{refused}",
            "URI": request(allowed, target=f"http://{allowed}@{refused}/"),
            "URI with a password": request(allowed, target=f"http://{allowed}:80@{refused}:80/"),
            "backslash": request(allowed, target=f"http://{refused}\\@{allowed}/"),
            "fragment": f"{refused}#{allowed}",
            "question mark": f"{refused}?{allowed}",
        },
    )


def port_in_host(target: Target) -> Tries:
    """B10."""
    allowed, refused = target.allowed, target.refused
    said: Tries = [
        Try(f"port {port}, Host {host}", talk, allowed, port, request(host))
        for port, host in ((8000, f"{allowed}:{target.http}"), (8080, f"{allowed}:{target.http}"), (22, allowed))
    ]
    ports = {
        port: f"{allowed}:{port}"
        for port in ("22", "8080", "080", "+80", "65616", "0", "x", "", "80:22", "80@" + refused)
    }
    return said + to_both(target, {f"Host with port {port}": host for port, host in ports.items()})


def letters(target: Target) -> Tries:
    """B11. Below an allowed wildcard, the name that a rule denies must be known in any form."""
    forms = _forms(target, lambda name: name.upper(), lambda name: name.title())
    return to_both(target, forms)


def trailing_dots(target: Target) -> Tries:
    """B12."""
    return to_both(target, _forms(target, lambda name: name + ".", lambda name: name + "..", lambda name: "." + name))


def _forms(target: Target, *changes: Callable[[str], str]) -> dict[str, bytes | str]:
    names = [name for name in (target.refused, target.barred) if name]
    return {form: form for name in names for form in (change(name) for change in changes)}


def brackets(target: Target) -> Tries:
    """B13."""
    forms = (f"[{target.refused}]", f"[[{target.refused}]]", f"[{target.allowed}]{target.refused}", f"[{target.ipv6}]")
    odd = (
        f"[{target.ipv6}%25lo]",
        f"[::ffff:{target.ipv4}]",
        "[::1%lo]",
        f"[{target.allowed}",
        f"{target.refused}%25lo",
    )
    return to_both(target, {form: form for form in (*forms, *odd)})


def numeric_addresses(target: Target) -> Tries:
    """B14. What ``inet_aton`` reads as an address."""
    a, b, c, d = map(int, target.ipv4.split("."))
    number = a << 24 | b << 16 | c << 8 | d
    forms = (
        str(number),
        hex(number),
        f"0{number:o}",
        f"{a}.{b << 16 | c << 8 | d}",
        f"{a:#x}.{b}.{c << 8 | d}",
        f"0{a:o}.{b}.{c}.{d}",
    )
    inner = ("127.1", "0x7f.1", "2130706433", "017700000001", "0", "localhost.localdomain")
    looked_up: Tries = [Try(f"connect to {form}", talk, form, 80, request(form)) for form in forms]
    return looked_up + to_both(target, {form: form for form in (*forms, *inner)})


def odd_bytes(target: Target) -> Tries:
    """B15."""
    allowed, refused = target.allowed, target.refused
    between = {
        "NUL": "\0",
        "CR": "\r",
        "LF": "\n",
        "space": " ",
        "tab": "\t",
        "CRLF": "\r\nX: ",
        "%00": "%00",
        "%0d%0a": "%0d%0a",
        "/": "/",
        "\\": "\\",
    }
    return to_both(target, {name: f"{refused}{odd}.{allowed}" for name, odd in between.items()}) + to_both(
        target, {f"{name}, the other way": f"{allowed}{odd}.{refused}" for name, odd in between.items()}
    )


def international(target: Target) -> Tries:
    """B16. Names that look like the allowed one, or become a refused one when somebody folds them."""
    dots = ("\u3002", "\uff0e", "\uff61")  # read as a dot by IDNA (UTS 46)
    folded = [target.refused.replace(".", dot) for dot in dots]
    wide = "".join(chr(ord(c) + 0xFEE0) if c.isalnum() else c for c in target.refused)
    forms = [
        *folded,
        wide,
        target.allowed.replace("a", "\u0430"),
        f"xn--{target.refused}",
        target.refused.replace(".", "%2e"),
    ]
    return to_both(target, {ascii(form): request(form.encode().decode("latin-1")) for form in forms})


def wide_wildcards(target: Target) -> Tries:
    """B17. Names that only a careless comparison takes for allowed ones."""
    allowed, wildcard = target.allowed, target.wildcard
    near = [f"x{allowed}", f"{allowed}x", f"{allowed}.{target.refused}", f"x.{allowed}", "*"]
    near += [f"x{wildcard}", f"{wildcard}.{target.refused}", target.barred] if wildcard else []
    return to_both(target, {form: form for form in near})
