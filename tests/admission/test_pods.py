"""What becomes of pods at the door, by who brings them."""

import pytest

from exitway.admission.pods import held, injected
from exitway.admission.review import ALLOWED, Request
from exitway.names.cluster import MIRROR, PLACEMENT
from exitway.pods.installation import Installation

INSTALLATION = Installation("exitway:1", ("10.0.0.1",), "exitway", "PEM", ("10.0.0.53",), ("10.0.0.0/8",))
NODE, SOMEBODY = "system:node:one", "system:serviceaccount:shop:ci"


def brought(user, annotations):
    pod = {"metadata": {"name": "p", "annotations": annotations}, "spec": {"containers": [{"name": "app"}]}}
    return Request("1", "CREATE", "pods", "shop", "p", pod, {}, user)


@pytest.mark.parametrize(
    ("user", "annotations", "static"),
    [(NODE, {MIRROR: "a"}, True), (SOMEBODY, {MIRROR: "a"}, False), (NODE, {}, False), (NODE, None, False)],
)
def test_what_a_node_shows_of_a_static_pod_is_left_as_it_is(user, annotations, static):
    for decide in (injected, held):
        answer = decide(brought(user, annotations), {PLACEMENT: "node"}, INSTALLATION)
        assert (answer == ALLOWED) is static
