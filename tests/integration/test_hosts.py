"""Hosts that pass requests on to one another, over mutual TLS: named by an operator."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.host import Host
from tests.rigs.tls_rig import Authority


class HostsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.authority = Authority()

    def host(self, name: str, authority: Authority | None = None) -> Host:
        host = Host(name, authority or self.authority)
        self.addCleanup(host.close)
        return host

    def test_two_hosts(self) -> None:
        """What only one serves, both answer; bodies go both ways; and each outlives the other."""
        one, two = self.host("kvm-1"), self.host("kvm-2")
        one.serve(two.peer)
        two.serve(one.peer)
        guest = one.guest("Named")
        one.guest("Mirror", "--host=mirror\\.example")
        one.until_asks("kvm-2")
        two.until_asks("kvm-1")
        two.until_answered("kvm-1")
        body = bytes(range(256)) * 8000
        for path in ("/", "/stream"):
            status, headers, echo = two.ask(path, "mirror.example", "POST", body)
            self.assertEqual((status, len(echo)), (200, len(body)))
            self.assertEqual(headers["x-digest"], hashlib.sha256(body).hexdigest())
            self.assertEqual(echo, body)
        # A pool spans hosts: each asks the one that is near, as long as there is one.
        two.guest("Named")
        two.until_answered("kvm-2")
        one.until_answered("kvm-1")
        guest.end()
        self.assertEqual({host.said() for _ in range(8) for host in (one, two)}, {"kvm-2"})
        # The host that has it stops; what the other one has goes on.
        assert two.proxy is not None
        two.proxy.end()
        one.until_asks()
        self.assertEqual(one.said("mirror.example"), "")
        self.assertEqual(one.said(), "503")

    def test_strangers(self) -> None:
        """Who has no certificate of the authority, or another host's, is not let in."""
        one = self.host("kvm-1")
        stranger, false = self.host("kvm-2", Authority("Another one")), self.host("kvm-3")
        one.serve()
        proxy = stranger.serve(one.peer)
        proxy.wait_for("kvm-1 (127.0.0.1")
        assert one.proxy is not None
        one.proxy.wait_for("a host is not let in")
        other = false.serve(f"--peer=kvm-9=127.0.0.1:{one.peer_port}")
        other.wait_for("its certificate is that of kvm-1")
        self.assertEqual(one.api("/api/hosts")["hosts"], [])

    def test_a_machine(self) -> None:
        """
        A request at a host starts a machine of another one that it was named to, and waits for it;
        but not while a guest of any host serves the route.
        """
        one, two = self.host("kvm-1"), self.host("kvm-2")
        starts = one.folder / "starts"
        guest = Path(__file__).parent / "machine_guest.py"
        command = [sys.executable, str(guest), "{listener}", "shop\\.example", "0"]
        config = one.folder / "subproxy.toml"
        config.write_text(
            '[[machine]]\nname = "shop"\nvmm = "process"\nhosts = "shop.example"\n'
            f"command = {json.dumps(command)}\nidle = 1\n"
            f'environment = {{ MACHINE_GUEST = "{one.folder}" }}\n'
        )
        folder = one.folder / "run"
        one.serve(two.peer, f"--config={config}", f"--machines-folder={folder}", "--hold=15")
        two.serve(one.peer, "--hold=15")
        near = two.guest("Named", "--host=shop\\.example")
        two.until_asks("kvm-1")
        self.assertEqual({two.said("shop.example") for _ in range(8)}, {"kvm-2"})
        self.assertFalse(starts.exists())
        near.end()
        two.until_answered("hello, world", "shop.example")
        self.assertEqual({two.said("shop.example") for _ in range(8)}, {"hello, world"})
        self.assertEqual(len(starts.read_text().split()), 1)
