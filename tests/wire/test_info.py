"""Tests of subproxy.wire.info; the ranges are in tests/vectors/messages.json."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import info
from subproxy.wire.errors import MessageError
from subproxy.wire.info import PeerProcess, PeerRoute, Tls

Read = Callable[[dict[bytes, Any]], Any]


class InfoTests(SynchronousTestCase):
    def _reads(self, read: Read, key: bytes, default: Any, wrong: Any, *good: Any) -> None:
        """It has a default, and takes those values; a wrong one names the key."""
        self.assertEqual(default, read({b"other": 1}))
        for value in good:
            self.assertEqual(value, read({key: value}))
        error = self.assertRaises(MessageError, read, {key: wrong})
        self.assertTrue(str(error).startswith(f"{key.decode()}: "), error)

    def test_plain_values(self) -> None:
        self._reads(info.tunnel_tokens, b"tunnel", [], [b""], [], [b"websocket", b"TLS/1.0"])
        self._reads(info.process_wanted, b"process", None, 1024, 0, 1023)
        self._reads(info.tunnel_moves_at, b"tunnel", None, -1, 0, 1 << 20)
        self._reads(info.epoch, b"epoch", None, b"", b"\0", b"x" * 128)
        self._reads(info.full, b"full", False, 1, True, False)
        self._reads(info.tls_names, b"tls", [], [1], [], [b"sni", b"later"])
        self._reads(info.passthrough, b"passthrough", False, b"true", True)
        self._reads(info.takes_ahead, b"ahead", False, 1, True)
        self._reads(info.token_ahead, b"ahead", None, b"", b"x", b"x" * 128)
        self._reads(info.wakes_machine, b"wakes", False, 0, True)
        self._reads(info.tunnel_asked, b"tunnel", None, b"a b", b"websocket")
        self._reads(info.takes_trailers, b"trailers", False, None, True)
        self._reads(info.hops, b"hops", 0, 3, 0, 2)
        self._reads(info.stamped, b"stamped", False, 0, True)
        self._reads(info.end_length, b"length", None, -1, 0, 1 << 40)

    def test_process(self) -> None:
        """One of one, unless told."""
        self.assertEqual((0, 1), info.process({}))
        self.assertEqual((3, 4), info.process({b"process": 3, b"processes": 4}))
        self.assertRaises(MessageError, info.process, {b"processes": 0})

    def test_peer(self) -> None:
        self.assertIsNone(info.peer({}))
        self.assertEqual(PeerProcess(b"kvm-2", 0), info.peer({b"peer": {b"host": b"kvm-2"}}))
        self.assertEqual(PeerProcess(b"a", 3), info.peer({b"peer": {b"host": b"a", b"process": 3}}))
        self.assertRaises(MessageError, info.peer, {b"peer": {b"process": 3}})

    def test_peer_route(self) -> None:
        """Without whose it is, the rest says nothing."""
        self.assertIsNone(info.peer_route({b"weight": 7}))
        self.assertEqual(PeerRoute(b"h!i", 0, 100), info.peer_route({b"identity": b"h!i"}))
        said = {b"identity": b"h!i", b"concurrency": 5, b"weight": 7}
        self.assertEqual(PeerRoute(b"h!i", 5, 7), info.peer_route(said))
        self.assertRaises(MessageError, info.peer_route, {b"identity": b""})

    def test_tls(self) -> None:
        """What was not asked for, or is not there, is not told."""
        self.assertIsNone(info.tls({}))
        told = info.tls({b"tls": {b"version": b"1.3"}})
        self.assertEqual(Tls(b"1.3", None, None, False, None, None), told)
        every = {
            b"version": b"1.2",
            b"sni": b"a.example",
            b"alpn": b"h2",
            b"verified": True,
            b"sha256": bytes(32),
            b"cert": b"DER",
        }
        told = info.tls({b"tls": every})
        self.assertEqual(Tls(b"1.2", b"a.example", b"h2", True, bytes(32), b"DER"), told)
        self.assertRaises(MessageError, info.tls, {b"tls": {}})
