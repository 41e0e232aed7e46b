"""The pods of a node, without any: the kernel's part is played."""

import asyncio
import os
from ipaddress import ip_network
from unittest.mock import AsyncMock, Mock

import pytest

from exitway.capture.pod import PodCapture
from exitway.capture.pod_processes import Sandbox
from exitway.cluster import node_pods
from exitway.names.cluster import MIRROR
from exitway.processes import Process

NARROW, WIDE = (PodCapture((ip_network(one),), ("127.0.0.1",)) for one in ("10.0.0.0/16", "10.0.0.0/8"))


class Pods(node_pods.NodePods):
    """One pod, of this process."""

    def __init__(self, directory, annotations=None):
        keeper = Process.of(os.getpid())
        assert keeper is not None
        self.renewed = Mock()
        serving = node_pods.Serving(Mock(ready=AsyncMock()), keeper, AsyncMock(), AsyncMock(), Mock(), self.renewed)
        super().__init__(Mock(), "node", directory, serving, None)
        metadata = {"name": "pod", "namespace": "shop", "uid": "one", "resourceVersion": "1", "labels": {}}
        metadata["annotations"] = annotations
        self.reflector.objects = {("shop", "pod"): node_pods._kept({"metadata": metadata, "spec": {}})}
        self._processes = Mock(sandboxes=lambda uids: {uid: Sandbox(keeper, inode=7) for uid in uids})
        self._heard([])

    def end(self):
        self.reflector.objects = {}
        self._heard([])


@pytest.fixture
def kernel(monkeypatch):
    """``install``: captures a pod; ``ports_taken``: whether it has the proxy's ports."""
    played = Mock(install=Mock(return_value=()), ports_taken=Mock(return_value=False))
    for name in ("hold", "install", "ports_taken", "RefusalLog", "unpin"):
        monkeypatch.setattr(node_pods, name, getattr(played, name))
    return played


def test_nobody_looks_for_what_stands_for_a_static_pod(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    assert Pods(tmp_path / "a")._waiting() == {"one"}
    assert Pods(tmp_path / "b", {MIRROR: "a"})._waiting() == set()


def test_a_ruleset_that_cannot_be_renewed_is_tried_again(tmp_path, kernel, monkeypatch):
    monkeypatch.setattr(node_pods, "RENEWED_SECONDS", 0.0)

    async def play():
        pods = Pods(tmp_path)
        await pods.take_in(WIDE)
        (one,) = pods.running.values()
        following, renewed = asyncio.create_task(pods.follow()), asyncio.Event()
        pods.renewed.side_effect = lambda _: renewed.set()
        kernel.install.side_effect = [OSError("not now"), ()]
        pods.recapture(NARROW)
        async with asyncio.timeout(5):
            await renewed.wait()
        assert one.capture == NARROW
        following.cancel()
        pods.close()

    asyncio.run(play())
    assert [call.args[1] for call in kernel.install.call_args_list] == [WIDE, NARROW, NARROW]


def test_a_pod_with_the_proxys_ports_is_let_go_until_it_has_them_no_more(tmp_path, kernel, monkeypatch):
    monkeypatch.setattr(node_pods, "BARRED_SECONDS", 0.0)

    async def play():
        pods = Pods(tmp_path)
        await pods.take_in(WIDE)
        kernel.ports_taken.return_value = True
        await pods.proxy_starts()
        assert not pods.running
        assert pods.problems
        await pods._look()
        assert not pods.running
        kernel.ports_taken.return_value = False
        await pods._look()
        assert pods.running
        assert not pods.problems
        pods.close()

    asyncio.run(play())


def test_a_pod_may_end_while_its_ports_are_looked_at(tmp_path, kernel):
    async def play():
        pods = Pods(tmp_path)
        await pods.take_in(WIDE)
        pods.end()

        loop = asyncio.get_running_loop()

        def taken(_):
            asyncio.run_coroutine_threadsafe(pods._look(), loop).result(5)
            return True

        kernel.ports_taken.side_effect = taken
        await pods.proxy_starts()
        assert not pods.running
        assert not pods.problems

    asyncio.run(play())
