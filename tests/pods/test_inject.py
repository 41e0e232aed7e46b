"""What is put into pods: once, whatever is done to them in between."""

import json
from copy import deepcopy

import pytest

from exitway.names.cluster import CAPTURED, OPT_OUT, PLACEMENT, UNSAFE, UNSAFE_PODS, Placement
from exitway.pods.containers import CAPTURE, GATE, PROXY, TOKEN
from exitway.pods.inject import inject
from exitway.pods.installation import Installation
from exitway.pods.patch import patch
from exitway.pods.standing import disturbed, joined, moved
from exitway.resources.problem import Problems

INSTALLATION = Installation(
    image="example/exitway:1",
    control=("198.19.0.5",),
    name="exitway.exitway-system.svc",
    authorities="PEM",
    resolver=("198.19.0.6", "2001:db8:19::6"),
    cluster=("198.18.0.0/16", "2001:db8:18::/56"),
)
OLDER = Installation(**{**INSTALLATION.to_json(), "native": False})
SIDECAR, NODE = {PLACEMENT: "sidecar"}, {PLACEMENT: "node"}
LENIENT = {UNSAFE_PODS: "allowed"}


def pod(**spec):
    containers = [
        {"name": "app", "image": "app"},
        {"name": "other", "image": "other", "securityContext": {"capabilities": {"drop": ["ALL"]}}},
    ]
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": containers, "initContainers": [{"name": "first"}], "volumes": [{"name": "v"}], **spec},
    }


def annotated(made, **annotations):
    made["metadata"]["annotations"] = annotations
    return made


def names(made, kind):
    return [one["name"] for one in made["spec"].get(kind, [])]


def applied(before, operations):
    """JSON Patch, as the API server reads it."""
    after = deepcopy(before)
    for one in operations:
        *steps, last = [step.replace("~1", "/").replace("~0", "~") for step in one["path"][1:].split("/")]
        place = after
        for step in steps:
            place = place[step]
        if one["op"] == "remove":
            del place[last]
        else:
            assert (last in place) is (one["op"] == "replace")
            place[last] = one["value"]
    return after


@pytest.mark.parametrize(("namespace", "installation", "init", "containers"), [
    (SIDECAR, INSTALLATION, [CAPTURE, PROXY, "first"], ["app", "other"]),
    (SIDECAR, OLDER, [CAPTURE, "first"], [PROXY, "app", "other"]),
    (NODE, INSTALLATION, [GATE, "first"], ["app", "other"]),
    ({}, INSTALLATION, ["first"], ["app", "other"]),
], ids=["sidecar", "sidecar in an older cluster", "node", "no placement"])  # fmt: skip
def test_ours_come_first_and_only_once(namespace, installation, init, containers):
    made = inject(pod(), namespace, installation)
    assert names(made.pod, "initContainers") == init
    assert names(made.pod, "containers") == containers
    assert made.pod["metadata"].get("labels", {}).get(CAPTURED, "none") == made.placement
    assert inject(made.pod, namespace, installation).pod == made.pod
    assert applied(pod(), patch(pod(), made.pod)) == made.pod
    assert not list(disturbed(made.pod, inject(made.pod, namespace, installation)))


def test_no_placement_any_more_takes_out_what_was_put_in():
    plain = pod()
    for captured in (SIDECAR, NODE):
        again = inject(inject(plain, captured, INSTALLATION).pod, {}, INSTALLATION).pod
        assert names(again, "initContainers") == ["first"]
        assert names(again, "volumes") == ["v"]


def test_a_pod_chooses_its_placement_and_none_where_it_may():
    assert inject(annotated(pod(), **{PLACEMENT: "node"}), SIDECAR, INSTALLATION).placement is Placement.NODE
    none = annotated(pod(), **{PLACEMENT: "none"})
    assert inject(none, {**SIDECAR, OPT_OUT: "allowed"}, INSTALLATION).pod == none
    for wrong, code in ((none, "EXW1111"), (annotated(pod(), **{PLACEMENT: "ambient"}), "EXW1110")):
        with pytest.raises(Problems) as caught:
            inject(wrong, SIDECAR, INSTALLATION)
        assert [one.code for one in caught.value.problems] == [code]


def test_the_proxy_alone_has_the_token_and_may_set_marks():
    made = inject(pod(), SIDECAR, INSTALLATION).pod
    everyone = [*made["spec"]["initContainers"], *made["spec"]["containers"]]
    assert [one["name"] for one in everyone if TOKEN in str(one.get("volumeMounts"))] == [PROXY]
    for one in everyone:
        capabilities = one["securityContext"]["capabilities"]
        assert {"ALL", "NET_RAW"} & set(capabilities["drop"])
        assert ("NET_ADMIN" in capabilities.get("add", [])) is (one["name"] in (CAPTURE, PROXY))


