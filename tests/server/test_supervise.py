import os
import subprocess

import pytest

from exitway.server.supervise import stray_threads


@pytest.mark.lab  # makes a network namespace
def test_threads_in_another_network_namespace_are_found():
    with subprocess.Popen(["unshare", "-n", "sh", "-c", "echo on; exec sleep 60"], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"on\n"
        assert {task for task, _ in stray_threads(process.pid)} == {str(process.pid)}
        process.kill()
    assert not stray_threads(process.pid)
    assert not stray_threads(os.getpid())
