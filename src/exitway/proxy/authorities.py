"""Certificate authorities that rules name: files, read here and given to Envoy as text, so that what was checked is what is trusted."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import ssl
import stat
from collections.abc import Container
from dataclasses import dataclass

_log = logging.getLogger("exitway")

LARGEST_BYTES = 4 * 2**20

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


@dataclass(frozen=True, slots=True)
class Authorities:
    """The certificates of one file, PEM. ``id`` is a hash of the file's path and of what is in it."""

    id: str
    certificates: str


def read_authorities(path: str) -> Authorities:
    """The certificates of a file; whatever else stands in it is passed over.

    Raises:
        ValueError: there are none, or it cannot be read; the text says why.
    """
    try:
        blocks = _CERTIFICATE.findall(_content(path))
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from None
    text = "\n".join(block.decode("ascii") for block in blocks)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError):  # ValueError: nothing at all
        raise ValueError(
            "there is no certificate in it" if not blocks else "a certificate in it is malformed"
        ) from None
    identity = hashlib.blake2b(f"{path}\0{text}".encode(errors="surrogateescape"), digest_size=8).hexdigest()
    return Authorities(identity, text)


def _content(path: str) -> bytes:
    found = os.stat(path)  # noqa: PTH116 - before it is opened: to open a device does something (/dev/watchdog)
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("it is not a file")
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # noqa: PTH123 - a FIFO must not keep us waiting
        if not os.path.samestat(os.fstat(file.fileno()), found):
            raise ValueError("it is another file now")
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise ValueError(f"it is larger than {LARGEST_BYTES} bytes")
    return content


class AuthorityFiles:
    """The files that rules name, as they are now. One that has become unreadable keeps the certificates it had.

    ``below``: the directory that they must be in, where who writes rules may not have us open any path; empty: wherever they are.
    """

    def __init__(self, below: str = "") -> None:
        self._below = below
        self._known: dict[str, tuple[object, Authorities | None]] = {}

    def of(self, path: str) -> Authorities | None:
        """The certificates of a file; None: there have been none since we began, and nothing is trusted."""
        stamp = self._stamp(path)
        before, authorities = self._known.get(path, (None, None))
        if stamp != before:
            try:
                authorities = read_authorities(path) if stamp != _ELSEWHERE else None
            except ValueError as error:
                _log.warning("certificate authorities %s cannot be read: %s", path, error)
            self._known[path] = stamp, authorities
        return authorities

    def changed(self) -> bool:
        """Whether a file has been written, made or removed since it was asked for."""
        return any(self._stamp(path) != before for path, (before, _) in self._known.items())

    def keep(self, paths: Container[str]) -> None:
        """Forget all other files."""
        self._known = {path: known for path, known in self._known.items() if path in paths}

    def _stamp(self, path: str) -> object:
        """What differs when the file is another one."""
        return _ELSEWHERE if self._below and not _within(self._below, path) else _stamp(path)


_ELSEWHERE = "elsewhere"


def _within(directory: str, path: str) -> bool:
    """Whether it is in there, by its name and by where links lead."""
    return all(one.startswith(f"{directory}/") for one in (os.path.normpath(path), os.path.realpath(path)))


def _stamp(path: str) -> object:
    try:
        found = os.stat(path)  # noqa: PTH116 - it is asked for four times a second
    except OSError:
        return "unreadable"
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
