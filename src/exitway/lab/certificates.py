"""The world's certificate authority, made anew for each lab with ``openssl``, and trusted only inside it."""

from __future__ import annotations

import ssl
import subprocess
import warnings
from collections.abc import Iterable
from pathlib import Path

from exitway.lab import zone
from exitway.lab.http import ALPN
from exitway.lab.servers import Connection

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def make(directory: Path) -> None:
    """Write ``ca.pem``, ``server.pem`` (nearly every name of the zone), ``untrusted.pem`` (signed by itself) and ``expired.pem``, with their keys.

    Raises:
        FileNotFoundError: there is no ``openssl``.
        subprocess.CalledProcessError: it does not do what version 3 does.
    """
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:false")
    names = (name for name in zone.ADDRESSES if name not in (zone.UNTRUSTED, zone.WRONG_NAME, zone.EXPIRED))
    _certificate(directory, "ca", "Exitway lab CA")
    _certificate(directory, "server", "server", *signed, "-addext", _alternative_names(names))
    _certificate(directory, "untrusted", "untrusted", "-addext", _alternative_names([zone.UNTRUSTED]))
    _expired(directory)


def _alternative_names(names: Iterable[str]) -> str:
    return "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)


def _certificate(directory: Path, file: str, subject: str, *options: str) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        *_KEY,
        "-days",
        "30",
        "-subj",
        f"/CN={subject}",
        "-keyout",
        f"{file}.key",
        "-out",
        f"{file}.pem",
    ]
    subprocess.run([*command, *options], cwd=directory, check=True, capture_output=True)


def _expired(directory: Path) -> None:
    """Only ``openssl x509`` takes a number of days that is negative, and it wants a request."""
    request = ["req", "-new", *_KEY, "-subj", "/CN=expired", "-addext", _alternative_names([zone.EXPIRED])]
    sign = ["x509", "-req", "-days", "-1", "-CA", "ca.pem", "-CAkey", "ca.key", "-copy_extensions", "copy"]
    for command in (
        [*request, "-keyout", "expired.key", "-out", "expired.csr"],
        [*sign, "-in", "expired.csr", "-out", "expired.pem"],
    ):
        subprocess.run(["openssl", *command], cwd=directory, check=True, capture_output=True)


class Contexts:
    """The TLS settings of the world's servers: which certificate is shown at which address."""

    def __init__(self, directory: Path) -> None:
        self._trusted = _context(directory, "server")
        self._others = {
            zone.UNTRUSTED: _context(directory, "untrusted"),
            zone.EXPIRED: _context(directory, "expired"),
            zone.OLD_TLS: _old(_context(directory, "server")),
        }

    def __call__(self, connection: Connection) -> ssl.SSLContext:
        """The settings for a connection."""
        return self._others.get(connection.name, self._trusted)


def _old(context: ssl.SSLContext) -> ssl.SSLContext:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")  # OpenSSL 3 would not sign such a handshake otherwise
    return context


def _context(directory: Path, file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{file}.pem", directory / f"{file}.key")
    context.set_alpn_protocols(ALPN)

    def remember(stream: ssl.SSLObject | ssl.SSLSocket, name: str, _: ssl.SSLContext) -> None:
        stream.sni = name or ""  # type: ignore[union-attr]

    context.sni_callback = remember
    return context
