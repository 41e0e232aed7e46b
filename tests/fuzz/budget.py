"""How long a fuzz test goes on: FUZZ_SECONDS, a moment where the whole suite runs, a minute in .ci/run, ten in `make fuzz`."""

import functools
import os
import time

from hypothesis import HealthCheck, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "1"))
BATCH = settings(
    max_examples=20, deadline=None, database=None, derandomize=False, suppress_health_check=list(HealthCheck)
)


def while_there_is_time(test):
    """The property, for batch after batch of new examples. A failure is shrunk, and shown as hypothesis shows it."""
    batch = BATCH(test)

    @functools.wraps(batch)
    def repeated(*arguments, **options):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            batch(*arguments, **options)

    return repeated
