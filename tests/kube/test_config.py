"""What a kubeconfig may hold beside what we know, and what it may not."""

import pytest
import yaml

from exitway.kube.config import find_config
from exitway.resources.problem import Problems


def test_an_entry_may_hold_what_nobody_knows_and_a_user_nothing(tmp_path):
    config = {
        "current-context": "mine",
        "contexts": [{"name": "mine", "context": {"cluster": "kube", "user": "me"}, "colour": "red"}],
        "clusters": [{"colour": "red", "name": "kube", "cluster": {"server": "https://a.example"}}],
        "users": [{"name": "me"}],
    }
    (tmp_path / "config").write_text(yaml.safe_dump(config))
    assert find_config(tmp_path / "config").cluster.server == "https://a.example"


@pytest.mark.parametrize("wrong", ["x", 3, [1], {"exec": 3}, {"exec": {"command": 3}}])
def test_what_cannot_be_used_is_a_problem(wrong, tmp_path):
    (tmp_path / "config").write_text(yaml.safe_dump({"users": [{"name": "me", "user": wrong}]}))
    with pytest.raises(Problems, match="EXW1401"):
        find_config(tmp_path / "config")