def test_kubernetes_finds_nothing_to_expand_in_what_our_containers_run():
    for one in inject(pod(), SIDECAR, INSTALLATION).pod["spec"]["initContainers"]:
        assert "$(" not in "".join(one.get("command", []))


def test_the_gate_satisfies_the_restricted_standard():
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    security = inject(pod(), NODE, INSTALLATION).pod["spec"]["initContainers"][0]["securityContext"]
    assert security["allowPrivilegeEscalation"] is False
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["runAsNonRoot"] is True
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}


UNFILTERED = {"seccompProfile": {"type": "Unconfined"}}
PKI = {"name": "v", "hostPath": {"path": "/etc/pki"}}
READ = {"name": "v", "readOnly": True}
REFUSED = [
    ({"hostNetwork": True}, "EXW1113", "hostNetwork"),
    ({"hostPID": True}, "EXW1114", "hostPID"),
    ({"hostIPC": True}, "EXW1115", "hostIPC"),
    ({"shareProcessNamespace": True}, "EXW1116", "shareProcessNamespace"),
    ({"securityContext": {"sysctls": [{"name": "net.ipv4.ip_forward", "value": "1"}]}}, "EXW1117", "sysctls"),
    (
        {"securityContext": {"sysctls": [{"name": "net/ipv4/conf/all/route_localnet", "value": "1"}]}},
        "EXW1117",
        "sysctls",
    ),
    ({"volumes": [{"name": "v", "hostPath": {"path": "/run/containerd"}}]}, "EXW1118", "hostPath"),
    *(
        ({"volumes": [{"name": "v", "hostPath": {"path": path}}]}, "EXW1118", "hostPath")
        for path in ("/etc/pki/../../run", "/etc/pki/x/run/containerd", "/etc/ssl/certs/x", "/", "/etc/pki/.")
    ),
    *(
        (
            {"volumes": [PKI], kind: [{"name": "a", "volumeMounts": [READ, {"name": "v", **mount}]}]},
            "EXW1118",
            "hostPath",
        )
        for kind in ("containers", "initContainers", "ephemeralContainers")
        for mount in (
            {},
            {"readOnly": False},
            {"recursiveReadOnly": "Enabled"},
            {"readOnly": True, "subPath": "x/run"},
            {"readOnly": True, "subPathExpr": "$(X)"},
        )
    ),
    (
        {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"audience": "exitway"}}]}}]},
        "EXW1119",
        "token",
    ),
    ({"containers": [{"name": "a", "volumeMounts": [{"name": TOKEN}]}]}, "EXW1119", "token"),
    ({"containers": [{"name": "a", "securityContext": {"privileged": True}}]}, "EXW1120", "privileged"),
    *(
        ({kind: [{"name": "a", "securityContext": {"capabilities": {"add": [capability]}}}]}, "EXW1121", "capabilities")
        for kind in ("containers", "initContainers")
        for capability in (
            "NET_ADMIN",
            "NET_RAW",
            "cap_net_raw",
            "SYS_ADMIN",
            "SYS_MODULE",
            "BPF",
            "ALL",
            "NOT_KNOWN_YET",
        )
    ),
    ({"os": {"name": "windows"}}, "EXW1122", ""),
    ({"containers": [{"name": "a", "securityContext": {"procMount": "Unmasked"}}]}, "EXW1123", "procMount"),
    ({"securityContext": UNFILTERED}, "EXW1130", "seccomp"),
    *(
        ({kind: [{"name": "a", "securityContext": UNFILTERED}]}, "EXW1130", "seccomp")
        for kind in ("containers", "initContainers", "ephemeralContainers")
    ),
    ({"containers": [{"name": "a", "securityContext": {"privileged": True, **UNFILTERED}}]}, "EXW1120", "privileged"),
    *(
        ({kind: [{"name": "a", probe: {way: {"host": "198.51.100.9", "port": 80}}}]}, "EXW1131", "probes")
        for kind in ("containers", "initContainers")
        for probe in ("livenessProbe", "readinessProbe", "startupProbe")
        for way in ("httpGet", "tcpSocket")
    ),
    *(
        ({"containers": [{"name": "a", "lifecycle": {hook: {way: {"host": "a.example"}}}}]}, "EXW1131", "probes")
        for hook in ("postStart", "preStop")
        for way in ("httpGet", "tcpSocket")
    ),
    ({"containers": [{"name": PROXY}]}, "EXW1124", ""),
    ({"volumes": [{"name": TOKEN, "emptyDir": {}}]}, "EXW1124", ""),
]


