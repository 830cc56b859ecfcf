"""Hosts on one network, each a namespace of its own, which can be cut off; and etcd on each."""

from __future__ import annotations

import base64
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from glob import glob
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.integration.etcd import PROGRAM
from tests.integration.harness import Process, wait_until
from tests.integration.host import Host
from tests.rigs.tls_rig import Authority

NEEDED = ("ip", "curl", "etcd")
FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
"""Debian's package C{faketime}; its program is not used, since that passes no signals on."""


def unavailable() -> str | None:
    """Why there can't be any here; None if there can."""
    if os.geteuid():
        return "namespaces of the network want root"
    missing = [each for each in NEEDED if shutil.which(each) is None]
    if not glob(FAKETIME):
        missing.append("libfaketime")
    return f"not here: {', '.join(missing)}" if missing else None


def with_clock(shift: str) -> tuple[str, ...]:
    """What begins a command whose clock is wrong by so much: C{+3d}. Time passes as ever."""
    (library,) = glob(FAKETIME)
    return ("env", f"LD_PRELOAD={library}", f"FAKETIME={shift}", "DONT_FAKE_MONOTONIC=1")


_CLONE_NEWNET = 0x40000000
_SHARED = 24
"""Connections of which none comes to one of two workers once in eight million times."""


def _open(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _enter(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


class Network:
    """
    Namespaces 1 to C{count}, joined by a bridge in one more.

    Namespace N has the address 10.77.0.N.
    """

    def __init__(self, count: int) -> None:
        self._names = [f"subproxy-{os.getpid()}-{number}" for number in range(count + 1)]
        hub = self._names[0]
        for name in self._names:
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
        _ip("-n", hub, "link", "add", "bridge", "type", "bridge")
        _ip("-n", hub, "link", "set", "bridge", "up")
        for number, name in enumerate(self._names[1:], 1):
            line = f"line{number}"
            ends = ("type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("-n", hub, "link", "add", line, *ends)
            _ip("-n", hub, "link", "set", line, "master", "bridge", "up")
            _ip("-n", name, "addr", "add", f"{address(number)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")

    def inside(self, number: int) -> tuple[str, ...]:
        """What begins a command that runs there."""
        return ("ip", "netns", "exec", self._names[number])

    @contextmanager
    def entered(self, number: int) -> Iterator[None]:
        """Sockets that this thread makes meanwhile are there, for as long as they live."""
        own, there = _open("/proc/thread-self/ns/net"), _open(f"/run/netns/{self._names[number]}")
        try:
            _enter(there)
            yield
        finally:
            _enter(own)
            os.close(own)
            os.close(there)

    def cut(self, number: int) -> None:
        """Nothing comes from there, or goes there, any more; nobody is told."""
        _ip("-n", self._names[0], "link", "set", f"line{number}", "down")

    def heal(self, number: int) -> None:
        """It does again."""
        _ip("-n", self._names[0], "link", "set", f"line{number}", "up")

    def close(self) -> None:
        """There is none any more."""
        for name in self._names:
            subprocess.run(["ip", "netns", "delete", name], check=False, capture_output=True)


def address(number: int) -> str:
    """The address of a namespace."""
    return f"10.77.0.{number}"


class EtcdMember:
    """A member of the etcd of all hosts."""

    def __init__(self, network: Network, number: int, count: int, folder: Path) -> None:
        self._network = network
        self._number = number
        self._folder = folder / f"member-{number}"
        self._folder.mkdir()
        self._members = ",".join(
            f"m{each}=http://{address(each)}:2380" for each in range(1, count + 1)
        )
        self.url = f"http://{address(number)}:2379"
        self.process: Process | None = None

    def start(self) -> None:
        """Start it. It is healthy when most of them are there."""
        assert PROGRAM is not None
        peers = f"http://{address(self._number)}:2380"
        self.process = Process(
            "etcd",
            self._folder,
            [
                *self._network.inside(self._number),
                PROGRAM,
                f"--name=m{self._number}",
                f"--data-dir={self._folder / 'data'}",
                f"--listen-client-urls={self.url}",
                f"--advertise-client-urls={self.url}",
                f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}",
                f"--initial-cluster={self._members}",
                "--log-outputs=stderr",
                "--logger=zap",
            ],
        )

    def kill(self) -> None:
        """Kill it, as a crash does: its data are there at the next start."""
        if self.process is not None and self.process.child.poll() is None:
            self.process.signal(signal.SIGKILL)
            self.process.wait()

    def until_healthy(self) -> None:
        """Wait until it can be asked."""
        wait_until(lambda: b'"true"' in self._curl("/health"), "etcd is healthy")

    def ask(self, path: str, **about: Any) -> Any:
        """Ask the gateway of etcd."""
        return json.loads(self._curl(path, "-d", json.dumps(about)))

    def compact(self) -> None:
        """Forget all history."""
        key = base64.b64encode(b"/").decode()
        revision = self.ask("/v3/kv/range", key=key)["header"]["revision"]
        self.ask("/v3/kv/compaction", revision=revision, physical=True)

    def _curl(self, path: str, *more: str) -> bytes:
        asked = ["curl", "-s", "-m", "2", *more, f"{self.url}{path}"]
        command = [*self._network.inside(self._number), *asked]
        return subprocess.run(command, check=False, capture_output=True).stdout


class _InsideConnection(HTTPConnection):
    def __init__(self, host: NetworkHost) -> None:
        super().__init__("127.0.0.1", timeout=20)
        self._inside = host

    def connect(self) -> None:
        self.sock = self._inside.connect()


class NetworkHost(Host):
    """
    A host in a namespace. Its clients are there, too, whatever becomes of the network.

    @param workers: of its proxy.
    """

    def __init__(
        self, network: Network, number: int, authority: Authority, workers: int = 1
    ) -> None:
        super().__init__(f"kvm-{number}", authority)
        self._network = network
        self._number = number
        self._workers = workers

    def join(self, members: list[EtcdMember], *options: str, under: tuple[str, ...] = ()) -> None:
        """Start the proxy; it speaks with etcd."""
        proxy = self.start_proxy(
            f"--peer-listen=tcp:7443:interface={address(self._number)}",
            f"--peer-certificate={self.certificate}",
            f"--peer-ca={self.authority}",
            f"--admin={self.admin}",
            f"--workers={self._workers}",
            "--access-log=none",
            *(f"--cluster=etcd:{each.url}" for each in members),
            *options,
            prefix=(*self._network.inside(self._number), *under),
        )
        if self._workers > 1:
            proxy.wait_for(" serves: process ", self._workers)

    def connect(self) -> socket.socket:
        """A connection of a client of this host."""
        with self._network.entered(self._number):
            return socket.create_connection(("127.0.0.1", self.port), 20)

    def connection(self) -> HTTPConnection:
        return _InsideConnection(self)

    def said(self, host: str = "blog.example") -> str:
        client = self.connection()
        try:
            client.request("GET", "/", headers={"Host": host})
            response = client.getresponse()
            body = response.read()
            return body.decode().strip() if response.status == 200 else str(response.status)
        finally:
            client.close()

    def all_said(self, host: str = "blog.example") -> set[str]:
        """What all workers say."""
        return {self.said(host) for _ in range(1 if self._workers == 1 else _SHARED)}

    def until_answered(self, said: str, host: str = "blog.example", deadline: float = 30.0) -> None:
        """Wait until that guest answers, whichever worker is asked."""
        super().until_answered(said, host, deadline)
        wait_until(
            lambda: self.all_said(host) == {said},
            f"{said} answers at all workers of {self.name}",
            deadline,
        )
