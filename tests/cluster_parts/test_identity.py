"""Tokens that prove nothing, from somebody who has many: what they take of the API server, and from others."""

import asyncio
import base64
import json
import time

from exitway.cluster.identity import AT_ONCE_OF_ONE, BURST_OF_ONE, Identities
from exitway.kube.client import Kube
from exitway.names.cluster import AUDIENCE
from exitway.xds.server import RefusedError


class Asked(Kube):
    """An API server that answers when it may, and vouches for the pod ``known``."""

    def __init__(self):
        self.asked = 0
        self.may = asyncio.Event()

    async def request(self, method, path, body=None, params=None, content_type=""):
        self.asked += 1
        await self.may.wait()
        claims = json.loads(base64.urlsafe_b64decode(body["spec"]["token"].split(".")[1]))
        uid = claims["kubernetes.io"]["pod"]["uid"]
        if uid != "known":
            return {"status": {}}
        extra = {"authentication.kubernetes.io/pod-name": ["one"], "authentication.kubernetes.io/pod-uid": [uid]}
        user = {"username": "system:serviceaccount:shop:default", "extra": extra}
        return {"status": {"authenticated": True, "audiences": [AUDIENCE], "user": user}}


def token(uid):
    claims = {"aud": [AUDIENCE], "exp": time.time() + 600, "kubernetes.io": {"pod": {"uid": uid}}}
    return f".{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode()}."


def test_tokens_of_one_address_take_neither_all_slots_nor_all_time():
    async def run():
        kube = Asked()
        identities = Identities(kube)
        flood = [asyncio.create_task(identities.of(token(str(one)), "a")) for one in range(int(2 * BURST_OF_ONE))]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = [one.exception() for one in flood if one.done()]
        assert refused
        assert all("too many tokens" in str(error) for error in refused)
        assert kube.asked == AT_ONCE_OF_ONE
        other = asyncio.create_task(identities.of(token("known"), "b"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert kube.asked == AT_ONCE_OF_ONE + 1
        kube.may.set()
        assert (await other).uid == "known"
        assert all(isinstance(said, RefusedError) for said in await asyncio.gather(*flood, return_exceptions=True))

    asyncio.run(run())
