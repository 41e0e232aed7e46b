import subprocess
import sys

MAKE = """
from exitway.cluster.program import sidecar_proxy
from exitway.envoy.api import LISTENER
from exitway.envoy.listener import SIDECAR, capturing_listener
from exitway.envoy.snapshot import Resource
print(Resource.of(LISTENER, capturing_listener(SIDECAR, sidecar_proxy("198.19.0.10:5354", 1, 404))).version)
"""


def test_every_process_makes_the_same_bytes():
    """A map inside an ``Any`` has another order in each process, unless it is put in order: three are the same by chance in 1 of 10^9 cases."""
    made = {subprocess.run([sys.executable, "-c", MAKE], capture_output=True, check=True).stdout for _ in range(3)}
    assert len(made) == 1