@pytest.mark.parametrize("namespace", [SIDECAR, NODE], ids=["sidecar", "node"])
@pytest.mark.parametrize(("spec", "code", "word"), REFUSED, ids=str)
def test_what_defeats_the_boundary_is_refused_unless_it_is_allowed_by_name(spec, code, word, namespace):
    with pytest.raises(Problems) as caught:
        inject(pod(**spec), namespace, INSTALLATION)
    assert [one.code for one in caught.value.problems] == [code]
    if not word:
        return
    asking = annotated(pod(**spec), **{UNSAFE: f"hostPID,{word}"})
    made = inject(asking, namespace | LENIENT, INSTALLATION)
    assert word in made.warnings[0]
    assert made.placement == ("none" if "hostNetwork" in spec else namespace[PLACEMENT])
    other = annotated(pod(**spec), **{UNSAFE: "hostPID" if word == "token" else "token"})
    for wrong, labels, why in ((other, LENIENT, code), (asking, {}, "EXW1129"), (asking, {UNSAFE_PODS: ""}, "EXW1129")):
        with pytest.raises(Problems) as caught:
            inject(wrong, namespace | labels, INSTALLATION)
        assert [one.code for one in caught.value.problems] == [why]


def test_who_may_make_pods_may_not_by_that_alone_let_them_out():
    """The annotation is the pod's; the label that makes it count is the namespace's."""
    asking = annotated(pod(hostNetwork=True), **{UNSAFE: "hostNetwork,capabilities"})
    with pytest.raises(Problems) as caught:
        inject(asking, {**NODE, OPT_OUT: "allowed"}, INSTALLATION)
    (problem,) = caught.value.problems
    assert "hostNetwork" in problem.message
    assert "capabilities" not in problem.message
    assert f"{UNSAFE_PODS}=allowed" in problem.hint
    needless = annotated(pod(), **{UNSAFE: "capabilities"})
    assert inject(needless, NODE, INSTALLATION).warnings == ()


def test_all_that_stands_against_a_pod_comes_at_once():
    wrong = annotated(
        pod(hostNetwork=True, hostPID=True, containers=[{"name": "a", "securityContext": {"privileged": True}}]),
        **{UNSAFE: "everything,hostPID"},
    )
    with pytest.raises(Problems) as caught:
        inject(wrong, SIDECAR, INSTALLATION)
    assert [one.code for one in caught.value.problems] == ["EXW1112", "EXW1129", "EXW1113", "EXW1120"]


