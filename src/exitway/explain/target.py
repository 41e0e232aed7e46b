"""What people write for a call, read as the clients of this world would send it.

    http://httpbin.org/get         HTTP at port 80, the authority httpbin.org
    https://api.example/v1         TLS at port 443, the SNI api.example; method and path are inside, and seen by nobody
    db.example:5432                TCP; at port 80 HTTP, at port 443 TLS, where no protocol is given
    http://192.0.2.7:8080/         HTTP to an address: no name was asked for
    [2001:db8::5]:443              TLS without an SNI, as clients send it to an address
    udp://dns.example:53           not TCP: it never leaves
    POST http://api.example/v1     a method may stand before it, or what is spoken: TCP db.example:443

The name is what was asked for, and what is said: a program that asks for one and says another is not written so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import quote

from exitway.names.address import SYNTHETIC, bracketed
from exitway.names.call import Call, Sort
from exitway.names.host import ends_in_number, is_name
from exitway.names.port import Protocol
from exitway.resources.form import did_you_mean
from exitway.resources.problem import Place, Problem, Problems, quoted

UNCARRIED = ("UDP", "QUIC", "HTTP3", "ICMP", "SCTP")
"""What is not TCP."""
PROTOCOLS = (*map(str, Protocol), "HTTPS", *UNCARRIED)
"""What a call may be said to speak, in any case."""

_SCHEMES = {
    "http": ("HTTP", 80), "ws": ("HTTP", 80), "https": ("TLS", 443), "wss": ("TLS", 443), "tls": ("TLS", 0), "tcp": ("TCP", 0),
    "amqp": ("TCP", 5672), "amqps": ("TLS", 5671), "ftp": ("TCP", 21), "git": ("TCP", 9418), "grpc": ("GRPC", 0), "imap": ("TCP", 143),
    "imaps": ("TLS", 993), "ldap": ("TCP", 389), "ldaps": ("TLS", 636), "mongodb": ("TCP", 27017), "mqtt": ("TCP", 1883), "mqtts": ("TLS", 8883),
    "mysql": ("TCP", 3306), "nats": ("TCP", 4222), "postgres": ("TCP", 5432), "postgresql": ("TCP", 5432), "redis": ("TCP", 6379),
    "rediss": ("TLS", 6379), "smtp": ("TCP", 25), "smtps": ("TLS", 465), "ssh": ("TCP", 22), "udp": ("UDP", 0), "quic": ("QUIC", 443),
}  # fmt: skip
"""What a scheme speaks on the wire when it begins, and its port; 0: it has none."""

_USUAL = {80: "HTTP", 443: "TLS"}
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
"""A token (RFC 9110, section 5.6.2)."""
_IN_PATHS = "".join(map(chr, range(0x21, 0x7F)))
_NOWHERE = Place()
_LOCAL = tuple(map(ip_network, ("127.0.0.0/8", "::1/128", "0.0.0.0/32", "::/128")))
"""To Linux, nobody's address is this host's own, too."""


@dataclass(frozen=True, slots=True)
class Packet:
    """What is not TCP, such as a question to a name server outside: it is refused, whatever rules say."""

    protocol: str
    port: int
    name: str = ""
    address: str = ""


def read_call(text: str, *, method: str = "", protocol: str = "", place: Place = _NOWHERE, field: str = "") -> Call:
    """The call that a text means. Raises :class:`Problems`, at the place and field given; also for what is not TCP."""
    target = read_target(text, method=method, protocol=protocol, place=place, field=field)
    if isinstance(target, Packet):
        hint = "nothing but TCP leaves, whatever rules say"
        raise Problems([Problem("EXW1706", f"{quoted(text)} is no call: it is {target.protocol}", hint, field, place)])
    return target


def read_target(
    text: str, *, method: str = "", protocol: str = "", place: Place = _NOWHERE, field: str = ""
) -> Call | Packet:
    """The same, with what is not TCP."""
    try:
        return _read(text, method, protocol)
    except _Fault as fault:
        raise Problems([Problem(fault.code, fault.message, fault.hint, field, place)]) from None


def call_text(call: Call) -> str:
    """A call as people write it: ``GET http://httpbin.org/get``, ``TLS api.example:443``, ``TCP 192.0.2.7:5432``."""
    name = call.name or call.asked or bracketed(call.address)
    if call.sort is Sort.HTTP:
        return f"{call.method} http://{name}{'' if call.port == 80 else f':{call.port}'}{call.path}"
    return f"{call.sort.upper()} {name}:{call.port}"


class _Fault(Exception):  # noqa: N818 - it becomes a Problem
    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.code, self.message, self.hint = code, message, hint


def _read(text: str, method: str, protocol: str) -> Call | Packet:
    text, method, protocol = _without_word(text, method, protocol)
    spoken = _protocol(protocol)
    scheme, rest, usual_port = "", text, 0
    if url := _URL.fullmatch(text):
        scheme, rest = url[1].lower(), url[2]
        if scheme not in _SCHEMES:
            hint = "write HOST:PORT, and say what is spoken there: HTTP, TLS or TCP"
            raise _Fault("EXW1702", f"unknown scheme {quoted(scheme)}", hint)
        of_scheme, usual_port = _SCHEMES[scheme]
        spoken = _agreed(scheme, of_scheme, spoken)
    authority, path = _parted(rest)
    host, port_text = _host_and_port(authority, text)
    port = _port(port_text, text) if port_text else usual_port or {"HTTP": 80, "TLS": 443}.get(spoken, 0)
    spoken = spoken or _USUAL.get(port, "TCP")
    if not port and spoken != "ICMP":
        raise _Fault("EXW1704", f"{quoted(text)} names no port", f"such as https://{host}/ or {host}:5432")
    name, address = _name_and_address(host)
    if spoken in UNCARRIED:
        return Packet(spoken, port, name, address)
    _check_request(spoken, scheme, method, path, text)
    if spoken == "TLS":  # no SNI is an address (RFC 6066, section 3)
        return Call(Sort.TLS, port, name, address, asked=name)
    if spoken == "TCP":
        return Call(Sort.TCP, port, "", address, asked=name)
    method = method or ("POST" if spoken == "GRPC" else "GET")
    return Call(Sort.HTTP, port, name or bracketed(address), address, name, method, _request_target(method, path))


