"""Upgrades over HTTP/1.1: from a client's bytes to a guest's frames, and back, on both paths."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Policy, Quotas
from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.close_reason import CloseReason
from subproxy.wire import messages as m
from tests.rigs.fastpath_rig import Pair
from tests.rigs.wire_pair import frames_of

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: WebSocket\r\nConnection: keep-alive, "
    b"Upgrade\r\nSec-WebSocket-Key: " + KEY + b"\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: chat, superchat\r\nOrigin: http://a.example\r\n\r\n"
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
)
ACCEPT = m.Response(1, 200, [(b"Sec-WebSocket-Protocol", b"chat")], {}, None).encode()


class TunnelCase(SynchronousTestCase):
    """Both paths; where nothing is compiled both are the same."""

    def pair(self, **options: Any) -> Pair:
        """A client and a guest that takes WebSockets."""
        pair = Pair(**{"tunnel": [b"websocket", b"echo/1"], **options})
        self.addCleanup(pair.close)
        return pair

    def opened(self, **options: Any) -> Pair:
        """A tunnel that is open, and has credit for 10 bytes."""
        pair = self.pair(**options)
        pair.client(HANDSHAKE)
        pair.guest(ACCEPT)
        pair.guest(m.Credit(1, 10).encode())
        return pair

    def frames(self, pair: Pair) -> list[list[Any]]:
        """What the guest was sent by the last event."""
        return frames_of(pair.last["guest"])  # type: ignore[arg-type, return-value]

    def sent(self, pair: Pair) -> bytes:
        """What the client was sent by the last event."""
        return pair.last["client"]  # type: ignore[return-value]


class OpeningTests(TunnelCase):
    def test_websocket(self) -> None:
        """The example of RFC 6455 section 1.3."""
        pair = self.pair()
        pair.client(HANDSHAKE)
        [[verb, number, method, target, fields, info, body]] = self.frames(pair)
        self.assertEqual(
            (verb, number, method, target, body), (b"request", 1, b"GET", b"/chat", None)
        )
        self.assertEqual(info[b"tunnel"], b"websocket")
        names = [name.lower() for name, _ in fields]
        self.assertNotIn(b"upgrade", names)
        self.assertNotIn(b"connection", names)
        self.assertIn([b"Sec-WebSocket-Protocol", b"chat, superchat"], fields)
        self.assertIn([b"Origin", b"http://a.example"], fields)
        self.assertEqual(pair.last["in flight"], 1)
        pair.guest(ACCEPT)
        self.assertTrue(self.sent(pair).startswith(SWITCHING + b"Sec-WebSocket-Protocol: chat\r\n"))
        self.assertTrue(self.sent(pair).endswith(b"\r\n\r\n"))
        self.assertEqual(pair.last["in flight"], 0)

    def test_what_the_guest_may_not_say(self) -> None:
        """The accept key is ours, and what concerns the connection; a length means nothing."""
        pair = self.pair()
        pair.client(HANDSHAKE)
        fields = [
            (b"Sec-WebSocket-Accept", b"wrong"),
            (b"Upgrade", b"h2c"),
            (b"Connection", b"close"),
            (b"Content-Length", b"3"),
            (b"Set-Cookie", b"a=b"),
        ]
        pair.guest(m.Response(1, 299, fields, {}, None).encode())
        self.assertTrue(self.sent(pair).startswith(SWITCHING + b"Set-Cookie: a=b\r\n"))
        for word in (b"wrong", b"h2c", b"close", b"Content-Length"):
            self.assertNotIn(word, self.sent(pair))

    def test_another_protocol(self) -> None:
        """As the policy allows; the guest's spelling, and no key where there is none."""
        request = (
            b"POST / HTTP/1.1\r\nHost: a.example\r\n"
            b"Connection: upgrade\r\nUpgrade: x, Echo/1\r\n\r\n"
        )
        pair = self.pair()
        pair.client(request)
        [frame] = self.frames(pair)
        self.assertNotIn(b"tunnel", frame[5])
        self.assertEqual(frame[6], b"")
        pair.guest(m.Response(1, 200, [], {}, b"plain").encode())
        self.assertTrue(self.sent(pair).startswith(b"HTTP/1.1 200 OK\r\n"))
        allowed = frozenset({b"echo/1"})
        for side in pair.sides:
            side.world.registrar.policy._upgrades = allowed
        pair.client(request)
        [frame] = self.frames(pair)
        self.assertEqual(frame[5][b"tunnel"], b"echo/1")
        pair.guest(m.Response(2, 200, [], {}, None).encode())
        lines = self.sent(pair).split(b"\r\n")
        self.assertEqual(lines[1:3], [b"Upgrade: echo/1", b"Connection: Upgrade"])
        self.assertNotIn(b"Sec-", self.sent(pair))

    def test_refused(self) -> None:
        """An answer like any other; the connection stays, and is parsed by the strict rules."""
        for response in (
            m.Response(1, 404, [], {}, b"no").encode(),
            m.Response(1, 200, [], {}, b"no").encode(),
            m.Response(1, 403, [(b"content-length", b"2")], {}, None).encode()
            + m.Body(1, b"no").encode()
            + m.End(1).encode(),
        ):
            pair = self.pair()
            pair.client(HANDSHAKE)
            pair.guest(response)
            self.assertTrue(self.sent(pair).endswith(b"\r\n\r\nno"))
            self.assertNotIn(b"101", self.sent(pair))
            pair.client(b"\x81\x05hello")
            self.assertTrue(self.sent(pair).startswith(b"HTTP/1.1 400 "))

    def test_a_client_that_does_not_wait(self) -> None:
        """RFC 9931: it is closed, and nothing of what it sent goes further."""
        pair = self.pair()
        pair.client(HANDSHAKE + b"\x81\x85early")
        pair.guest(ACCEPT)
        self.assertEqual(self.sent(pair), b"")
        for side in pair.sides:
            self.assertIs(side.protocol.close_reason, CloseReason.EARLY_DATA)
        pair.lose()
        [abort] = self.frames(pair)
        self.assertEqual(abort[:3], [b"abort", 1, b"client"])

    def test_a_client_that_did_not_wait_and_is_refused(self) -> None:
        """What it sent is read as a request."""
        pair = self.pair()
        pair.client(HANDSHAKE + b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n")
        pair.guest(m.Response(1, 200, [], {}, b"").encode())
        self.assertEqual(self.frames(pair)[-1][3], b"/next")

    def test_faults(self) -> None:
        """All of the handshake's checks (RFC 6455 section 4.2.1), before a guest is asked."""
        for old, new, status in (
            (b"GET /", b"POST /", b"400"),
            (b"Version: 13", b"Version: 8", b"426"),
            (b"Version: 13", b"Version: 13, 8", b"426"),
            (b"Sec-WebSocket-Version: 13\r\n", b"", b"426"),
            (KEY, KEY[:-2], b"400"),
            (KEY, b"!" + KEY[1:], b"400"),
            (KEY, KEY + KEY, b"400"),
            (b"Sec-WebSocket-Key: " + KEY + b"\r\n", b"", b"400"),
            (b"Origin:", b"Sec-WebSocket-Key: " + KEY + b"\r\nOrigin:", b"400"),
        ):
            pair = self.pair()
            pair.client(HANDSHAKE.replace(old, new))
            self.assertEqual(self.sent(pair)[9:12], status, new)
            # RFC 6455 section 4.4, RFC 9110 sections 15.5.22 and 7.8.
            for field in (
                b"Sec-WebSocket-Version: 13",
                b"Upgrade: websocket",
                b"Connection: Upgrade",
            ):
                self.assertEqual(b"\r\n" + field + b"\r\n" in self.sent(pair), status == b"426")
            self.assertEqual(self.frames(pair), [])
            self.assertEqual(pair.last["in flight"], 0)

    def test_what_is_no_upgrade(self) -> None:
        """It is ignored (RFC 9110 section 7.8), and the request is one like any other."""
        for old, new in (
            (b"keep-alive, Upgrade", b"keep-alive"),
            (b"Upgrade: WebSocket\r\n", b""),
            (b"Upgrade: WebSocket", b"Upgrade: web socket"),
            (b"Upgrade: WebSocket", b"Upgrade: /13"),
            (b"Upgrade: WebSocket", b"Upgrade: h2c"),
            (b"Upgrade: WebSocket", b"Upgrade: " + b"a," * 8 + b"websocket"),
            (b"HTTP/1.1", b"HTTP/1.0"),
            (b"Origin:", b"Content-Length: 5\r\nOrigin:"),
        ):
            pair = self.pair()
            data = HANDSHAKE.replace(old, new)
            pair.client(data + (b"hello" if b"Content-Length" in data else b""))
            [frame] = self.frames(pair)
            self.assertNotIn(b"tunnel", frame[5], new)

    def test_a_guest_that_takes_none(self) -> None:
        """It is asked as ever; a broken handshake is its own affair."""
        for data in (HANDSHAKE, HANDSHAKE.replace(KEY, b"x")):
            pair = self.pair(tunnel=None)
            pair.client(data)
            [frame] = self.frames(pair)
            self.assertNotIn(b"tunnel", frame[5])
            self.assertEqual(frame[6], b"")

    def test_the_quota(self) -> None:
        """Beyond it: 503; one that has ended makes room."""
        pair = self.opened()
        for side in pair.sides:
            side.world.registrar.policy = Policy(None, Quotas(tunnels=1))
        pair.connect()
        pair.client(HANDSHAKE)
        self.assertTrue(self.sent(pair).startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"has all the tunnels that it may have", self.sent(pair))
        pair.guest(m.Abort(1, b"error", b"").encode())
        pair.client(HANDSHAKE)
        self.assertEqual(self.frames(pair)[0][0], b"request")


class PassingTests(TunnelCase):
    def test_both_ways(self) -> None:
        """As it comes, without framing; the guest's credit is given back as the client takes it."""
        pair = self.opened()
        pair.client(b"hello")
        self.assertEqual(self.frames(pair), [[b"body", 1, b"hello"]])
        pair.guest(m.Body(1, b"\r\n0\r\n\r\n").encode())
        self.assertEqual(self.sent(pair), b"\r\n0\r\n\r\n")
        pair.guest(m.Body(1, b"x" * 40_000).encode())
        self.assertEqual(self.sent(pair), b"x" * 40_000)
        self.assertEqual(self.frames(pair)[0][:2], [b"credit", 1])

    def test_credit(self) -> None:
        """What the guest has no room for waits, and the client is not read; nothing is lost."""
        pair = self.opened()
        pair.client(b"0123456789abc")
        self.assertEqual(self.frames(pair), [[b"body", 1, b"0123456789"]])
        for side in pair.sides:
            self.assertEqual(side.transport.producerState, "paused")
        pair.guest(m.Credit(1, 100).encode())
        self.assertEqual(self.frames(pair), [[b"body", 1, b"abc"]])
        for side in pair.sides:
            self.assertEqual(side.transport.producerState, "producing")

    def test_a_client_that_does_not_take_it(self) -> None:
        """The guest has its window, and no more; nobody keeps the client to a pace."""
        pair = self.opened(limits=HttpLimits(body_rate=1000, body_grace=1.0))
        pair.guest(m.Body(1, b"x" * 65_536).encode())
        pair.stall()
        pair.guest(m.Body(1, b"x" * 65_536).encode())
        pair.guest(m.Body(1, b"x" * 65_536).encode())
        self.assertEqual(self.frames(pair), [])
        pair.wait(60)
        pair.drain()
        self.assertEqual(self.frames(pair)[0][:2], [b"credit", 1])

    def test_a_guest_that_does_not_read(self) -> None:
        pair = self.opened()
        pair.stall_guest()
        pair.client(b"a")
        for side in pair.sides:
            self.assertEqual(side.transport.producerState, "paused")
        pair.drain_guest()
        for side in pair.sides:
            self.assertEqual(side.transport.producerState, "producing")


class EndTests(TunnelCase):
    def test_what_the_log_has_of_its_request(self) -> None:
        """The rest of that is kept no longer than the request: a tunnel may last."""
        pair = self.pair()
        says = b"User-Agent: a browser\r\nReferer: http://a.example/\r\n"
        pair.client(HANDSHAKE.replace(b"Origin:", says + b"Origin:"))
        pair.guest(ACCEPT)
        fast, slow = (side.guest for side in pair.sides)
        carrier = slow.subscription.channel._carriers[1]
        names = [name for name, _ in carrier.exchange.request.headers]
        self.assertEqual(names, [b"User-Agent", b"Referer"])
        if unavailable() is None:
            kept = fast.fast.tunnels.open[1].frame
            self.assertIn(b"User-Agent", kept)
            self.assertNotIn(b"Origin", kept)
        pair.lose()
        line: bytes = pair.last["log"][0]  # type: ignore[index]
        self.assertIn(b'"GET /chat HTTP/1.1" 101 0 "http://a.example/" "a browser"', line)

    def test_the_client_first(self) -> None:
        """Its FIN is an end, and the guest goes on."""
        pair = self.opened()
        pair.client(b"bye")
        pair.half_close()
        self.assertEqual(self.frames(pair), [[b"end", 1, [], {}]])
        pair.guest(m.Body(1, b"more").encode())
        self.assertEqual(self.sent(pair), b"more")
        pair.guest(m.End(1).encode())
        self.assertEqual(pair.last["exchanges"], 0)
        self.assertEqual(pair.last["closed"], (True, False, False))
        self.assertIn(b" 101 4 ", pair.last["log"][0])  # type: ignore[index]

    def test_the_guest_first(self) -> None:
        """The client is sent a FIN, and goes on."""
        pair = self.opened()
        pair.guest(m.End(1).encode())
        self.assertEqual(pair.last["closed"], (False, True, False))
        pair.client(b"more")
        self.assertEqual(self.frames(pair), [[b"body", 1, b"more"]])
        pair.half_close()
        self.assertEqual(self.frames(pair), [[b"end", 1, [], {}]])
        self.assertEqual(pair.last["exchanges"], 0)
        self.assertTrue(pair.last["closed"][0])  # type: ignore[index]

    def test_an_end_that_waits_for_credit(self) -> None:
        """Both have said all; the guest gets the rest when it has room."""
        pair = self.opened()
        pair.guest(m.End(1).encode())
        pair.client(b"0123456789abc")
        pair.half_close()
        self.assertEqual(self.frames(pair), [])
        self.assertEqual(pair.last["exchanges"], 1)
        pair.guest(m.Credit(1, 10).encode())
        self.assertEqual(self.frames(pair), [[b"body", 1, b"abc"], [b"end", 1, [], {}]])
        self.assertEqual(pair.last["exchanges"], 0)

    def test_a_fin_before_the_answer(self) -> None:
        pair = self.pair()
        pair.client(HANDSHAKE)
        pair.half_close()
        pair.guest(ACCEPT)
        pair.wait(0.5)
        self.assertIn([b"end", 1, [], {}], frames_of(b"".join(self.seen(pair))))

    def seen(self, pair: Pair) -> list[bytes]:
        """All that the guest was sent since; it is compared at each event, and then forgotten."""
        return [pair.last["guest"]]  # type: ignore[list-item]

    def test_the_client_is_gone(self) -> None:
        """The guest is told at once."""
        pair = self.opened()
        pair.lose()
        [abort] = self.frames(pair)
        self.assertEqual(abort[:3], [b"abort", 1, b"client"])
        self.assertEqual(pair.last["exchanges"], 0)

    def test_the_guest_is_gone(self) -> None:
        """The client sees a break, not an end."""
        for how in ("abort", "lost"):
            pair = self.opened()
            if how == "abort":
                pair.guest(m.Abort(1, b"error", b"broke").encode())
            else:
                pair.lose_guest()
            self.assertTrue(pair.last["closed"][2])  # type: ignore[index]

    def test_the_guest_is_gone_behind_its_end(self) -> None:
        pair = self.opened()
        pair.guest(m.End(1).encode())
        pair.lose_guest()
        self.assertTrue(pair.last["closed"][2])  # type: ignore[index]

    def test_idle(self) -> None:
        """One clock for both directions."""
        pair = self.opened(limits=HttpLimits(tunnel_idle=10.0))
        pair.wait(8)
        pair.client(b"a")
        pair.wait(8)
        pair.guest(m.Body(1, b"b").encode())
        pair.wait(8)
        self.assertEqual(pair.last["exchanges"], 1)
        pair.wait(4)
        self.assertEqual(pair.last["exchanges"], 0)
        for side in pair.sides:
            self.assertIs(side.protocol.close_reason, CloseReason.TUNNEL_IDLE)

    def test_a_stop_leaves_it(self) -> None:
        """Until whoever stops waits no longer."""
        pair = self.opened()
        for side in pair.sides:
            side.factory.drain()
        pair.client(b"a")
        self.assertEqual(self.frames(pair), [[b"body", 1, b"a"]])
        for side in pair.sides:
            side.factory.close()
        pair.lose()
        self.assertEqual(self.frames(pair)[0][0], b"abort")

    def test_a_replaced_guest_keeps_it(self) -> None:
        """It may finish what it has."""
        pair = self.opened()
        pair.guest(m.Drain().encode())
        pair.client(b"a")
        self.assertEqual(self.frames(pair), [[b"body", 1, b"a"]])
