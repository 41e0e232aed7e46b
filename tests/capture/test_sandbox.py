"""What a sealed command is and cannot do, with nobody serving it. Ids in comments: the catalogue of ways round an egress control."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capture.sealed import SEALED, sealed, sealed_python, started

pytestmark = pytest.mark.lab


def eventually(condition, seconds=10):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def running(*command):
    wanted = b"\0".join(part.encode() for part in command) + b"\0"
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _cmdline(entry) == wanted]


def _cmdline(entry):
    try:
        return (entry / "cmdline").read_bytes()
    except OSError:
        return b""


# What it is


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], 0),
        (["sh", "-c", "exit 42"], 42),
        (["no-such-command"], 127),
        (["/no/such/command"], 127),
        (["/etc/passwd"], 126),
        (["/"], 126),
        ([""], 126),
        (["sh", "-c", "kill -TERM $$"], -signal.SIGTERM),
        (["sh", "-c", "kill -KILL $$"], -signal.SIGKILL),
    ],
)
def test_its_exit_code_is_passed_on(command, code):
    ended = sealed(*command)
    assert ended.returncode == code
    assert bool(ended.stderr) == (code in (126, 127))


def test_a_script_without_an_interpreter_is_a_shell_script(tmp_path):
    script = tmp_path / "script"
    script.write_text("echo $0 $1\n")
    script.chmod(0o755)
    assert sealed(str(script), "a").stdout == f"{script} a\n"


def test_its_arguments_environment_directory_and_streams_are_the_callers(tmp_path):
    program = "import os, sys; print([os.fsencode(a) for a in sys.argv[1:]], os.getcwd(), sorted(os.environb.items())); sys.stderr.write(sys.stdin.read())"
    arguments = [b"-n", b"--", b"\xff \n", b""]
    environment = {b"PATH": os.environb[b"PATH"], b"ODD": b"\xfe=", b"PWD": b"/elsewhere", b"LC_ALL": b"C"}
    ended = [
        subprocess.run(
            [*before, sys.executable, "-c", program, *arguments],
            env=environment,
            cwd=tmp_path,
            input=b"in",
            capture_output=True,
            check=True,
        )
        for before in ((), SEALED)
    ]
    assert (ended[0].stdout, ended[0].stderr) == (ended[1].stdout, ended[1].stderr)


def test_its_standard_streams_are_the_callers_files_and_the_only_ones_open(tmp_path):
    extra = os.open("/", os.O_RDONLY)
    os.set_inheritable(extra, True)  # noqa: FBT003
    with (tmp_path / "out").open("w") as out:
        sealed("ls", "-l", "/proc/self/fd", stdout=out, stderr=subprocess.STDOUT, capture_output=False, close_fds=False)
    os.close(extra)
    open_files = {
        line.split()[-3]: line.split()[-1] for line in (tmp_path / "out").read_text().splitlines() if "->" in line
    }
    assert open_files.pop("3").startswith("/proc/")  # ls, reading the directory
    assert open_files == {"0": "/dev/null", "1": str(tmp_path / "out"), "2": str(tmp_path / "out")}


def test_a_reader_sees_the_end_when_the_command_closes_its_output():
    program = "import os, time; print('ready', flush=True); os.close(1); os.close(2); time.sleep(60)"
    with started(sys.executable, "-c", program, stderr=subprocess.STDOUT) as run:
        assert run.output.read() == b""
        assert run.process.poll() is None


# What it cannot do


def test_it_has_no_privileges():
    status = dict(line.split(":\t", 1) for line in sealed("cat", "/proc/self/status").stdout.splitlines())
    assert {status[f"Cap{name}"] for name in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}  # A16
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_it_sees_only_its_own_processes_and_only_loopback():
    pids = sealed_python("import os; print(*sorted(int(name) for name in os.listdir('/proc') if name.isdigit()))")
    assert len(pids.split()) == 2
    assert [link["ifname"] for link in json.loads(sealed("ip", "-j", "link").stdout) if "UP" in link["flags"]] == [
        "lo"
    ]  # A22


PROBES = """
import errno, json, socket, struct, sys, time