def _without_word(text: str, method: str, protocol: str) -> tuple[str, str, str]:
    """The text without a method, or what is spoken, before it; either counts only where it was not given apart."""
    word, space, rest = text.partition(" ")
    if not space or "/" in word or ":" in word:
        return text, method, protocol
    if word.upper() in PROTOCOLS:
        return rest.lstrip(), method, protocol or word
    return rest.lstrip(), method or word, protocol


def _request_target(method: str, path: str) -> str:
    """What clients send: no character that no URL has. CONNECT has no path."""
    path = path if path.startswith("/") else f"/{path}"
    return "" if method == "CONNECT" else quote(path, _IN_PATHS)


def _protocol(protocol: str) -> str:
    """In upper case; TLS for HTTPS, and HTTP for HTTP2, which to a rule are the same."""
    spoken = protocol.upper()
    if spoken and spoken not in PROTOCOLS:
        raise _Fault("EXW1702", f"unknown protocol {quoted(protocol)}", did_you_mean(spoken, PROTOCOLS))
    return {"HTTPS": "TLS", "HTTP2": "HTTP"}.get(spoken, spoken)


def _agreed(scheme: str, of_scheme: str, spoken: str) -> str:
    """What is spoken: the protocol that was given may be more exact than the scheme, and no other."""
    if not spoken or spoken == of_scheme or {spoken, of_scheme} == {"HTTP", "GRPC"}:
        return spoken or of_scheme
    if of_scheme == "TLS" and spoken == "GRPC":
        return "TLS"  # within it
    if scheme == "https" and spoken in UNCARRIED:
        return spoken  # HTTP/3
    raise _Fault("EXW1702", f"{scheme}:// is {of_scheme}, not {spoken}", "write HOST:PORT for what no scheme means")


def _parted(rest: str) -> tuple[str, str]:
    """The authority without user and password, and the path with its query."""
    rest = rest.partition("#")[0]
    end = next((at for at, c in enumerate(rest) if c in "/?"), len(rest))
    if "\\" in rest[:end]:
        raise _Fault("EXW1701", f"{quoted(rest)} is read in two ways", "to some clients a \\ ends the host, as / does")
    return rest[:end].rpartition("@")[2], rest[end:]


def _host_and_port(authority: str, text: str) -> tuple[str, str]:
    if authority.startswith("["):
        host, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise _Fault("EXW1701", f"{quoted(text)} is neither a URL nor HOST:PORT", "such as [2001:db8::5]:443")
        return host, rest[1:]
    if authority.count(":") > 1:
        hint = "an IPv6 address stands in brackets, as in [2001:db8::5]:443"
        raise _Fault("EXW1701", f"{quoted(text)} is neither a URL nor HOST:PORT", hint)
    host, _, port = authority.partition(":")
    if not host:
        raise _Fault("EXW1701", f"{quoted(text)} names no host", "such as https://api.example/ or api.example:443")
    return host, port


def _port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise _Fault("EXW1704", f"{quoted(whole)} names no port", "ports are numbered from 1 to 65535")
    return int(text)


def _name_and_address(host: str) -> tuple[str, str]:
    """One of the two; the other is empty."""
    try:
        address = ip_address("" if "%" in host else host)  # a zone names an interface, and a sealed program has none
    except ValueError:
        return _name(host), ""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address  # the kernel dials IPv4
    if any(address in network for network in _LOCAL):
        raise _inside(host)
    if any(address in network for network in SYNTHETIC):
        hint = "give the name: which address it has differs between workloads"
        raise _Fault("EXW1707", f"{host} stands for a name inside one workload", hint)
    return "", str(address)


def _name(host: str) -> str:
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        raise _inside(name)
    if "*" in name:
        raise _Fault("EXW1703", f"{quoted(host)} is a pattern", "a call goes to one name")
    if not is_name(name.replace("_", "x")) or ends_in_number(name):
        hint = "" if name.isascii() else 'write its A-labels, which begin with "xn--"'
        raise _Fault("EXW1703", f"{quoted(host)} is neither a host name nor an address", hint)
    return name


def _inside(host: str) -> _Fault:
    hint = "this machine's own loopback is host.exitway.internal"
    return _Fault("EXW1707", f"{host} is the program's own: what is sent there does not leave", hint)


def _check_request(spoken: str, scheme: str, method: str, path: str, text: str) -> None:
    if spoken in ("HTTP", "GRPC"):
        if method and not _METHOD.match(method):
            raise _Fault("EXW1705", f"{quoted(method)} is not a method", "such as GET")
        return
    if method and spoken != "TLS":
        raise _Fault("EXW1705", f"{spoken} has no methods", "--proto HTTP where requests are made")
    if path.strip("/") and not scheme:
        hint = f"write http://{text} or https://{text}"
        raise _Fault("EXW1701", f"{quoted(text)} is neither a URL nor HOST:PORT", hint)
