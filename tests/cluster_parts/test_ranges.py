"""Where the ranges of a cluster are found."""

import pytest

from exitway.cluster.ranges import found_dns_ports, found_ranges

NODE = {
    "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24", "fd00:10:244:1::/64"]},
    "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.3"}, {"type": "Hostname", "address": "a"}]},
}
KUBEADM = 'networking:\n  dnsDomain: cluster.local\n  podSubnet: 10.244.0.0/16,fd00:10:244::/56\n  serviceSubnet: "10.96.0.0/16"\n'
NETWORK = {
    "status": {"clusterNetwork": [{"cidr": "10.128.0.0/14", "hostPrefix": 23}], "serviceNetwork": ["172.30.0.0/16"]}
}


@pytest.mark.parametrize(("objects", "ranges"), [
    ([NODE], "10.244.1.0/24 172.18.0.3/32 fd00:10:244:1::/64"),
    ([{"spec": {"cidrs": ["10.96.0.0/12", "fd00:10:96::/112"]}}], "10.96.0.0/12 fd00:10:96::/112"),
    ([NODE, {"data": {"ClusterConfiguration": KUBEADM}}], "10.96.0.0/16 10.244.0.0/16 172.18.0.3/32 fd00:10:244::/56"),
    ([{"spec": {"clusterNetwork": None}, **NETWORK}], "10.128.0.0/14 172.30.0.0/16"),
    ([{"spec": {"cidr": "192.168.0.0/16", "natOutgoing": True}}], "192.168.0.0/16"),
    ([{"spec": {}}, {"ports": [{"name": "dns", "port": 5353}]}], ""),
], ids=["nodes", "ServiceCIDRs", "kubeadm", "OpenShift", "Calico", "nothing"])  # fmt: skip
def test_ranges_are_found_in_what_there_is(objects, ranges):
    assert " ".join(map(str, found_ranges(objects))) == ranges


def test_the_ports_of_the_clusters_name_servers_are_found_but_53():
    coredns = {"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "metrics", "port": 9153}]}
    openshift = {
        "ports": [{"name": "dns-tcp", "port": 5353}, {"name": "dns", "port": 5353}, {"name": "metrics", "port": 9154}]
    }
    assert found_dns_ports([coredns, openshift, NODE, {"ports": None}]) == (5353,)
