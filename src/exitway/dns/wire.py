"""The plain form of DNS messages, read and written without a parser (RFC 1035, section 4; RFC 6891). Pure.

Nearly every query is plain: one question of class IN whose name is of letters, digits, ``-`` and ``_``, and no more behind it than EDNS version 0.
Whatever else a message may be, :func:`read` leaves to others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

A, CNAME, PTR, TXT, AAAA, OPT = 1, 5, 12, 16, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, REFUSED = 0, 1, 2, 3, 5
PAYLOAD_BYTES = 1232
"""What we are ready to receive over UDP: it passes everywhere in one piece (https://www.dnsflagday.net/2020/)."""

_HEADER = 12
_IN = (1).to_bytes(2)
_POINTER = b"\xc0\x0c"
"""To the name in the question."""
_LABEL = re.compile(rb"[a-z0-9_-]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Query:
    """``id``: of two bytes; ``question``: as it came, so with the capitals that the asker chose; ``name``: in normal form, without them.

    ``edns``: the payload in bytes that the asker is ready for, and whether it wants DNSSEC; None: it does not speak EDNS.
    """

    id: bytes
    recursion_desired: bool
    question: bytes
    name: str
    rdtype: int
    edns: tuple[int, bool] | None = None

    def forwarded(self, identity: bytes) -> bytes:
        """The same question with another id, and nothing else that the asker may have said."""
        counts = bytes([0, 1, 0, 0, 0, 0, 0, self.edns is not None])
        return identity + bytes([self.recursion_desired, 0]) + counts + self.question + self._opt(self.edns)

    def response(self, rcode: int, answers: tuple[bytes, ...] = (), authority: bytes = b"") -> bytes:
        """The answer, with records as :meth:`record` and :func:`soa` make them."""
        counts = bytes([0, 1, 0, len(answers), 0, bool(authority), 0, self.edns is not None])
        flags = bytes([0x80 | self.recursion_desired, 0x80 | rcode])
        opt = self._opt(self.edns and (PAYLOAD_BYTES, False))
        return b"".join((self.id, flags, counts, self.question, *answers, authority, opt))

    def record(self, rdtype: int, ttl_seconds: int, data: bytes) -> bytes:
        """A record of the name that was asked for."""
        return _POINTER + rdtype.to_bytes(2) + _IN + ttl_seconds.to_bytes(4) + len(data).to_bytes(2) + data

    def address(self, ttl_seconds: int, address: str) -> bytes:
        """The same with an address, of the family that was asked for."""
        return self.record(self.rdtype, ttl_seconds, ip_address(address).packed)

    def matches(self, response: bytes) -> bool:
        """Whether a message is a response to this question; the id is for others to compare."""
        end = _HEADER + len(self.question)
        return (
            len(response) >= end
            and response[2] & 0xF8 == 0x80
            and response[4:6] == b"\x00\x01"
            and response[_HEADER:end].lower() == self.question.lower()
        )

    def answered(self, response: bytes) -> bytes:
        """A response that matches, with the id and the capitals of the asker."""
        return b"".join((self.id, response[2:_HEADER], self.question, response[_HEADER + len(self.question) :]))

    @staticmethod
    def _opt(edns: tuple[int, bool] | None) -> bytes:
        if edns is None:
            return b""
        payload, dnssec = edns
        return b"\x00" + OPT.to_bytes(2) + payload.to_bytes(2) + bytes([0, 0, 0x80 * dnssec, 0, 0, 0])


def question(name: str, rdtype: int) -> Query:
    """A question of our own about a name in normal form."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return Query(
        b"\0\0", recursion_desired=True, question=labels + b"\0" + rdtype.to_bytes(2) + _IN, name=name, rdtype=rdtype
    )


def read(message: bytes) -> Query | None:
    """A plain query; None: it is none."""
    if len(message) < _HEADER + 5 or message[2] & 0xFA or message[4:10] != b"\x00\x01\x00\x00\x00\x00":
        return None
    labels, at = [], _HEADER
    while length := message[at]:
        label = message[at + 1 : at + 1 + length]
        at += 1 + length
        if length > 63 or at >= len(message) or not _LABEL.fullmatch(label):
            return None
        labels.append(label)
    at += 5
    if at - _HEADER > 259 or message[at - 2 : at] != _IN:
        return None
    edns, more = None, int.from_bytes(message[10:12])
    if more:
        edns = _read_opt(message[at:]) if more == 1 else None
        if edns is None:
            return None
    elif at != len(message):
        return None
    name = b".".join(labels).decode().lower()
    rdtype = int.from_bytes(message[at - 4 : at - 2])
    return Query(message[:2], bool(message[2] & 1), message[_HEADER:at], name, rdtype, edns)


def refusal(message: bytes, rcode: int) -> bytes:
    """What is said to a message of which no more is taken in than its header."""
    return message[:2] + bytes([0x80 | message[2] & 0x79, 0x80 | rcode, *[0] * 8])


def soa(ttl_seconds: int) -> bytes:
    """How long a denial may be remembered (RFC 2308). Ours is the root: there is no zone but this one."""
    data = b"\x07exitway\x07invalid\x00\x06nobody\x07invalid\x00" + (1).to_bytes(4) + ttl_seconds.to_bytes(4) * 4
    return b"\x00\x00\x06" + _IN + ttl_seconds.to_bytes(4) + len(data).to_bytes(2) + data


def _read_opt(record: bytes) -> tuple[int, bool] | None:
    if len(record) < 11 or record[:3] != b"\x00\x00\x29" or record[6]:
        return None
    if len(record) != 11 + int.from_bytes(record[9:11]):
        return None
    return int.from_bytes(record[3:5]), bool(record[7] & 0x80)
