import asyncio

import dns.rcode
import dns.rdatatype

from exitway.dns import following
from exitway.dns.following import Following
from exitway.dns.upstream import Resolved, Upstream

A, AAAA = dns.rdatatype.A, dns.rdatatype.AAAA
FAILED, NONE = Resolved(dns.rcode.SERVFAIL), Resolved(dns.rcode.NXDOMAIN)


class Answers(Upstream):
    """One pair of answers (A, AAAA) after the other; then nothing ever again."""

    def __init__(self, *pairs):
        super().__init__(())
        self.pairs = list(pairs)
        self.done = asyncio.Event()

    async def resolve(self, _name, kind):
        if not self.pairs:
            self.done.set()
            await asyncio.Event().wait()
        return self.pairs[0][0] if kind == A else self.pairs.pop(0)[1]


def found(*addresses):
    return Resolved(dns.rcode.NOERROR, addresses, 0)


def test_what_is_known_of_a_family_holds_while_nobody_can_say_and_ipv4_is_first(monkeypatch):
    monkeypatch.setattr(following, "_AGAIN_SECONDS", 0)

    async def play():
        answers = Answers(
            (FAILED, FAILED),
            (found("198.18.0.10", "198.18.0.9"), found("1::1")),
            (found("198.18.0.9", "198.18.0.10"), FAILED),
            (FAILED, found("2001:db8::2")),
            (FAILED, FAILED),
            (NONE, found("2001:db8::2")),
        )
        told = []
        one = Following(lambda: answers, lambda _name, addresses: told.append(addresses))
        one.follow(["a.test"])
        async with asyncio.timeout(10):
            await answers.done.wait()
        one.leave_all()
        return told

    four = ("198.18.0.9", "198.18.0.10")
    assert asyncio.run(play()) == [(), (*four, "1::1"), (*four, "2001:db8::2"), ("2001:db8::2",)]