def attempt(family, kind, protocol, address, send):
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.settimeout(20)
            if family == socket.AF_INET:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            probe.sendto(b"x", address) if send else probe.connect(address)
            return "let out"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error))

began = time.monotonic()
print(json.dumps([attempt(*probe[:3], tuple(probe[3]), probe[4]) for probe in json.loads(sys.argv[1])]))
print(time.monotonic() - began)
"""
STREAM, DGRAM, RAW, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET
INET, INET6 = socket.AF_INET, socket.AF_INET6

ATTEMPTS = {
    "A2 TCP": (INET, STREAM, 0, ["198.18.0.1", 80], False),
    "A3 TCP over IPv6": (INET6, STREAM, 0, ["2001:db8::1", 80], False),
    "A3 link-local": (INET6, STREAM, 0, ["fe80::1", 80, 0, 1], False),
    "A4 mapped": (INET6, STREAM, 0, ["::ffff:198.18.0.1", 80], False),
    "A4 NAT64": (INET6, STREAM, 0, ["64:ff9b::c612:1", 80], False),
    "A5 QUIC": (INET, DGRAM, 0, ["198.18.0.1", 443], True),
    "A5 UDP over IPv6": (INET6, DGRAM, 0, ["2001:db8::1", 443], True),
    "A6 ping": (INET, DGRAM, 1, ["198.18.0.1", 0], True),
    "A6 ping over IPv6": (INET6, DGRAM, 58, ["2001:db8::1", 0], True),
    "A7 UDP-Lite": (INET, DGRAM, 136, ["198.18.0.1", 9], True),
    "A7 SCTP": (INET, STREAM, 132, ["198.18.0.1", 9], False),
    "A7 GRE": (INET, RAW, 47, ["198.18.0.1", 0], True),
    "A8 MPTCP": (INET, STREAM, 262, ["198.18.0.1", 80], False),
    "A11 raw": (INET, RAW, 255, ["198.18.0.1", 0], True),
    "A11 packet": (17, RAW, 0, ["lo", 0], True),
    "A11 vsock": (40, STREAM, 0, [2, 80], False),
    "A11 vsock datagrams": (40, DGRAM, 0, [2, 80], True),
    "A25 broadcast": (INET, DGRAM, 0, ["255.255.255.255", 9], True),
    "A25 multicast": (INET, DGRAM, 0, ["224.0.0.251", 5353], True),
    "A25 multicast over IPv6": (INET6, DGRAM, 0, ["ff02::fb", 5353, 0, 1], True),
    "C1 DNS": (INET, DGRAM, 0, ["198.18.0.1", 53], True),
    "C1 DNS over TCP": (INET, STREAM, 0, ["198.18.0.1", 53], False),
    "C4 DoT": (INET, STREAM, 0, ["198.18.0.1", 853], False),
    "D1 metadata": (INET, STREAM, 0, ["169.254.169.254", 80], False),
}


def test_whatever_it_sends_is_refused_at_once():
    answers, seconds = sealed_python(PROBES, json.dumps(list(ATTEMPTS.values()))).splitlines()
    results = dict(zip(ATTEMPTS, json.loads(answers), strict=True))
    expected = {name: {"ECONNREFUSED"} if kind == STREAM else {"EPERM"} for name, (_, kind, *_) in ATTEMPTS.items()} | {
        "A6 ping": {"EACCES"},
        "A6 ping over IPv6": {"EACCES"},
        "A7 SCTP": {"EPROTONOSUPPORT", "ECONNREFUSED", "EPERM"},
        "A8 MPTCP": {"EPROTONOSUPPORT"},
        "A11 packet": {"EAFNOSUPPORT"},
        "A11 vsock": {"EAFNOSUPPORT"},
        "A11 vsock datagrams": {"EAFNOSUPPORT"},
    }
    assert {name: result for name, result in results.items() if result not in expected[name]} == {}
    assert float(seconds) < 5


def test_loopback_works_also_on_low_ports():
    program = """
