import json

from hypothesis import given
from hypothesis import strategies as st

from exitway.flows.live import Live, is_end, outside, split

BEGINS = ("TcpUpstreamConnected", "DownstreamPeriodic", "DownstreamTunnelSuccessfullyEstablished")
ENDS = ("TcpConnectionEnd", "DownstreamEnd")


def line(access, number, workload="w1", path=None, *, outside=True):
    this = {"at": "2027-01-01T00:00:00.000Z", "connection": number, "from": f"198.18.0.1:{number}" if outside else None}
    this |= {
        "measured": "5 100 200",
        "method": path and "GET",
        "path": path,
        "peer": "10.0.0.1:5",
        "to": "198.18.1.1:80" if outside else None,
    }
    return json.dumps(
        {"access": access, "chain": "http", "workload": workload, "z": this}, separators=(",", ":")
    ).encode()


STEP = st.builds(
    line,
    st.sampled_from(BEGINS + ENDS),
    st.integers(1, 5),
    st.sampled_from(["w1", "w2"]),
    st.sampled_from([None, '/"workload":"w1","z":{', '/\\","z":{"at":1,"measured":"1 1 1"']),
    outside=st.booleans(),
)


def identity(step):
    """What the fields say, read as JSON and not as bytes."""
    this = json.loads(step)
    return this["workload"], this["z"]["connection"], this["z"]["from"]


@given(st.lists(STEP, max_size=40))
def test_what_runs_is_what_was_told_of_and_has_not_ended(steps):
    live = Live()
    running: dict[tuple[str, int, str], bytes] = {}
    for step in steps:
        known_by = split(step).identity
        _, number, outside = key = identity(step)[0], *identity(step)[1:]
        if is_end(step):
            assert live.end(known_by)
            running = {other: it for other, it in running.items() if other[1:] != (number, outside)}
        else:
            new = outside is not None and all(other[1:] != (number, outside) for other in running)
            assert live.begin(known_by, step) is new
            if new:
                running[key] = step
    assert list(live.lines()) == list(running.values())
    assert len(live) == len(running)
    for workload in ("w1", "w2", "w"):
        assert live.of(workload) == [it for key, it in running.items() if key[0] == workload]
    again = Live()
    for it in live.lines():
        again.begin(split(it).identity, it)
    assert list(again.lines()) == list(live.lines())


def test_the_end_of_what_was_cut_is_known_for_that():
    live, begun, ended = Live(), line("DownstreamPeriodic", 1), line("DownstreamEnd", 1)
    it = split(begun).identity
    live.begin(it, begun)
    live.cut(it)
    assert not list(live.lines())
    assert not live.begin(it, begun)  # it is told of once more before its end
    assert not live.end(it)
    assert live.end(it)
    assert split(ended).identity == it


def test_what_is_not_there_any_more_is_given_up():
    live = Live()
    for number in (1, 2):
        begun = line("TcpUpstreamConnected", number)
        live.begin(split(begun).identity, begun)
    live.keep(lambda kept: b":2" in kept)
    assert [identity(kept)[1] for kept in live.lines()] == [2]


def test_a_line_that_is_not_one_is_nothing():
    live = Live()
    assert outside(line("TcpUpstreamConnected", 3)) == ("198.18.0.1:3", "198.18.1.1:80")
    torn = line("TcpUpstreamConnected", 1)[:20] + line("TcpUpstreamConnected", 2)
    assert outside(torn) is None
    for begun in (b"", b"{", b'{"workload":"w1"}'):
        assert not live.begin(split(begun).identity, begun)
