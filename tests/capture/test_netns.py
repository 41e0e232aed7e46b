import socket
from pathlib import Path

import pytest

from exitway.capture.netns import in_netns, pin, unpin
from tests.capture.sealed import started

pytestmark = pytest.mark.lab


@pytest.fixture
def stranger():
    """A process in a network namespace of its own."""
    with started("sh", "-c", "echo ready; read line", before=("unshare", "-n")) as run:
        yield run.process


def inode(path):
    return Path(path).stat().st_ino


def test_a_namespace_outlives_its_process_until_it_is_unpinned(stranger, tmp_path):
    pinned = tmp_path / "netns"
    expected = inode(f"/proc/{stranger.pid}/ns/net")
    pin(stranger.pid, pinned)
    stranger.kill()
    stranger.wait()
    assert inode(pinned) == expected != inode("/proc/self/ns/net")
    unpin(pinned)
    assert not pinned.exists()
    unpin(pinned)


def test_a_function_is_called_inside_and_the_caller_stays_outside(stranger, tmp_path):
    ours, theirs = inode("/proc/self/ns/net"), inode(f"/proc/{stranger.pid}/ns/net")
    path = Path(f"/proc/{stranger.pid}/ns/net")
    assert in_netns(path, lambda: inode("/proc/thread-self/ns/net")) == theirs
    assert inode("/proc/thread-self/ns/net") == ours
    with in_netns(path, socket.socket) as inside:
        assert inside.connect_ex(("127.0.0.1", 1)) != 0  # not even lo is up there
    with pytest.raises(ZeroDivisionError):
        in_netns(path, lambda: 1 // 0)
    with pytest.raises(OSError, match="No such file"):
        in_netns(tmp_path / "nowhere", lambda: None)


def test_there_is_nothing_to_pin_without_a_process(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        pin(0, tmp_path / "netns")
    assert not (tmp_path / "netns").exists()
