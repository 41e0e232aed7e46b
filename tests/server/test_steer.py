"""What becomes of the rulesets when the kernel refuses, and how little is done when nothing changes."""

import asyncio
import time
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from exitway.capture import forward, sock_diag, tools
from exitway.capture.link import Link
from exitway.capture.steering import Steering, steering
from exitway.names.key import Key
from exitway.policy.direct import Direct
from exitway.policy.policy import Policy
from exitway.server import links, steer
from exitway.server.leads import Leads
from exitway.server.links import Links
from exitway.server.names import Names
from exitway.server.steer import Steerer

RANGE = ip_network("198.18.5.0/24")
WIDE = Steering(ranges=frozenset({RANGE}))


def policy(*ranges):
    return Policy(direct=Direct(ranges=ranges))


def refuses(*_arguments, **_options):
    raise OSError("refused")


@pytest.fixture
def kernel(monkeypatch):
    """What is fed to it; it has no connections, and no links but those of the test."""
    fed: dict[str, list[str]] = {"machine": [], "workload": []}
    monkeypatch.setattr(steer, "in_netns", lambda _path, function: function())
    monkeypatch.setattr(steer, "feed", lambda *_arguments, text: fed["workload"].append(text))
    monkeypatch.setattr(links, "feed", lambda *_arguments, text: fed["machine"].append(text))
    monkeypatch.setattr(links, "_interfaces", dict)
    monkeypatch.setattr(links, "_open", lambda *_arguments: None)
    monkeypatch.setattr(links, "ask", lambda *_arguments: "")
    monkeypatch.setattr(sock_diag, "connections", set)
    return fed


def steerer():
    known = Links("/run/test")
    names = cast("Names", SimpleNamespace(leads=Leads(lambda _message: True)))
    return known, Steerer(names, known, lambda *_cut: None)


def workloads(**policies):
    return {name: (Path("/nowhere"), one, {}) for name, one in policies.items()}


def test_connections_that_cannot_be_ended_hold_up_no_ruleset_and_are_tried_again(kernel, monkeypatch):
    async def play():
        _, one = steerer()
        await one.follow(workloads(a=policy(RANGE)))
        monkeypatch.setattr(sock_diag, "connections", refuses)
        await one.follow(workloads(a=policy()))
        assert len(kernel["workload"]) == 2
        assert one.error("a") == "refused"
        monkeypatch.setattr(sock_diag, "connections", set)
        await one.follow(workloads(a=policy()))
        assert len(kernel["workload"]) == 3
        assert one.errors == []

    asyncio.run(play())


def test_a_machine_that_refuses_its_table_holds_up_no_ruleset(kernel, monkeypatch):
    async def play():
        _, one = steerer()
        await one.follow(workloads(a=policy(RANGE)))
        monkeypatch.setattr(links, "feed", refuses)
        await one.follow(workloads(a=policy()))
        assert str(RANGE) not in kernel["workload"][-1]
        assert len(kernel["workload"]) == 2
        assert one.error("a") == "refused"

    asyncio.run(play())


def test_nothing_is_computed_while_nothing_changes(kernel, monkeypatch):
    async def play():
        _, one = steerer()
        await one.follow(workloads(a=policy(RANGE), b=policy()))
        computed = []

        def counted(*arguments):
            computed.append(arguments)
            return steering(*arguments)

        monkeypatch.setattr(steer, "steering", counted)
        for _ in range(3):
            await one.follow(workloads(a=policy(RANGE), b=policy()))
        assert computed == []
        await one.follow(workloads(a=policy(), b=policy()))
        assert len(computed) == 1

    asyncio.run(play())
    assert len(kernel["machine"]) == 2


def test_a_link_that_cannot_be_removed_is_an_error_and_removed_later(kernel, monkeypatch):
    async def play():
        known, one = steerer()
        await one.follow(workloads(a=policy(RANGE)))
        right = links._delete
        monkeypatch.setattr(links, "_delete", refuses)
        await one.follow({})
        assert one.errors
        assert known.of("a")
        monkeypatch.setattr(links, "_delete", right)
        await one.follow({})
        assert one.errors == []
        assert known.of("a") is None

    asyncio.run(play())
    assert "delete table" in kernel["machine"][-1]


def test_a_workload_that_has_ended_meanwhile_gets_no_link(kernel):
    async def play():
        known, one = steerer()
        await one.follow(workloads(a=policy()))
        steered = one._steered["a"]
        steered.policy = policy(RANGE)
        async with steered.loading:
            queued = asyncio.create_task(one._steer_all())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            del one._steered["a"]
        await queued
        assert known.of("a") is None

    asyncio.run(play())
    assert kernel["machine"] == []


def test_the_table_of_a_server_before_stays_until_all_its_workloads_are_known(kernel, monkeypatch):
    owner = forward.table("/run/test")
    monkeypatch.setattr(links, "_interfaces", lambda: {"exw0001": f"{owner} a", "exw0002": f"{owner} b"})

    async def play():
        known, _ = steerer()
        known.adopt({"a", "b"})
        await known.guard("a", WIDE)
        with pytest.raises(OSError, match="not known yet"):
            await known.open("c", Path("/nowhere"), WIDE)
        assert kernel["machine"] == []
        await known.guard("b", WIDE)
        (text,) = kernel["machine"]
        assert text.count(f"ip daddr {{ {RANGE} }} accept") == 2
        assert (await known.open("c", Path("/nowhere"), WIDE)).outside == "exw0000"

    asyncio.run(play())


def test_a_name_that_leads_elsewhere_is_a_change(kernel):
    async def play():
        _, one = steerer()
        to = {
            "a": (
                Path("/nowhere"),
                Policy(direct=Direct({("n.test", 7): Key("r", "d", "n")})),
                {"n.test": ("240.0.0.9", "2001:2::9")},
            )
        }
        await one.follow(to)
        one._names.leads.heard({"n.test": ["198.18.5.7"]})
        await one.follow(to)
        one._names.leads.heard({"n.test": ["198.18.5.7"]})
        await one.follow(to)
        assert ["198.18.5.7" in text for text in kernel["workload"]] == [False, True]

    asyncio.run(play())


def test_foreign_interfaces_are_no_links(monkeypatch):
    found = '[{"ifname": "exw0001"}, {"ifname": "exwlan"}, {"ifname": "exw00010"}, {"ifname": "veth1"}]'
    monkeypatch.setattr(links, "ask", lambda *_arguments: found)
    assert [links._numbered(name) for name in links._interfaces()] == [Link(1)]


def test_a_tool_that_does_not_end_is_an_error(monkeypatch):
    monkeypatch.setattr(tools, "PATIENCE_SECONDS", 0.1)
    began = time.monotonic()
    with pytest.raises(OSError, match="not ended"):
        tools.ask("sleep", "20")
    assert time.monotonic() - began < 5
