import os
import subprocess

import pytest

from exitway.capture.home import FORWARDED_RESOLVER
from exitway.resources.problem import Problems
from exitway.server.supervise import from_home, stray_threads


@pytest.mark.lab  # makes a network namespace
def test_threads_in_another_network_namespace_are_found():
    with subprocess.Popen(["unshare", "-n", "sh", "-c", "echo on; exec sleep 60"], stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline() == b"on\n"
        assert {task for task, _ in stray_threads(process.pid)} == {str(process.pid)}
        process.kill()
    assert not stray_threads(process.pid)
    assert not stray_threads(os.getpid())


@pytest.mark.parametrize(
    ("servers", "resolv_conf", "reached"),
    [
        (("198.18.0.53",), "nameserver 198.18.0.53", ("198.18.0.53",)),
        (("127.0.0.53",), "search lab.test\nnameserver 127.0.0.53", (FORWARDED_RESOLVER,)),
        (
            ("[2001:db8::53]:53", "127.0.0.1"),
            "nameserver 2001:db8::53\nnameserver 127.0.0.1",
            ("[2001:db8::53]:53", FORWARDED_RESOLVER),
        ),
        (("198.18.0.53", "127.0.0.1"), "nameserver 198.18.0.53\nnameserver 127.0.0.1", ("198.18.0.53",)),
        (("127.0.0.1:5353",), "nameserver 127.0.0.1", ()),
        (("[::1]:53",), "nameserver ::1", ()),
        (("127.0.0.1",), "", ()),
    ],
)
def test_from_a_users_home_only_the_first_dns_server_of_the_machines_loopback_is_reached(
    tmp_path, servers, resolv_conf, reached
):
    path = tmp_path / "resolv.conf"
    path.write_text(resolv_conf)
    if reached:
        assert from_home(servers, path) == reached
    else:
        with pytest.raises(Problems, match="EXW0804"):
            from_home(servers, path)
