"""``exitway lab`` leaves the machine alone, and nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

LAB = (sys.executable, "-m", "exitway", "lab", "--")


def network() -> str:
    commands = ("ip address", "ip route", "ip -6 route", "nft list ruleset", "cat /etc/resolv.conf", "ls /run")
    return "".join(
        subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout for command in commands
    )


def descendants(pid: int) -> list[int]:
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return children + [grandchild for child in children for grandchild in descendants(child)]


def wait_for(condition: object, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_exit_code_is_the_commands_and_the_machine_is_as_it_was() -> None:
    before = network()
    assert (
        subprocess.run(
            [*LAB, "sh", "-c", "curl -sf http://httpbin.org/get && exit 7"], capture_output=True, check=False
        ).returncode
        == 7
    )
    assert subprocess.run([*LAB, "sh", "-c", "kill -KILL $$"], check=False).returncode == 128 + signal.SIGKILL
    assert subprocess.run([*LAB, "no-such-command"], capture_output=True, check=False).returncode == 127
    assert network() == before


def test_proxies_of_the_environment_do_not_lead_the_command_elsewhere() -> None:
    environment = os.environ | {"http_proxy": "http://198.18.0.9:3128", "HTTPS_PROXY": "http://198.18.0.9:3128"}
    assert (
        subprocess.run(
            [*LAB, "curl", "-sf", "http://httpbin.org/get"], env=environment, capture_output=True, check=False
        ).returncode
        == 0
    )


def test_a_signal_reaches_the_command() -> None:
    with subprocess.Popen(
        [*LAB, "sh", "-c", "trap 'exit 5' TERM; echo on; while :; do sleep 0.05; done"], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"on\n"
        process.terminate()
        assert process.wait(20) == 5


def test_kill_9_leaves_nothing() -> None:
    before = network()
    with subprocess.Popen([*LAB, "sh", "-c", "setsid sleep 600 & echo on; wait"], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"on\n"
        started = descendants(process.pid)
        assert len(started) >= 4  # the first process, the world, sh, sleep
        process.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert network() == before


def test_a_file_where_the_user_is_cannot_take_the_place_of_a_module(tmp_path: Path) -> None:
    (tmp_path / "http.py").write_text("raise SystemExit('not me')")
    lab = Path(sys.executable).with_name("exitway")
    assert subprocess.run([lab, "lab", "--", "true"], cwd=tmp_path, check=False).returncode == 0