def test_what_is_harmless_is_not_refused():
    volumes = [
        {"name": "zone", "hostPath": {"path": "/usr/share/zoneinfo/"}},
        {"name": "own", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}},
    ]
    containers = [
        {
            "name": "a",
            "securityContext": {"capabilities": {"add": ["NET_BIND_SERVICE", "CAP_SYS_PTRACE"]}},
            "volumeMounts": [{"name": "zone", "readOnly": True}, {"name": "own"}],
            "livenessProbe": {
                "httpGet": {"port": 80, "host": "", "httpHeaders": [{"name": "Host", "value": "a.example"}]}
            },
            "readinessProbe": {"exec": {"command": ["true"]}},
            "lifecycle": {"preStop": {"sleep": {"seconds": 1}}, "postStart": None},
        }
    ]
    sysctls = {
        "sysctls": [
            {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"},
            {"name": "kernel.shm_rmid_forced", "value": "1"},
        ]
    }
    assert (
        inject(pod(volumes=volumes, containers=containers, securityContext=sysctls), SIDECAR, INSTALLATION).warnings
        == ()
    )


@pytest.mark.parametrize("namespace", [SIDECAR, NODE], ids=["sidecar", "node"])
@pytest.mark.parametrize("said", [None, {}, {"runAsUser": 1000}, {"seccompProfile": None}], ids=str)
def test_a_pod_that_says_nothing_of_a_filter_of_system_calls_has_that_of_its_runtime(said, namespace):
    made = inject(pod(securityContext=said), namespace, INSTALLATION).pod
    assert made["spec"]["securityContext"] == {**(said or {}), "seccompProfile": {"type": "RuntimeDefault"}}
    assert inject(made, namespace, INSTALLATION).pod == made


def test_a_filter_of_ones_own_stays():
    own = {"seccompProfile": {"type": "Localhost", "localhostProfile": "a.json"}}
    containers = [{"name": "a", "securityContext": dict(own)}]
    made = inject(pod(securityContext=own, containers=containers), NODE, INSTALLATION).pod["spec"]
    assert made["securityContext"] == own
    assert made["containers"][0]["securityContext"]["seccompProfile"] == own["seccompProfile"]
    asking = annotated(pod(securityContext=UNFILTERED), **{UNSAFE: "seccomp"})
    assert inject(asking, NODE | LENIENT, INSTALLATION).pod["spec"]["securityContext"] == UNFILTERED


def _with(made, change):
    copy = deepcopy(made)
    change(copy["spec"])
    return copy


def constrain(spec):
    """As OpenShift does."""
    for one in [*spec["initContainers"], *spec["containers"]]:
        one["securityContext"].setdefault("runAsUser", 1000650000)
        one["securityContext"]["capabilities"].setdefault("drop", []).append("MKNOD")


def test_what_another_webhook_did_to_ours_is_seen():
    made = inject(pod(), SIDECAR, INSTALLATION).pod
    for change in (
        lambda spec: spec["initContainers"].insert(0, {"name": "theirs"}),
        lambda spec: spec["initContainers"].pop(0),
        lambda spec: spec["initContainers"][1].pop("restartPolicy"),
        lambda spec: spec["initContainers"][1]["securityContext"].update(privileged=True),
        lambda spec: spec["initContainers"][1].update(volumeMounts=[]),
        lambda spec: spec["containers"][0].pop("securityContext"),
        lambda spec: spec.pop("securityContext"),
        lambda spec: spec["securityContext"].pop("seccompProfile"),
    ):
        after = _with(made, change)
        assert {one.code for one in disturbed(after, inject(after, SIDECAR, INSTALLATION))} == {"EXW1126"}
    constrained = _with(made, constrain)
    assert not list(disturbed(constrained, inject(constrained, SIDECAR, INSTALLATION)))
    added = _with(
        made, lambda spec: [one.setdefault("env", []).append({"name": "A"}) for one in spec["initContainers"]]
    )
    assert not list(disturbed(added, inject(added, SIDECAR, INSTALLATION)))


def test_a_captured_pod_stays_what_it_is():
    made = inject(pod(), SIDECAR, INSTALLATION).pod
    assert not list(moved(made, _with(made, lambda spec: spec["containers"][0].update(image="newer"))))
    assert len(list(moved(made, _with(made, lambda spec: spec["initContainers"][1].update(image="theirs"))))) == 1
    for what in (
        pod(),
        annotated(deepcopy(made), **{UNSAFE: "capabilities"}),
        annotated(deepcopy(made), **{PLACEMENT: "node"}),
    ):
        assert {one.code for one in moved(made, what)} == {"EXW1125"}
    assert len(list(moved(pod(), made))) == 1


def test_a_container_for_debugging_is_held_to_the_same():
    made = inject(pod(), SIDECAR, INSTALLATION).pod
    made["spec"]["ephemeralContainers"] = [
        {"name": "debugger", "targetContainerName": "app", "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}}}
    ]
    made["spec"]["volumes"] += [
        {"name": "pki", "hostPath": {"path": "/etc/pki"}},
        {"name": "run", "hostPath": {"path": "/run"}},
    ]
    problems, confined = joined(made, SIDECAR)
    assert not problems
    assert confined[0]["securityContext"]["capabilities"] == {"add": ["SYS_PTRACE"], "drop": ["NET_RAW"]}
    for wrong in (
        {"targetContainerName": PROXY},
        {"securityContext": {"privileged": True}},
        {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
        {"volumeMounts": [{"name": "pki"}]},
        {"volumeMounts": [{"name": "run", "readOnly": True}]},
    ):
        made["spec"]["ephemeralContainers"] = [{"name": "debugger", **wrong}]
        assert len(joined(made, SIDECAR)[0]) == 1
    made["spec"]["ephemeralContainers"] = [{"name": "debugger", "securityContext": {"capabilities": {"add": ["BPF"]}}}]
    annotated(made, **{UNSAFE: "capabilities"})
    assert [one.code for one in joined(made, SIDECAR)[0]] == ["EXW1129"]
    assert not joined(made, SIDECAR | LENIENT)[0]


def test_an_installation_is_what_its_description_says():
    assert Installation.of(json.loads(json.dumps(INSTALLATION.to_json()))) == INSTALLATION
    for wrong in (None, {}, {"image": 1}, {"image": "a", "more": 1}, {"image": "a", "cluster": ["nowhere"]}):
        with pytest.raises(Problems):
            Installation.of(wrong)
