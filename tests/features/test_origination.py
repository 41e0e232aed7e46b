"""Plain HTTP that leaves as TLS: only to the server that the name means, and otherwise an answer that says what was wrong."""

import json
import os
import shutil
import time

import pytest

from exitway.cli.client import Refusal
from exitway.proxy.admin import admin
from tests.features.conftest import eventually
from tests.resources.wire import exitway as rule
from tests.resources.wire import istio, to

pytestmark = pytest.mark.lab

ORIGINATED = [
    # (host and port, the file with authorities, what the answer and the record say of it: empty where the server answers)
    ("api.github.com:443", "", ""),
    ("a.lab.test:8443", "", ""),
    ("*.wild.lab.test:443", "", ""),
    ("untrusted.lab.test:443", "", "CERTIFICATE_VERIFY_FAILED"),
    ("untrusted.lab.test:8443", "untrusted.pem", ""),
    ("c.lab.test:443", "ca.pem", ""),
    ("c.lab.test:8443", "untrusted.pem", "CERTIFICATE_VERIFY_FAILED"),
    ("wrong-name.lab.test:443", "", "verify_SAN_list"),
    ("wrong-name.lab.test:8443", "ca.pem", "verify_SAN_list"),
    ("expired.lab.test:443", "", "certificate_has_expired"),
    ("old-tls.lab.test:443", "", "HANDSHAKE_FAILURE_ON_CLIENT_HELLO"),
    ("b.lab.test:80", "", "WRONG_VERSION_NUMBER"),  # no TLS there
]


def test_a_server_is_reached_over_verified_tls_or_not_at_all(server, lab, outside):
    targets = [originated(host, lab.directory / file if file else None) for host, file, _ in ORIGINATED]
    create(server, rule(*targets), istio("www.google.com", "443/https", name="google"))
    rows = [(host.replace("*", "x"), failure) for host, _, failure in ORIGINATED] + [("www.google.com:443", "")]
    ask = " ".join(f"http://{host}/users" for host, _ in rows)
    said = server("run", "-n", "shop", "--", "sh", "-c", f"for url in {ask}; do curl -s -i $url; echo; echo ---; done")
    for (host, failure), answer in zip(rows, said.split("---\n"), strict=False):
        assert f" {503 if failure else 200} " in answer.partition("\n")[0], answer
        assert ("x-exitway-decision: allow; failed=UF" in answer) == bool(failure)
        assert failure in answer
        name, _, port = host.partition(":")
        flow = server.flow(name=name, port=int(port), verdict="allow")
        assert failure in flow.get("detail", "")
        assert flow["rule"] == ("egress-rule/shop/google" if "google" in host else "egress-rule/shop/rule")
    assert [(fact["path"], f"{fact['sni']}:{fact['port']}") for fact in outside.requests()] == [
        ("/users", host) for host, failure in rows if not failure
    ]


def test_a_file_of_authorities_that_changes_holds_at_once(server, lab, tmp_path):
    file = tmp_path / "ca.pem"
    shutil.copy(lab.directory / "untrusted.pem", file)
    trusting = rule(originated("a.lab.test:443", file))
    create(server, trusting)
    with asking(server, "http://a.lab.test:443/") as ask:
        assert ask() == "503"
        shutil.copy(lab.ca_file, file)
        create(server, trusting)  # what `exitway replace` does
        assert ask() == "200"
        file.write_bytes(b"-----BEGIN CERTIFICATE-----\n")  # while it is being written
        time.sleep(0.6)
        assert ask() == "200"
        shutil.copy(lab.directory / "untrusted.pem", file)
        assert eventually(lambda: ask() == "503")  # nobody says anything: a look each quarter of a second is enough


def test_a_proxy_has_authorities_as_long_as_a_rule_names_them(server, lab, tmp_path):
    same = shutil.copy(lab.ca_file, tmp_path / "same.pem")
    with asking(server, "http://a.lab.test:443/") as ask:
        for name, file in (("one", lab.ca_file), ("two", lab.ca_file), ("three", same)):
            create(
                server, rule(originated(f"{'abc'[['one', 'two', 'three'].index(name)]}.lab.test:443", file), name=name)
            )
        assert ask() == "200"
        assert len(verifying(server)) == 2
        for name in ("one", "two", "three"):
            server("delete", "egressrule", name, "-n", "shop")
        assert ask() == "404"
        assert not verifying(server)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (None, "No such file or directory"),
        ("directory", "it is not a file"),
        ("pipe", "it is not a file"),
        (b"", "there is no certificate in it"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "there is no certificate in it"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "a certificate in it is malformed"),
        (b"x" * (4 * 2**20 + 1), "it is larger than"),
    ],
)
def test_a_rule_whose_authorities_cannot_be_read_is_refused(server, tmp_path, content, why):
    file = tmp_path / "ca.pem"
    if content == "directory":
        file.mkdir()
    elif content == "pipe":
        os.mkfifo(file)
    elif content is not None:
        file.write_bytes(content)
    wire = rule(originated("a.lab.test:443", file))
    with pytest.raises(Refusal, match="EXW0325") as refused:
        create(server, wire)
    assert why in str(refused.value.status)
    brought = tmp_path / "rule.yml"
    brought.write_text(json.dumps(wire))
    result = server.result("run", "-n", "shop", "-f", brought, "--", "true")
    assert result.returncode != 0
    assert why in result.stderr


def test_a_workload_is_taken_in_again_when_its_authorities_have_gone(server, lab, tmp_path):
    file = shutil.copy(lab.ca_file, tmp_path / "ca.pem")
    brought = tmp_path / "rule.yml"
    brought.write_text(json.dumps(rule(originated("a.lab.test:443", file))))
    with asking(server, "http://a.lab.test:443/", "-f", brought) as ask:
        assert ask() == "200"
        file.unlink()
        os.kill(server.status()["pid"], 9)
        server("up")
        assert eventually(lambda: ask() == "503")  # nothing vouches for anybody now
        shutil.copy(lab.ca_file, file)
        assert eventually(lambda: ask() == "200")


def originated(host, file):
    name, _, port = host.rpartition(":")
    return to(name, f"{port}/HTTP", originateTLS=True, **({"caFile": str(file)} if file else {}))


def create(server, *rules):
    changes = {"verb": "apply", "objects": list(rules), "wait": True}
    assert not server.request("POST", "/exitway/v1/changes", changes)["unacknowledged"]


def verifying(server):
    """The clusters that the proxy has for authorities of their own."""
    dump = json.loads(admin(server.settings.admin_socket, "GET", "/config_dump?resource=dynamic_active_clusters"))
    names = [one["cluster"]["name"] for one in dump.get("configs", ())]
    return [name for name in names if name.startswith("dynamic_forward_proxy_tls/")]


class asking:  # noqa: N801 - reads as what it is
    """A program that asks for a URL each time it is told to; says the status."""

    def __init__(self, server, url, *options):
        fetch = f"while read line; do curl -s -o /dev/null -w '%{{http_code}}\\n' {url}; done"
        self._program = server.start("run", "-n", "shop", *options, "--", "sh", "-c", fetch)

    def __enter__(self):
        return self._ask

    def __exit__(self, *_):
        with self._program:
            pass

    def _ask(self):
        self._program.stdin.write("\n")
        self._program.stdin.flush()
        return self._program.stdout.readline().strip()