import socket
with socket.create_server(("127.0.0.1", 80)) as server, socket.create_connection(("localhost", 80)) as client:
    print(server.accept()[1][0])
with socket.create_server(("::1", 80), family=socket.AF_INET6) as server, socket.create_connection(("::1", 80)) as client:
    print(server.accept()[1][0])
"""
    assert sealed_python(program).split() == ["127.0.0.1", "::1"]


def test_the_proxys_port_cannot_be_taken():
    program = """
import socket
for family, address in (socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1"), (socket.AF_INET6, "::"):
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        one.bind((address, 1))
    except PermissionError:
        print("refused")
"""
    assert sealed_python(program).split() == ["refused"] * 4


def test_fast_open_and_a_mark_gain_nothing():  # A9, A18
    program = """
import socket
with socket.socket() as probe:
    try:
        probe.sendto(b"x", 0x20000000, ("198.18.0.1", 80))
    except OSError as error:
        print(error.errno)
with socket.socket() as probe:
    try:
        probe.setsockopt(socket.SOL_SOCKET, 36, 1)
    except OSError as error:
        print(error.errno)
"""
    assert sealed_python(program).split() == ["111", "1"]


def test_namespaces_of_its_own_lead_nowhere():  # A14, A15
    assert sealed("nsenter", "-t", "1", "-n", "true").returncode != 0
    inner = sealed("unshare", "-Un", "ip", "-j", "link")
    assert {link["ifname"] for link in json.loads(inner.stdout)} == {"lo"}
    assert sealed("unshare", "-Um", "umount", "/run").returncode != 0


def test_no_unix_socket_of_the_machine_answers(tmp_path):  # A12
    program = """
import errno, socket, sys
for address in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.replace("@", "\\0"))
            print("reached")
        except OSError as error:
            print(errno.errorcode[error.errno])
