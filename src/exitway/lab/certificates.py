"""The world's certificate authority, made anew for each lab with ``openssl``, and trusted only inside it."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterable
from pathlib import Path

from exitway.lab import zone
from exitway.lab.servers import Connection

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30")


def make(directory: Path) -> None:
    """Write ``ca.pem``, ``server.pem`` (every name of the zone) and ``untrusted.pem`` (signed by itself), with their keys.

    Raises:
        FileNotFoundError: there is no ``openssl``.
        subprocess.CalledProcessError: it does not do what version 3 does.
    """
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:false")
    names = (name for name in zone.ADDRESSES if name != zone.UNTRUSTED)
    _certificate(directory, "ca", "Exitway lab CA")
    _certificate(directory, "server", "server", *signed, "-addext", _alternative_names(names))
    _certificate(directory, "untrusted", "untrusted", "-addext", _alternative_names([zone.UNTRUSTED]))


def _alternative_names(names: Iterable[str]) -> str:
    return "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)


def _certificate(directory: Path, file: str, subject: str, *options: str) -> None:
    command = [
        "openssl",
        "req",
        "-x509",
        *_KEY,
        "-subj",
        f"/CN={subject}",
        "-keyout",
        f"{file}.key",
        "-out",
        f"{file}.pem",
    ]
    subprocess.run([*command, *options], cwd=directory, check=True, capture_output=True)


class Contexts:
    """The TLS settings of the world's servers: which certificate is shown at which address."""

    def __init__(self, directory: Path) -> None:
        self._trusted = _context(directory, "server")
        self._untrusted = _context(directory, "untrusted")

    def __call__(self, connection: Connection) -> ssl.SSLContext:
        """The settings for a connection."""
        return self._untrusted if connection.name == zone.UNTRUSTED else self._trusted


def _context(directory: Path, file: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / f"{file}.pem", directory / f"{file}.key")
    context.set_alpn_protocols(["http/1.1"])

    def remember(stream: ssl.SSLObject | ssl.SSLSocket, name: str, _: ssl.SSLContext) -> None:
        stream.sni = name or ""  # type: ignore[union-attr]

    context.sni_callback = remember
    return context
