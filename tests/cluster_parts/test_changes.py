"""Deletions that were waited for, when the API server says no in the end."""

import asyncio

import pytest

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