"""
    paths = ["/run/exitway-test.sock", str(tmp_path / "agent"), "@exitway-test"]
    with (
        socket.socket(socket.AF_UNIX) as one,
        socket.socket(socket.AF_UNIX) as two,
        socket.socket(socket.AF_UNIX) as three,
    ):
        try:
            for bound, path in zip((one, two, three), paths, strict=True):
                bound.bind(path.replace("@", "\0"))
                bound.listen()
            assert sealed_python(program, *paths).split() == ["ENOENT", "ECONNREFUSED", "ECONNREFUSED"]
        finally:
            Path(paths[0]).unlink()


def test_directories_of_exitway_are_empty_also_when_they_are_made_later(tmp_path):  # D4, D8
    there, later = tmp_path / "1", tmp_path / "2/later"
    there.mkdir()
    (there / "api.sock").touch()
    script = f"echo ready; read line; ls -A {there} {later}; echo > {there}/x; echo $?"
    environment = os.environ | {"SEALED_HIDDEN": f"{there}:{later}"}
    with started("sh", "-c", script, env=environment, stderr=subprocess.DEVNULL) as run:
        (later / "store.db").touch()
        run.input.write(b"\n")
        assert run.output.read().decode().split() == [f"{there}:", f"{later}:", "2"]
    assert list(there.iterdir()) == [there / "api.sock"]


def test_a_hidden_working_directory_is_a_problem(tmp_path):
    ended = sealed("true", cwd=tmp_path, env=os.environ | {"SEALED_HIDDEN": str(tmp_path.parent)})
    assert ended.returncode == 1
    assert "EXW1103" in ended.stderr
    assert str(tmp_path) in ended.stderr


def test_it_cannot_change_the_kernels_settings():
    before = Path("/proc/sys/kernel/core_pattern").read_text()
    for path in (
        "/proc/sys/kernel/core_pattern",
        "/proc/sysrq-trigger",
        "/sys/kernel/uevent_helper",
        "/proc/sys/net/ipv4/ip_forward",
    ):
        assert sealed("sh", "-c", f"echo > {path}").returncode != 0
    assert Path("/proc/sys/kernel/core_pattern").read_text() == before


def test_its_names_are_asked_of_its_own_resolver_only():  # C13
    assert (
        sealed("cat", "/etc/resolv.conf").stdout == "nameserver 240.240.0.1\nsearch .\noptions timeout:1 attempts:2\n"
    )
    assert sealed("getent", "ahostsv4", "localhost").stdout.split()[0] == "127.0.0.1"
    began = time.monotonic()
    assert sealed("getent", "hosts", "name.example").returncode == 2
    assert time.monotonic() - began < 10


RESOLV_CONFS = {
    "a link into /run": "ln -s ../run/systemd/resolve/stub-resolv.conf $ETC/resolv.conf; mkdir -p /run/systemd/resolve; echo x > /run/systemd/resolve/stub-resolv.conf",
    "a dangling link into /run": "ln -s /run/nowhere/resolv.conf $ETC/resolv.conf",
    "a link elsewhere": "echo x > $ETC/other; ln -s other $ETC/resolv.conf",
    "a file": "echo x > $ETC/resolv.conf",
    "missing": "",
}


@pytest.mark.parametrize("case", RESOLV_CONFS)
def test_its_resolv_conf_is_its_own_whatever_the_machines_is(case, tmp_path):
    (tmp_path / "nsswitch.conf").write_text("hosts: files dns\n")
    script = f"mount -t tmpfs none /run; ETC={tmp_path}; {RESOLV_CONFS[case]}; mount --bind $ETC /etc; exec {' '.join(SEALED)} cat /etc/resolv.conf"
    shown = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False).stdout
    assert shown == ("" if case == "missing" else "nameserver 240.240.0.1\nsearch .\noptions timeout:1 attempts:2\n")


# How it ends


def test_what_it_leaves_running_ends_with_it():
    assert sealed("sh", "-c", "sleep 7391.01 & setsid sleep 7391.02 & exit 3").returncode == 3
    assert running("sleep", "7391.01") == running("sleep", "7391.02") == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGINT, signal.SIGQUIT])
def test_a_signal_for_the_parent_is_one_for_the_command(number):
    with started("sh", "-c", "echo ready; exec sleep 60") as run:
        run.process.send_signal(number)
        assert run.process.wait(10) == -number


def test_a_signal_that_the_command_deals_with_ends_neither():
    with started("sh", "-c", "trap 'echo got; exit 5' TERM; echo ready; sleep 60 & wait") as run:
        run.process.terminate()
        assert run.output.readline() == b"got\n"
        assert run.process.wait(10) == 5


def test_when_the_parent_is_killed_everything_ends():
    with started("sh", "-c", "setsid sleep 7392.03 & echo ready; sleep 60") as run:
        inside = run.pids
        assert len(inside) == 2
        run.process.kill()
        run.process.wait()
        eventually(lambda: not running("sleep", "7392.03"))
        eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in inside))


def test_when_the_first_process_is_killed_the_command_ends():
    with started("sh", "-c", "echo ready; sleep 60") as run:
        os.kill(run.pids[0], signal.SIGKILL)
        assert run.process.wait(10) == -signal.SIGKILL


def test_what_is_missing_is_said_at_once_and_nothing_is_run(tmp_path):
    lost = tmp_path / "lost"
    script = f"mkdir {lost}; cd {lost}; rmdir {lost}; exec setpriv --bounding-set -sys_admin {' '.join(SEALED)} echo unsealed"
    found = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert found.stdout == ""
    assert {code for code in ("EXW1101", "EXW1104") if code in found.stderr} == {"EXW1101", "EXW1104"}


def test_root_of_a_user_namespace_is_root_enough():
    ended = subprocess.run(
        ["unshare", "-Urnm", *SEALED, "ip", "-j", "link"], capture_output=True, text=True, check=False
    )
    assert [link["ifname"] for link in json.loads(ended.stdout)] == ["lo"], ended.stderr


def test_twenty_at_once():
    runs = [subprocess.Popen([*SEALED, "sh", "-c", f"exit {code}"]) for code in range(20)]
    assert [run.wait(60) for run in runs] == list(range(20))
