import pytest

from exitway.proxy import binary
from exitway.proxy.binary import find_envoy
from exitway.resources.problem import Problems


def script(path, says):
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_packaged_binary_is_the_usual_one():
    assert find_envoy().name == "envoy"


def test_a_named_binary_is_taken_if_it_is_new_enough(tmp_path):
    envoy = script(tmp_path / "my-envoy", "my-envoy  version: 0123abcd/1.41.2/Clean/RELEASE/BoringSSL")
    assert find_envoy(str(envoy)) == envoy


def test_without_the_package_the_path_is_searched(tmp_path, monkeypatch):
    monkeypatch.setattr(binary, "_packaged", lambda: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    envoy = script(tmp_path / "envoy", "envoy  version: 0123abcd/1.40.0/Clean/RELEASE/BoringSSL")
    assert find_envoy() == envoy


@pytest.mark.parametrize(
    ("says", "code"),
    [
        ("envoy  version: 0123abcd/1.39.9/Clean/RELEASE/BoringSSL", "EXW0803"),
        ("a web browser", "EXW0802"),
        (None, "EXW0802"),
    ],
)
def test_a_binary_that_will_not_do_is_refused(tmp_path, says, code):
    path = tmp_path / "envoy"
    if says:
        script(path, says)
    with pytest.raises(Problems, match=code):
        find_envoy(str(path))


def test_no_binary_at_all_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(binary, "_packaged", lambda: "")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Problems, match="EXW0801"):
        find_envoy()
