"""Tests of subproxy.subscription.tunnels."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Quotas, parse_policy
from subproxy.core.http.upgrade import Upgrade
from subproxy.core.routing.registry import Registry
from subproxy.errors import BadRequest, NotImplementedHere, TooManyTunnels
from subproxy.subscription.peer_registrar import PeerRegistrar
from subproxy.subscription.registrar import Registrar
from subproxy.subscription.tunnels import Tunnels

POLICY = """
[default]
tunnels = 2
upgrades = ["websocket", "Echo/1"]

[[guest]]
identity = "a"
hosts = "a.example"

[[guest]]
identity = "b"
hosts = "b.example"
tunnels = 1
upgrades = []
"""


class TunnelsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.policy = parse_policy(POLICY)
        self.tunnels = Tunnels(self)

    def quotas(self, identity: str) -> Quotas:
        return self.policy.quotas(identity)

    def test_agreed(self) -> None:
        """What the policy allows, the guest takes and the client asks for."""
        for identity, tokens, asked, agreed in (
            ("a", {b"WebSocket"}, (b"websocket",), b"WebSocket"),
            ("a", {b"echo/1", b"websocket"}, (b"x", b"echo/1", b"websocket"), b"echo/1"),
            ("a", {b"tls"}, (b"tls",), None),
            ("a", set(), (b"websocket",), None),
            ("b", {b"websocket"}, (b"websocket",), None),
            ("nobody", {b"websocket"}, (b"websocket",), b"websocket"),
        ):
            found = self.tunnels.agreed(identity, frozenset(tokens), Upgrade(asked))
            self.assertEqual(found, agreed, (identity, asked))

    def test_a_fault_is_one_only_of_what_is_agreed(self) -> None:
        upgrade = Upgrade((b"websocket", b"echo/1"), b"", BadRequest("no key"))
        tokens = frozenset({b"websocket"})
        self.assertRaises(BadRequest, self.tunnels.agreed, "a", tokens, upgrade)
        self.assertIsNone(self.tunnels.agreed("b", tokens, upgrade))
        self.assertEqual(self.tunnels.agreed("a", frozenset({b"echo/1"}), upgrade), b"echo/1")

    def test_a_request_that_is_nothing_else(self) -> None:
        """An extended CONNECT without a tunnel is refused."""
        for identity, tokens in (("a", {b"tls"}), ("a", set()), ("b", {b"websocket"})):
            upgrade = Upgrade((b"websocket",), connects=True)
            error = self.assertRaises(
                NotImplementedHere, self.tunnels.agreed, identity, frozenset(tokens), upgrade
            )
            self.assertEqual(error.status, 501)

    def test_count(self) -> None:
        self.tunnels.opened("a")
        self.tunnels.opened("a")
        self.assertRaises(TooManyTunnels, self.tunnels.opened, "a")
        self.tunnels.opened("b")
        self.assertRaises(TooManyTunnels, self.tunnels.opened, "b")
        self.tunnels.closed("a")
        self.tunnels.opened("a")
        self.assertEqual([self.tunnels.count(each) for each in ("a", "b", "c")], [2, 1, 0])
        for identity in ("a", "a", "b"):
            self.tunnels.closed(identity)
        self.assertEqual(self.tunnels.count("a"), 0)

    def test_shares(self) -> None:
        """Of several processes each has its part; what goes through another one has no end."""
        registrar = Registrar(Registry(), lambda: 0.0, lambda member: None, self.policy)
        tunnels = Tunnels(registrar)
        registrar.divide("a", 2)
        tunnels.opened("a")
        self.assertRaises(TooManyTunnels, tunnels.opened, "a")
        registrar.divide("a", 1)
        tunnels.opened("a")
        tunnels = Tunnels(PeerRegistrar(Registry(), lambda: 0.0, lambda member: None))
        for _ in range(2000):
            tunnels.opened("worker:1")
        self.assertEqual(tunnels.total, 2000)
