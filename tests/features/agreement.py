"""Calls made by a sealed program, and what Envoy did with each."""

import itertools
import json

from exitway.flows.live import is_end
from exitway.names.host import authority_name
from tests.intents import LABELS

CALLER = """
import json, socket, ssl, sys
from concurrent.futures import ThreadPoolExecutor

def call(sort, name, address, port, method, path, headers):
    address = socket.getaddrinfo(address or name, port)[0][4][0]
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as connection:
        connection.settimeout(2)
        connection.connect((address, port))
        try:
            if sort == "tls":
                context = ssl._create_unverified_context()
                context.wrap_socket(connection, server_hostname=name)
            elif sort == "http":
                connection.sendall(f"{method} {path} HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n{headers}\\r\\n".encode())
            else:
                connection.sendall(b"\\x00\\x01\\x02 neither TLS nor HTTP\\r\\n\\r\\n")
            while connection.recv(4096):
                pass
        except OSError:
            pass
    return address

with ThreadPoolExecutor(25) as pool:
    for line in sys.stdin:
        print(json.dumps(list(pool.map(lambda one: call(*one), json.loads(line)))), flush=True)
"""
"""Makes the calls of a line, all at once, and says which addresses it dialled."""

EVERY_NAME = [".".join(labels) for count in (1, 2, 3) for labels in itertools.product(LABELS, repeat=count)]


def wire(name, spec, namespace="shop", api_version="exitway.dev/v1"):
    return {
        "apiVersion": api_version,
        "kind": "EgressRule",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


def replace_all(server, rules):
    """Make these all the rules that there are."""
    there = [
        item
        for kind in ("exitway.dev/v1", "config.istio.io/v1alpha2")
        for item in server.request("GET", f"/apis/{kind}/egressrules")["items"]
    ]
    kept = {identity(rule) for rule in rules}
    for verb, objects in (("delete", [item for item in there if identity(item) not in kept]), ("apply", rules)):
        if objects:
            answer = server.request("POST", "/exitway/v1/changes", {"verb": verb, "objects": objects, "wait": True})
            assert not answer["unacknowledged"]


def identity(rule):
    return rule["apiVersion"], rule["metadata"]["namespace"], rule["metadata"]["name"]


def entries(log, start, calls, addresses):
    """What was logged at the end of each call; nothing, as long as one is missing."""
    with log.open("rb") as file:
        file.seek(start)
        lines = [json.loads(line) for line in file if line.endswith(b"\n") and is_end(line)]
    found = [
        next((line for line in lines if is_of(line, sort, name, address, port)), None)
        for (sort, name, _, port, *_), address in zip(calls, addresses, strict=True)
    ]
    return found if all(found) else None


def is_of(entry, sort, name, address, port):
    dialled = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    if entry["destination"] != dialled:
        return False
    return {
        "http": authority_name(entry["authority"] or "") == name,  # the port is put back for who is not on port 80
        "tls": entry["sni"] == name,
        "tcp": not entry["authority"] and not entry["sni"],
    }[sort] or (
        entry["chain"] in ("tcp", "tcp-name", "deny") and not entry["authority"] and not entry["sni"]
    )  # nothing was looked for


def done(entry):
    """What Envoy did: by the filter chain, and for HTTP by its answer."""
    if entry["chain"] == "http":
        return not (entry["decision"] or "").startswith("deny")
    return entry["chain"] != "deny" and "UH" not in entry["flags"]  # our resolver has a say, too
