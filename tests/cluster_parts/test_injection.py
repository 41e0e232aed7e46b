"""Whoever reaches the webhook may name any namespace."""

import asyncio

from exitway.admission.review import Request
from exitway.cluster.injection import BURST, Injector
from exitway.cluster.settings import ClusterSettings
from exitway.kube.client import Kube
from exitway.names.cluster import PLACEMENT
from exitway.pods.installation import Installation


class Asked(Kube):
    """An API server with any namespace; none has a label."""

    def __init__(self):
        self.server = ""
        self.asked = 0

    async def request(self, method, path, body=None, params=None, content_type=""):
        self.asked += 1
        return {"metadata": {}}


class Ready(Injector):
    """One that knows all but namespaces."""

    unready = ""

    def installation(self):
        return Installation("exitway:1", ("10.0.0.1",), "exitway", "PEM", ("10.0.0.53",), ("10.0.0.0/8",))


def test_namespaces_that_nobody_knows_are_asked_for_at_a_bounded_rate_and_others_are_answered():
    async def run():
        kube = Asked()
        settings = ClusterSettings.from_environment({"EXITWAY_POD_NAME": "p", "EXITWAY_POD_NAMESPACE": "n"})
        injector = Ready(kube, settings, lambda: b"")
        injector._namespaces.objects["", "known"] = {"metadata": {"labels": {PLACEMENT: "node"}}}

        async def said(namespace):
            pod = {"spec": {"containers": [{"name": "app"}]}}
            return (await injector.injected(Request("1", "CREATE", "pods", namespace, "p", pod, {})))()

        answers = [await said(f"n{index}") for index in range(int(2 * BURST))]
        assert kube.asked < len(answers)
        assert not answers[0].refusal
        assert "EXW1127" in answers[-1].refusal.message
        assert (await said("known")).patch

    asyncio.run(run())
