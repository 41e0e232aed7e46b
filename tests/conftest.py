"""What tests share. Those marked ``lab`` run inside the lab: ``make test``, or ``.venv/bin/exitway lab -- .venv/bin/pytest``."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from exitway.lab.lab import Arrivals, Lab

settings.register_profile("exitway", deadline=None)  # how long an example takes is the machine's affair
settings.load_profile("exitway")


@pytest.fixture(scope="session")
def lab() -> Lab:
    """The world outside: its names and addresses, and what has reached it."""
    around_us = Lab.around_us()
    assert around_us, "this test needs the lab: `make test`, or `.venv/bin/exitway lab -- .venv/bin/pytest ...`"
    return around_us


@pytest.fixture
def outside(lab: Lab) -> Arrivals:
    """What has reached the world since the test began."""
    return lab.watch()


@pytest.fixture(autouse=True)
def _names_restored() -> Iterator[None]:
    """No test leaves the names of the world moved."""
    yield
    if around_us := Lab.around_us():
        around_us.restore()
