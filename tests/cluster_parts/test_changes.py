"""Deletions that were waited for, when the API server says no in the end."""

import asyncio

import pytest

from exitway.cli.cluster_client import ClusterClient
from exitway.cluster.changes import FINALIZER, Done, let_go
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.key import Key

KEY = Key("egress-rule", "shop", "one", "exitway.dev")


class Server(Kube):
    """An API server that has one answer."""

    def __init__(self, code):
        self.code = code

    async def request(self, *_):
        raise KubeError(self.code, "", "no")


@pytest.mark.parametrize(("code", "told"), [(404, False), (422, False), (0, True), (403, True), (500, True)])
def test_who_waits_for_a_deletion_is_told_if_the_object_stays(code, told):
    deleted = Done(KEY, "deleted", {"metadata": {"finalizers": ["example.com/other", FINALIZER]}})
    stay = asyncio.run(let_go(Server(code), [deleted]))
    assert [str(KEY) in sentence for sentence in stay] == [True] * told


def test_a_dry_run_lets_nothing_go(monkeypatch, tmp_path):
    """Also not what somebody else has deleted and waits for."""
    asked = []

    async def answer(_self, method, path, *_):
        asked.append(method)
        item = {
            "apiVersion": "exitway.dev/v1",
            "kind": "EgressRule",
            "metadata": {"name": "one", "namespace": "shop", "uid": "u", "finalizers": [FINALIZER]},
            "spec": {"to": [{"hosts": ["a.example"], "ports": [{"number": 443, "protocol": "TLS"}]}]},
        }
        if method == "DELETE":
            return item
        return {"items": [item] if "exitway.dev" in path and "/shop/" in path else []}

    monkeypatch.setattr(Kube, "request", answer)
    (tmp_path / "config").write_text("""
        {"current-context": "mine", "contexts": [{"name": "mine", "context": {"cluster": "kube", "user": "me"}}],
         "clusters": [{"name": "kube", "cluster": {"server": "https://a.example"}}], "users": [{"name": "me"}]}
    """)
    client = ClusterClient(tmp_path / "config", None)
    wire = {"apiVersion": "exitway.dev/v1", "kind": "EgressRule", "metadata": {"name": "one", "namespace": "shop"}}
    answered = client.change({"verb": "delete", "wait": True, "dryRun": True, "objects": [wire]})
    client.close()
    assert [result["outcome"] for result in answered["results"]] == ["deleted"]
    assert set(asked) == {"GET", "DELETE"}
