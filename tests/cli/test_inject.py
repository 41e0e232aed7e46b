"""Files made ready to be captured, without a cluster."""

import json

import pytest
import yaml
from click.testing import CliRunner

from exitway.cli.main import cli
from exitway.names.cluster import CAPTURED

INSTALLATION = {
    "image": "example/exitway:1",
    "control": ["198.19.0.5"],
    "name": "n",
    "authorities": "PEM",
    "resolver": ["198.19.0.6"],
    "cluster": ["198.18.0.0/16"],
}
CONTAINERS = "containers: [{name: app, image: app, env: [{name: A, value: 'no'}]}]"
FILE = f"""\
apiVersion: v1
kind: Service
metadata: {{name: web, annotations: {{a: "yes"}}}}
spec: {{ports: [{{port: 80}}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  template:
    metadata: {{labels: {{app: web}}}}
    spec: {{{CONTAINERS}}}
---
apiVersion: batch/v1
kind: CronJob
metadata: {{name: job}}
spec:
  jobTemplate: {{spec: {{template: {{spec: {{{CONTAINERS}}}}}}}}}
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {{name: one}}
  spec: {{{CONTAINERS}}}
"""


@pytest.fixture
def inject(tmp_path):
    description = tmp_path / "installation.json"
    description.write_text(json.dumps(INSTALLATION))

    def run(text, *more):
        return CliRunner().invoke(cli, ["inject", "--installation", str(description), "-f", "-", *more], input=text)

    return run


@pytest.mark.parametrize(
    ("placement", "put"), [("sidecar", ["exitway-capture", "exitway-proxy"]), ("node", ["exitway-gate"])]
)
def test_the_pods_of_every_kind_are_made_ready_once(inject, placement, put):
    done = inject(FILE, "--placement", placement)
    assert done.exit_code == 0, done.output
    service, deployment, job, pod = yaml.safe_load_all(done.stdout)
    assert service == next(yaml.safe_load_all(FILE))
    for one in (deployment["spec"]["template"], job["spec"]["jobTemplate"]["spec"]["template"], pod):
        assert [init["name"] for init in one["spec"]["initContainers"]] == put
        assert one["spec"]["containers"][0]["env"] == [{"name": "A", "value": "no"}]
        assert one["metadata"]["labels"][CAPTURED] == placement
    assert deployment["spec"]["template"]["metadata"]["labels"]["app"] == "web"
    assert inject(done.stdout, "--placement", placement).stdout == done.stdout


def test_what_is_refused_is_said_with_its_place(inject):
    done = inject(FILE.replace("image: app,", "image: app, securityContext: {privileged: true},"))
    assert done.exit_code == 1
    assert done.stdout == ""
    said = [line.split()[:2] for line in done.stderr.splitlines() if "EXW" in line]
    assert [(place.split(":")[1], code) for place, code in said] == [
        ("12", "EXW1120"),
        ("18", "EXW1120"),
        ("26", "EXW1120"),
    ]


def test_what_is_allowed_all_the_same_is_a_warning_where_the_namespace_lets_it(inject):
    done = inject(
        FILE.replace(
            "metadata: {name: one}", "metadata: {name: one, annotations: {exitway.dev/allow-unsafe: hostPID}}"
        ).replace("spec: {containers", "spec: {hostPID: true, containers", 1)
    )
    assert done.exit_code == 1
    allowed = FILE.replace("labels: {app: web}", "annotations: {exitway.dev/allow-unsafe: hostPID}").replace(
        "spec: {containers", "spec: {hostPID: true, containers", 1
    )
    assert "hostPID" in inject(allowed, "--unsafe-pods").stderr
    refused = inject(allowed)
    assert refused.exit_code == 1
    assert "EXW1129" in refused.stderr
