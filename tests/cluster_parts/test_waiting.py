"""Waiting for what nobody may see."""

import asyncio

from exitway.cluster import waiting
from exitway.cluster.changes import Done
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from exitway.names.key import Key


class Refusing(Kube):
    """An API server that lets nobody list rules."""

    def __init__(self):
        pass

    async def request(self, *_, **__):
        raise KubeError(403, "Forbidden", "egressrules is forbidden")


def test_who_may_not_see_the_rules_is_told_so(monkeypatch):
    monkeypatch.setattr(waiting, "ACKNOWLEDGED_SECONDS", 0.2)
    key = Key("egress-rule", "shop", "one", "exitway.dev")
    made = Done(key, "created", {"metadata": {"uid": "u", "generation": 1}})
    told = asyncio.run(waiting.unacknowledged(Refusing(), [made]))
    assert told == ["it cannot be seen whether the change is in force: egressrules is forbidden"]
