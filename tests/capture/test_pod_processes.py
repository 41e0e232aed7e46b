"""Whose a process is, told by its cgroup; and which of a pod's network namespaces is the pod's."""

import pytest

from exitway.capture.pod_processes import PodProcesses, pod_uids

UID = "3a9e4c1b-0f2d-4e6a-9b8c-7d6e5f4a3b2c"
OTHER = "97cd5a13-d804-436a-8796-6fe1064994f0"
SLICE = UID.replace("-", "_")
ID = "8e5c" * 16


@pytest.mark.parametrize(("cgroup", "uids"), [
    (f"0::/kubepods/burstable/pod{UID}/{ID}", [UID]),
    (f"0::/kubepods/pod{UID}/{ID}", [UID]),  # guaranteed
    (f"0::/../../pod{UID}/{ID}", [UID]),  # seen from a cgroup namespace
    (f"12:memory:/kubepods/besteffort/pod{UID}/{ID}\n1:name=systemd:/kubepods/besteffort/pod{UID}/{ID}\n0::/\n", [UID]),
    (f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{SLICE}.slice/cri-containerd-{ID}.scope", [UID]),
    (f"0::/kubepods.slice/kubepods-pod{SLICE}.slice/crio-{ID}.scope", [UID]),
    (f"0::/kubepods.slice/kubepods-pod{SLICE}.slice/crio-{ID}.scope/container", [UID]),
    (f"0::/kubepods.slice/kubepods-pod{SLICE}.slice/crio-conmon-{ID}.scope", [UID]),
    (f"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{SLICE}.slice/docker-{ID}.scope", [UID]),
    (f"11:pids:/system.slice/containerd.service/kubepods-besteffort-pod{SLICE}.slice:cri-containerd:{ID}", [UID]),
    (f"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{SLICE}.slice/cri-containerd-{ID}.scope", [UID]),
    (f"0::/kubepods/pod{OTHER}/{ID}/kubelet/kubepods/pod{UID}/{ID}", [OTHER, UID]),  # a cluster in a pod
    (f"0::/kubepods/pod{UID}", [UID]),
    ("0::/", []),
    (f"0::/system.slice/crio-{ID}.scope", []),
    (f"0::/user.slice/mypod{UID}", []),  # no name that the kubelet gives
    (f"0::/kubepods/pod{UID}0/{ID}", []),
    (f"0::/kubepods/pod{'0' * 32}/{ID}", []),  # of a file on the node: its uid in the API is another
])  # fmt: skip
def test_the_pod_of_a_cgroup(cgroup, uids):
    assert pod_uids(cgroup) == uids


def test_a_look_finds_nobody_where_nobody_is():
    looking = PodProcesses()
    assert looking.sandboxes({UID}) == {}
    assert looking.sandboxes({UID}) == {}
