"""Whether a rule is superfluous is a matter of what is decided, and of nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st

from exitway.analyze.effect import effect
from exitway.analyze.overlap import Overlaps
from exitway.analyze.redundancy import redundant
from exitway.names.guard import permitted
from exitway.names.workload import Selector, Workload
from exitway.policy.compile import compile_policy
from exitway.policy.decide import decide
from exitway.resources.resource import Resource
from tests.intents import CALLS, intents

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LATER = [NOW + timedelta(days=days) for days in (0, 1, 2, 3)]
LABELS = [{}, {"app": "a"}, {"app": "b"}, {"app": "a", "tier": "x"}]
WORKLOADS = st.builds(Workload, st.sampled_from(["shop", "billing"]), st.just("w"), st.sampled_from(LABELS))


@st.composite
def rules(draw):
    """Generated intents, more alike than not: of several namespaces, for some labels, until some time, direct or not."""
    made = draw(intents())
    for number, one in enumerate(made):
        namespace = draw(st.sampled_from(["shop", "shop", "billing", "exitway-system"]))
        targets = tuple(
            replace(target, direct=True)
            if draw(st.integers(0, 4)) == 0
            and one.action == "ALLOW"
            and not any(host.wildcard for host in target.hosts)
            and not (target.methods or target.paths or any(port.originate_tls for port in target.ports))
            else target
            for target in one.to
        )
        made[number] = replace(
            one,
            key=replace(one.key, namespace=namespace),
            to=targets,
            selector=Selector(tuple(draw(st.sampled_from([{}, {}, {"app": "a"}, {"tier": "x"}])).items())),
            expires=draw(st.sampled_from([None, None, LATER[1], LATER[2]])),
        )
    return made


def outcome(these, workload, call, time):
    decision = decide(compile_policy(these, workload, time), call)
    return decision.verdict, decision.direct


@settings(max_examples=150)
@given(rules(), st.lists(CALLS, min_size=1, max_size=8), WORKLOADS, st.sampled_from(LATER), st.data())
def test_without_all_that_is_reported_every_call_is_decided_as_before(made, calls, workload, time, data):
    resources = [Resource(one.key, "exitway.dev/v1", "EgressRule", {}, (one,)) for one in made]
    gone = {finding.about for finding in redundant(resources, NOW)}
    left = [one for one in made if one.key not in gone]
    for call in calls:
        asked = data.draw(st.sampled_from([None, "", "a.b", "cnn", call.name]))
        tried = replace(call, asked=asked, address="" if asked else call.address)
        assert outcome(made, workload, tried, time) == outcome(left, workload, tried, time)


@settings(max_examples=150)
@given(rules())
def test_what_is_not_reported_decides_something_and_there_is_a_call_to_show_it(made):
    known = Overlaps(made)
    for one in made:
        others = known.of(one)
        changed, _ = effect(one, others, NOW)
        if changed is None:
            continue
        left = [other for other in made if other is not one]
        policies = [compile_policy(these, changed.workload, changed.time) for these in (made, left)]
        told = [
            (decide(policy, changed.call), changed.call.address and permitted_to(policy, changed.call))
            for policy in policies
        ]
        assert told[0] != told[1]


def permitted_to(policy, call):
    return permitted(ip_address(call.address), call.port, policy.exceptions)
