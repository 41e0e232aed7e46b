from datetime import UTC, datetime

from hypothesis import given

from exitway.names.call import Call, Sort
from exitway.names.host import Host
from exitway.names.workload import Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.policy.difference import allows, kept, lost
from tests.intents import NAMES, NUMBERS, intents

NOW = datetime(2027, 1, 1, tzinfo=UTC)


@given(intents(), intents(), NAMES, NUMBERS)
def test_what_is_lost_is_what_was_allowed_and_is_no_more(rules, others, name, port):
    before, now = (compile_policy(one, Workload("shop", "w"), NOW) for one in (rules, rules[:1] + others))
    gone = lost(before, now)
    losses = [(at, True) for at in gone] + [(at, False) for at in kept(now, gone)]
    for sort in (Sort.HTTP, Sort.TLS):
        call = Call(sort, port, name)
        said = [
            (not host.wildcard, len(host.suffix), gone)
            for (host, at, spoken), gone in losses
            if at == port and spoken is sort and host.matches(name)
        ]
        refused = bool(said) and max(said)[2]
        was, is_now = (allows(one, (Host(name), port, sort)) for one in (before, now))  # some requests at least
        assert not (refused and decide(now, call).allowed), "what is allowed is not refused"
        assert refused or not was or is_now, "what is lost is refused"
