"""Other hosts as an operator asks for them: what is built, and what is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs

from subproxy.admin.site import Admin
from subproxy.app.admin import operations
from subproxy.app.build import Proxy, build_proxy
from subproxy.app.etcd import etcd_store, read_credentials
from subproxy.app.host_links import HostLinks
from subproxy.config.settings import Settings
from subproxy.core.balancing.member import MemberState
from subproxy.process.inherited_sockets import InheritedSockets
from tests.frontend.peer.host_tls_case import ENGINES
from tests.rigs.build_case import BuildTestCase
from tests.rigs.memory_hosts import certificate_files
from tests.rigs.tls_rig import Authority


class HostsTests(BuildTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        self.certificate, self.authority = certificate_files(self.folder, "kvm-1", Authority())
        self.settings = Settings(
            http=("tcp:1",),
            access_log="none",
            peer_listen="tcp:7443:interface=192.0.2.1",
            peer_certificate=self.certificate,
            peer_ca=self.authority,
        )

    def write(self, name: str, content: bytes) -> str:
        path = Path(self.folder) / name
        path.write_bytes(content)
        return os.fspath(path)

    def proxy(self, **changes: Any) -> tuple[Proxy, Admin, Any]:
        reactor: Any = MemoryReactorClock()
        built = build_proxy(replace(self.settings, **changes), reactor, InheritedSockets())
        admin = operations(built.service, built.router, built.counters, None, None, built.hosts)
        return built, admin, reactor

    def test_listener(self) -> None:
        """It is one of the proxy's, and handed over like those of clients."""
        service = self.build()
        (listener,) = service.peer_listeners
        self.assertEqual(listener.where, "tcp:7443:interface=192.0.2.1")
        self.assertIn(listener, service._client_listeners())
        self.assertIsInstance(service.peers, HostLinks)
        self.assertIs(service.registrar.observer, service.peers)

    def test_library(self) -> None:
        """What does TLS between hosts is what was asked for; by itself, the best that there is."""
        with capturedLogs() as logged:
            for library in ("python", "auto"):
                self.proxy(tls_library=library)
        said = [each["name"] for each in logged if "name" in each and "why" in each]
        self.assertEqual(said, ["Twisted's TLS", ENGINES[-1]().name])

    def test_named(self) -> None:
        """Those that are named are dialled when the reactor runs."""
        built, admin, reactor = self.proxy(peer_listen=None, peer=("kvm-2=192.0.2.2:7443",))
        self.assertEqual(built.service.peer_listeners, [])
        self.assertEqual(reactor.tcpClients, [])
        reactor.run()
        self.assertEqual([each[:2] for each in reactor.tcpClients], [("192.0.2.2", 7443)])
        data, status = admin.reply("hosts")
        self.assertEqual((status, data["host"], data["cluster"]), (200, "kvm-1", None))
        self.assertEqual([each["host"] for each in data["hosts"]], ["kvm-2"])
        page = admin.metrics().decode()
        self.assertIn("\nsubproxy_hosts_asked 0.0\n", page)
        self.assertNotIn("subproxy_cluster", page)

    def test_drained(self) -> None:
        """A host that an operator has drained stays so when it dials again, as guests do."""
        built, _, _ = self.proxy()
        assert built.hosts is not None
        hosts = built.hosts.links.factory.context.registrar
        built.service.registrar.assigned.drain("host:kvm-2", True)
        info = {
            b"application": b"subproxy",
            b"instance": b"i",
            b"peer": {b"host": b"kvm-2", b"process": 0},
        }
        member, _ = hosts.hello("host:kvm-2", info)
        self.assertEqual(member.state, MemberState.DRAINING)

    def test_cluster(self) -> None:
        """With a store, hosts are found there; what is told of it."""
        cluster = ("etcd:http://127.0.0.1:2379",)
        built, admin, _ = self.proxy(cluster=cluster)
        assert built.hosts is not None
        assert built.hosts.cluster is not None
        self.assertIs(built.hosts.links.publisher, built.hosts.cluster)
        data = admin.reply("hosts")[0]
        self.assertEqual(data["cluster"]["address"], "192.0.2.1:7443")
        page = admin.metrics().decode()
        for name, value in (("stale", 1), ("hosts", 0), ("routes", 0), ("unpublished", 1)):
            self.assertIn(f"\nsubproxy_cluster_{name} {value}.0\n", page)
        built, _, _ = self.proxy(cluster=cluster, peer_address="kvm-1.example:1")
        assert built.hosts is not None
        assert built.hosts.cluster is not None
        self.assertEqual(built.hosts.cluster.address, "kvm-1.example:1")

    def test_refused(self) -> None:
        """What cannot be used, the start says in one line."""
        rows: list[tuple[dict[str, Any], str]] = [
            ({"peer_certificate": "/none"}, "--peer-certificate: /none: No such file"),
            ({"peer": ("kvm-1=a:1",)}, "--peer=kvm-1=a:1: that is this host"),
            ({"peer_listen": "none:1"}, "--peer-listen=none:1: "),
            ({"peer_listen": "systemd:index=0"}, "--peer-listen=systemd:index=0: "),
        ]
        for changes, said in rows:
            complaint = self.complaint(**changes)
            self.assertIn(said, complaint)
            self.assertEqual(complaint.count("\n"), 1)

    def test_inherited(self) -> None:
        """A listener that another process has left is taken from there."""
        settings, reactor = self.settings, MemoryReactorClock()
        where = "tcp:7443:interface=192.0.2.1"
        left = InheritedSockets({"ports": {where: 0}})
        built = build_proxy(settings, reactor, left)  # type: ignore[no-untyped-call]
        (listener,) = built.service.peer_listeners
        self.assertEqual(listener.where, where)

    # The store.

    def store(self, **changes: Any) -> Any:
        settings = replace(self.settings, cluster=("etcd:https://127.0.0.1:2379",), **changes)
        return etcd_store(MemoryReactorClock(), settings)  # type: ignore[no-untyped-call]

    def test_credentials(self) -> None:
        """A line; a password may have colons."""
        good = self.write("good", b"name:pass:word\n")
        self.assertEqual(read_credentials(good), ("name", "pass:word"))
        self.store(cluster_credentials=good)
        for content in (b"", b"name", b"name:\n", b":word", b"\xff:\xff"):
            self.assertRaises(ValueError, read_credentials, self.write("bad", content))

    def test_store_refused(self) -> None:
        """Files that go with it, and cannot be used."""
        self.store(cluster_ca=self.authority)
        rows: list[tuple[dict[str, Any], str]] = [
            ({"cluster_credentials": "/none"}, "--cluster-credentials=/none: No such file"),
            ({"cluster_credentials": self.write("x", b"x")}, "a line USER:PASSWORD is needed"),
            ({"cluster_ca": "/none"}, "--cluster-ca=/none: No such file"),
            ({"cluster_ca": self.write("empty", b"")}, "there is no certificate in it"),
            (
                {"cluster_ca": self.write("ca", b"-----END CERTIFICATE-----")},
                "certificates in PEM are needed",
            ),
        ]
        for changes, said in rows:
            complaint = self.complaint(cluster=("etcd:http://a:1",), **changes)
            self.assertIn(said, complaint)
