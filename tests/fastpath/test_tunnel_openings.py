"""How tunnels begin: asked for, answered, refused and counted by the compiled path as by Python."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from subproxy.core.access.policy import Policy, Quotas
from subproxy.core.http.trace_context import TraceContext
from subproxy.fastpath.install import unavailable
from subproxy.subscription.bodies import tokens
from subproxy.wire import messages as m
from tests.fastpath.test_traces import PARENT, Numbered
from tests.rigs.conversation_case import GET, ConversationCase
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Pair, response

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
PLAIN = (
    (b"Host", b"a.example"),
    (b"Upgrade", b"websocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
)
MORE = (
    *PLAIN,
    (b"Upgrade", b"h2c"),
    (b"Upgrade", b"WebSocket"),
    (b"upgrade", b"websocket, x-chat"),
    (b"upgrade", b"x-chat"),
    (b"Connection", b"keep-alive, upgrade"),
    (b"Connection", b"close, Upgrade"),
    (b"Connection", b"keep-alive"),
    (b"Connection", b"upgrade, x-y"),
    (b"sec-websocket-key", KEY[:-3] + b"Z=="),
    (b"Sec-WebSocket-Key", b"short=="),
    (b"Sec-WebSocket-Key", KEY[:-1] + b"-"),
    (b"Sec-WebSocket-Version", b"8"),
    (b"Sec-WebSocket-Version", b"13, 8"),
    (b"Sec-WebSocket-Protocol", b"chat, superchat"),
    (b"Content-Length", b"0"),
    (b"Content-Length", b"3"),
    (b"TE", b"trailers"),
    (b"User-Agent", b"a\\b \xe4"),
    (b"User-Agent", b""),
    (b"Referer", b'http://x/"'),
    (b"X-Forwarded-For", b"203.0.113.9"),
    (b"X-Forwarded-Proto", b"https"),
    (b"X-Request-Id", b"given-1"),
    (b"traceparent", PARENT),
    (b"Expect", b"100-continue"),
    (b"Host", b"b.example"),
    (b"Host", b"nowhere.example"),
)
FIELDS = st.lists(st.sampled_from(MORE), max_size=4)
ANSWERS = st.lists(
    st.sampled_from(
        [
            m.Response(1, 200, [], {}, None),
            m.Response(1, 204, [(b"Sec-WebSocket-Protocol", b"chat")], {}, None),
            m.Response(1, 200, [(b"sec-webSocket-accept", b"forged"), (b"A", b" b ")], {}, None),
            m.Response(1, 200, [(b"Date", b"now"), (b"Content-Length", b"9")], {}, None),
            m.Response(1, 200, [(b"Connection", b"A"), (b"A", b"b")], {}, None),
            m.Response(1, 200, [(b"A", b"\n")], {}, None),
            m.Response(1, 200, [], {b"reason": b"Fine"}, None),
            m.Response(1, 200, [], {}, {}),
            m.Response(1, 200, [], {}, b"no tunnel"),
            m.Response(1, 101, [], {}, None),
            m.Response(1, 302, [(b"Location", b"/")], {}, None),
            m.Response(1, 403, [], {}, b"no"),
            m.Response(1, 103, [(b"Link", b"</a>")], {}, b""),
            m.Credit(1, 10),
            m.Credit(1, 0),
            m.Credit(1, (1 << 31) - 1),
            m.Body(1, b"early"),
            m.End(1),
            m.Abort(1, b"refused", b"not now"),
            m.Abort(1, b"error", b"no more"),
            m.Drain(),
        ]
    ),
    max_size=4,
)
BETWEEN = st.sampled_from(["", "", "", "bytes", "half close", "lose", "stall guest", "wait"])


skip = unavailable()


def handshake(fields: Any = PLAIN, method: bytes = b"GET", target: bytes = b"/chat") -> bytes:
    """A request for a WebSocket."""
    lines = [b"%b %b HTTP/1.1" % (method, target), *(b"%b: %b" % pair for pair in fields)]
    return b"\r\n".join([*lines, b"", b""])


class TunnelOpeningTests(ConversationCase):
    def setUp(self) -> None:
        # The same on both sides.
        self.patch(tokens, "os", SimpleNamespace(urandom=bytes))

    def opened(self, *more: tuple[bytes, bytes], **options: Any) -> Pair:
        """A handshake with some fields more, which its guest accepts."""
        pair = self.pair(tunnel=[b"websocket"], **options)
        pair.client(handshake([*PLAIN, *more]))
        pair.guest(m.Response(1, 200, [], {}, None).encode() + m.Credit(1, 1000).encode())
        return pair

    def compiled(self, pair: Pair) -> tuple[int, int]:
        """How many tunnels the compiled path has begun, and how many it has still."""
        fast = pair.fast.guest.fast
        return pair.stats["tunnels"], 0 if fast is None else len(fast.tunnels.open)

    @settings(max_examples=examples(400), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.lists(st.integers(0, len(PLAIN) - 1), max_size=1),
        FIELDS,
        st.sampled_from([b"GET", b"GET", b"GET", b"POST", b"HEAD"]),
        BETWEEN,
        ANSWERS,
        st.fixed_dictionaries(
            {
                "trust": st.sampled_from([None, ["192.0.2.0/24"]]),
                "style": st.sampled_from(["combined", "json"]),
                "tunnel": st.sampled_from([None, [b"websocket"], [b"WebSocket"], [b"x-chat"]]),
            }
        ),
        st.booleans(),
    )
    @example([], [], b"GET", "bytes", [m.Response(1, 200, [], {}, None)], {}, False)
    @example([], [], b"GET", "stall guest", [m.Response(1, 200, [], {}, None)], {}, True)
    def test_any_handshake(
        self,
        left_out: list[int],
        more: list[tuple[bytes, bytes]],
        method: bytes,
        between: str,
        answers: list[m.Message],
        options: dict[str, Any],
        traces: bool,
    ) -> None:
        """Whatever is asked, and whatever is answered; then it is used, and ends."""
        pair = Pair(**{"tunnel": [b"websocket"], **options})
        for side in pair.sides:
            if traces:
                side.factory.set_traces(TraceContext(0.5, Numbered()))
        fields = [pair for i, pair in enumerate(PLAIN) if i not in left_out]
        data = handshake([*fields, *more], method)
        pair.client(data[:30], data[30:] + (b"early" if between == "bytes" else b""))
        if between == "wait":
            pair.wait(1)
        elif between and between != "bytes":
            getattr(pair, between.replace(" ", "_"))()
        for answer in answers:
            pair.guest(answer.encode())
        pair.client(b"message")
        pair.guest(m.Credit(1, 100).encode(), m.Body(1, b"message").encode())
        pair.half_close()
        pair.guest(m.End(1).encode())
        pair.close()
        counts = [side.world.factory.context.tunnels.total for side in pair.sides]
        self.assertEqual(counts, [0, 0])

    def test_plain_is_compiled(self) -> None:
        """From the head on, until something else happens than bytes that come."""
        pair = self.opened()
        pair.client(b"ping")
        pair.guest(m.Body(1, b"pong").encode())
        self.assertEqual(self.compiled(pair), (1, 1))
        self.assertEqual(pair.stats["declined_requests"], 0)
        self.assertEqual(pair.stats["declined_answers"], 0)
        self.assertEqual(pair.stats["tunnelled"], 2)
        pair.half_close()
        self.assertEqual(self.compiled(pair), (1, 0))

    def test_it_is_counted(self) -> None:
        """Where the policy, the guest's table and the balancer count it, from the request on."""
        pair = self.pair(tunnel=[b"websocket"])

        def counts() -> list[tuple[int, int, int, int]]:
            return [
                (
                    (tunnels := side.world.factory.context.tunnels).total,
                    tunnels.count(side.guest.identity),
                    side.guest.subscription.channel.tunnels,
                    side.member.in_flight,
                )
                for side in pair.sides
            ]

        pair.client(handshake())
        self.assertEqual(counts(), [(1, 1, 1, 1)] * 2)
        pair.guest(m.Response(1, 200, [], {}, None).encode())
        self.assertEqual(self.compiled(pair), (1, 1))
        self.assertEqual(counts(), [(1, 1, 1, 0)] * 2)
        pair.lose()
        self.assertEqual(counts(), [(0, 0, 0, 0)] * 2)

    def test_no_more_than_the_policy_has(self) -> None:
        pair = self.pair(tunnel=[b"websocket"])
        for side in pair.sides:
            side.world.registrar.policy = Policy(None, Quotas(tunnels=1))
        pair.client(handshake())
        pair.guest(m.Response(1, 200, [], {}, None).encode())
        pair.connect()
        pair.client(handshake())
        self.assertIn(b" 503 ", pair.last["client"])

    def test_another_policy_from_then_on(self) -> None:
        """It allows no WebSockets any more: the request goes on without."""
        pair = self.opened()
        for side in pair.sides:
            side.world.registrar.policy = Policy(None, Quotas(), frozenset())
        pair.connect()
        pair.client(handshake())
        self.assertNotIn(b"tunnel", pair.last["guest"])
        self.assertIn(b"request", pair.last["guest"])

    def test_what_is_logged_of_it(self) -> None:
        """Though nothing else is kept of its head."""
        for style in ("combined", "json"):
            for trust in (None, ["192.0.2.0/24"]):
                fields = [(b"Referer", b"there"), (b"X-Request-Id", b"mine"), (b"X-A", b"b" * 900)]
                fields += [(b"User-Agent", b"one"), (b"User-Agent", b'"two"')]
                fields += [(b"X-Forwarded-For", b"203.0.113.9"), (b"traceparent", PARENT)]
                pair = self.pair(tunnel=[b"websocket"], style=style, trust=trust)
                for side in pair.sides:
                    side.factory.set_traces(TraceContext(0.5, Numbered()))
                pair.client(handshake([*PLAIN, *fields]))
                pair.guest(m.Response(1, 200, [], {}, None).encode())
                self.assertEqual(self.compiled(pair), (1, 1))
                pair.wait(3)
                pair.lose()
                self.assertIn(b"two", pair.last["log"][0])

    def test_of_a_guest_that_does_not_read(self) -> None:
        """Its clients are not read from, until it does: neither where they have credit nor not."""
        pair = self.opened()
        pair.stall_guest()
        self.assertEqual([side.transport.producerState for side in pair.sides], ["paused"] * 2)
        pair.guest(m.Body(1, b"it speaks").encode(), m.Credit(1, 10).encode())
        pair.wait(2)
        self.assertEqual([side.transport.producerState for side in pair.sides], ["paused"] * 2)
        pair.drain_guest()
        self.assertEqual([side.transport.producerState for side in pair.sides], ["producing"] * 2)
        pair.client(b"heard")
        self.assertEqual(self.compiled(pair), (1, 1))

    def test_a_client_that_leaves_while_nobody_reads(self) -> None:
        pair = self.opened()
        pair.stall_guest()
        pair.leave()
        pair.wait(2)
        self.assertEqual(self.compiled(pair), (1, 0))

    def test_many_of_a_guest_that_is_lost(self) -> None:
        """All of them break."""
        pair = self.opened()
        transports = [[side.transport] for side in pair.sides]
        for number in range(2, 40):
            pair.connect()
            for side, found in zip(pair.sides, transports, strict=True):
                found.append(side.transport)
            pair.client(handshake(target=b"/%d" % number))
        for number in range(39, 1, -1):
            pair.guest(m.Response(number, 200, [], {}, None).encode())
        self.assertEqual(self.compiled(pair), (39, 39))
        pair.lose_guest()
        self.assertEqual(self.compiled(pair)[0], 39)
        for found in transports:
            self.assertEqual([each.aborted for each in found], [True] * 39)

    def test_requests_come_and_go_beside_it(self) -> None:
        """However many: its place among the exchanges is its own."""
        pair = self.opened()
        pair.connect()
        for number in range(2, 100):
            pair.client(GET)
            pair.guest(response(number))
        self.assertEqual(self.compiled(pair), (1, 1))
        pair.guest(m.Body(1, b"still there").encode())
        self.assertEqual(pair.stats["tunnelled"], 1)

    def test_a_guest_that_leaves_tunnels_alone(self) -> None:
        """It drains: what there is stays."""
        pair = self.opened()
        pair.guest(m.Drain().encode())
        pair.client(b"on and on")
        pair.guest(m.Body(1, b"and on").encode())
        pair.wait(2)
        pair.guest(m.End(1).encode())
        pair.half_close()
