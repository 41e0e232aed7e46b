import asyncio
from datetime import UTC, datetime

from exitway.capture import sock_diag
from exitway.flows.access_log import AccessLogReader
from exitway.flows.entry import Observed
from exitway.flows.flow import Flow
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.server import revoke
from exitway.server.revoke import Revoker
from tests.features.conftest import eventually

POLICY = compile_policy([], Workload("shop", "w"), datetime(2027, 1, 1, tzinfo=UTC))
OBSERVED = {"w1": Observed("shop/w", POLICY, lambda _: None, lambda *_: None)}
RUNNING = (
    b'{"access":"TcpUpstreamConnected","authority":null,"chain":"tcp","decision":null,"destination":"198.18.5.7:7","details":null,'
    b'"failure":null,"flags":"-","protocol":null,"sni":null,"status":0,"workload":"w1","z":{"at":"2027-01-01T00:00:00.000Z","connection":7,'
    b'"from":"198.18.0.1:40000","measured":"5 100 200","method":null,"path":null,"peer":"10.0.0.1:5","to":"198.18.5.7:7"}}'
)


def test_what_cannot_be_cut_is_tried_again_and_told_of_until_it_is(monkeypatch):
    tries: list[tuple[str, ...]] = []
    told: list[Flow] = []

    def destroy(*ends):
        tries.append(ends)
        if len(tries) == 1:
            raise OSError("the kernel is busy")
        return True

    monkeypatch.setattr(sock_diag, "destroy", destroy)
    monkeypatch.setattr(sock_diag, "unavailable", lambda: "")
    monkeypatch.setattr(revoke, "AGAIN_SECONDS", 0.2)
    reader = AccessLogReader(OBSERVED.get)

    async def settled():
        return None

    async def play():
        revoker = Revoker(reader, settled, told.extend)
        running = asyncio.create_task(revoker.run())
        list(reader.flows([RUNNING], revoker.begun))
        await asyncio.to_thread(eventually, lambda: tries)
        assert "busy" in revoker.problem
        await asyncio.to_thread(eventually, lambda: told)
        assert not revoker.problem
        running.cancel()

    asyncio.run(asyncio.wait_for(play(), 5))
    assert tries == [("198.18.0.1:40000", "198.18.5.7:7")] * 2
    assert [flow.decision.reason for flow in told] == ["revoked"]
