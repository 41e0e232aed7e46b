"""The registry against the simplest model of it: a dictionary."""

from hypothesis import given
from hypothesis import strategies as st

from exitway.names.key import Key
from exitway.names.workload import SYSTEM_NAMESPACE
from exitway.resources.claims import Claims
from exitway.resources.kinds import read
from exitway.resources.registry import Registry
from exitway.resources.resource import Resource
from tests.resources.wire import exitway, istio, to

NAMESPACES = ("a", "b", SYSTEM_NAMESPACE)
istio_rules = st.builds(
    lambda service, port, name, namespace: read(istio(service, port, name=name, namespace=namespace)),
    st.sampled_from(["x.example", "y.example"]), st.sampled_from(["80/http", "80/tcp"]), st.sampled_from("pqr"), st.sampled_from(NAMESPACES),
)  # fmt: skip
rules = istio_rules | st.builds(
    lambda name, namespace: read(exitway(to("z.example", "80/HTTP"), name=name, namespace=namespace)),
    st.sampled_from("pqr"),
    st.sampled_from(NAMESPACES),
)


@given(st.lists(st.tuples(st.lists(rules, max_size=4), st.lists(rules, max_size=2)), max_size=6))
def test_a_registry_holds_what_was_put_and_not_deleted(changes):
    model: dict[Key, Resource] = {}
    registry = Registry()
    for revision, (put, deleted) in enumerate(changes, 1):
        before, held = registry, list(registry)
        for resource in deleted:
            model.pop(resource.key, None)
        model.update({resource.key: resource for resource in put})
        registry = registry.changed(put, [resource.key for resource in deleted], revision=revision)
        assert list(before) == held
    assert registry.revision == len(changes)
    assert list(registry) == [model[key] for key in sorted(model)]
    assert len(registry) == len(model)
    assert registry.namespaces == tuple(sorted({key.namespace for key in model}))
    assert all(registry.get(key) is resource for key, resource in model.items())
    for namespace in NAMESPACES:
        own = registry.resources_in(namespace)
        shared = () if namespace == SYSTEM_NAMESPACE else registry.resources_in(SYSTEM_NAMESPACE)
        assert registry.intents_for(namespace) == tuple(
            intent for resource in (*own, *shared) for intent in resource.intents
        )
        assert registry.claims_in(namespace) == Claims().changed(own, ())


def test_an_empty_registry_knows_nothing():
    registry = Registry()
    assert (registry.revision, list(registry), registry.intents_for("a")) == (0, [], ())
    assert registry.get(Key("egress-rule", "a", "b")) is None
    assert registry.changed(deleted=[Key("egress-rule", "a", "b")], revision=1).namespaces == ()


def test_a_namespace_that_a_change_does_not_touch_is_shared():
    one, other = (read(istio("x.example", "80/http", namespace=namespace)) for namespace in ("a", "b"))
    registry = Registry().changed([one, other], revision=1)
    assert registry.changed([one], revision=2).resources_in("b") is registry.resources_in("b")
