"""What one that has flows says, when its connection does not last."""

import asyncio

import pytest

from exitway.cluster.places import Logged
from exitway.cluster.tellers import LogTeller, Silent
from exitway.flows.choice import Choice
from exitway.kube.client import Kube
from exitway.kube.error import KubeError
from tests.flows.test_access_log import line
from tests.flows.test_hindsight import OBSERVED, http


class Breaking(Kube):
    """An API server that gives the first line of a log and breaks off; then, as ``sinceTime`` has it, that line again and what has come since."""

    def __init__(self, error):
        self.error = error
        self.asked = list[str | None]()

    async def lines(self, path, params=None, *_, **__):
        self.asked.append(params and params.get("sinceTime"))
        yield []
        for second, name in enumerate(("a.example", "b.example")[: len(self.asked)], 1):
            logged = line(f"0{second}", workload="shop/w", **http(name))
            yield [f"2027-01-01T00:00:0{second}.5Z ".encode() + logged]
        raise self.error


@pytest.mark.parametrize(("code", "silent"), [(0, ["pod/shop/w"]), (404, [])])
def test_what_a_log_said_before_it_broke_off_is_told_and_then_what_came_since(code, silent):
    kube = Breaking(KubeError(code, "", "no"))
    log = LogTeller(kube, Logged("u", "shop", "w", {}), Choice(), lambda _: OBSERVED)
    for name in ("a.example", "b.example"):
        told, silences = list[str](), list[str]()
        try:
            asyncio.run(log.once(lambda flow: told.append(flow.name)))  # noqa: B023 - it is called at once
        except Silent as one:
            silences.append(one.at)
        assert (told, silences) == ([name], silent)
    assert kube.asked == [None, "2027-01-01T00:00:01.5Z"]
