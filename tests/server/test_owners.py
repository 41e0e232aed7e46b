"""What is remembered of a connection is not told of the next one with the same two ends."""

from types import SimpleNamespace
from typing import Any

from exitway.server import owners


def test_a_connection_that_begins_is_nobodys_until_it_is_found(monkeypatch):
    said = iter(["7/curl", "", ""])
    monkeypatch.setattr(owners, "owner", lambda *_: next(said))
    running: dict[str, Any] = {"one": SimpleNamespace(netns="", process=SimpleNamespace(pid=1))}
    ends = "10.0.0.1:5", "10.0.0.2:80"
    known = owners.Owners()
    known.began(running, "one", *ends)
    assert known.of(running, "one", *ends) == "7/curl"
    known.began(running, "one", *ends)
    assert known.of(running, "one", *ends) == ""
