"""Tunnels in frames: what the compiled path passes on is what Python would have."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address

from subproxy.core.exchange import ExchangeState
from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.subscription.bodies import tokens
from subproxy.subscription.tunnel_request import SMALL
from subproxy.wire import messages as m
from subproxy.wire.limits import BODY_CHUNK
from subproxy.wire.limits import Limits as WireLimits
from subproxy.wire.states import Half, Tunnel
from tests.rigs.conversation_case import GET, ConversationCase
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Differ, GuestTransport, Pair, Side, response

HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

SIZES = st.one_of(
    st.integers(1, 200),
    st.sampled_from([SMALL - 1, SMALL, BODY_CHUNK, BODY_CHUNK + 1, 32_767, 32_768, 65_536]),
)
MESSAGES = st.one_of(
    st.tuples(st.just("client"), SIZES),
    st.tuples(st.just("guest"), SIZES),
    st.tuples(st.just("guest in pieces"), SIZES),
    st.tuples(st.just("guest and more"), SIZES),
    st.tuples(st.just("credit"), st.one_of(SIZES, st.sampled_from([1 << 20, (1 << 31) - 1]))),
)
STEPS = st.one_of(
    MESSAGES,
    MESSAGES,
    MESSAGES,
    st.tuples(st.just("spoilt"), st.integers(0, 40)),
    st.tuples(st.sampled_from(["stranger", "raw"]), SIZES),
    st.tuples(
        st.sampled_from(
            [
                *(
                    "stall",
                    "drain",
                    "stall guest",
                    "drain guest",
                    "wait",
                    "wait long",
                    "half close",
                ),
                *(
                    "dial",
                    "end",
                    "move",
                    "abort",
                    "empty",
                    "interim",
                    "drains",
                    "bye",
                    "lose",
                    "lose guest",
                ),
            ]
        ),
        st.just(0),
    ),
)
OPTIONS = st.fixed_dictionaries(
    {
        "moves": st.sampled_from([0, 1000, 70_000, 1 << 20]),
        "wire": st.sampled_from([None, WireLimits(frame=1024), WireLimits(window=100)]),
        "limits": st.sampled_from([None, HttpLimits(tunnel_idle=10.0)]),
        "style": st.sampled_from(["combined", "json"]),
    }
)


skip = unavailable()


def numbers(side: Side, number: int) -> dict[str, object]:
    """What a proxy knows of the tunnel C{number}, that nobody is told."""
    found: dict[str, object] = {}
    compiled = begun(side, number)
    if compiled is not None:
        return compiled
    subscription = side.guest.subscription
    if subscription is None:
        return found
    wire = side.guest.wire.exchanges.get(number)
    if wire is not None:
        found["halves"] = (wire.ours, wire.theirs, wire.ending)
        found["sending"] = (wire.sending.available, wire.sending.pending)
        found["receiving"] = (wire.receiving.left, wire.receiving._consumed)
        if wire.tunnel is not None:
            found["tunnel"] = (wire.tunnel.state, wire.tunnel.sent, wire.tunnel.received)
    carrier = subscription.channel._carriers.get(number)
    if carrier is not None:
        exchange, stream = carrier.exchange, carrier.exchange.sink
        found["carrier"] = (carrier._sent, carrier._received, carrier.transfer is None)
        found["exchange"] = (exchange.state, exchange.streamed, exchange.received)
        found["stream"] = (stream.sent, stream._owed, bytes(stream._late))
        found["connection"] = (stream._connection.due, stream._connection.writable)
    return found


def begun(side: Side, number: int) -> dict[str, object] | None:
    """The same of one that the compiled path has."""
    fast = getattr(side.guest, "fast", None)
    connection = None if fast is None else fast.tunnels.open.get(number)
    if connection is None:
        return None
    tunnel = connection.tunnel
    return {
        "halves": (Half.STREAMING, Half.STREAMING, None),
        "sending": (tunnel.available, 0),
        "receiving": (tunnel.left, tunnel.consumed),
        "tunnel": (Tunnel.FRAMED, tunnel.sent, tunnel.received),
        "carrier": (tunnel.much_sent, tunnel.much_received, True),
        "exchange": (ExchangeState.RESPONDING, tunnel.sent, tunnel.received),
        "stream": (tunnel.received, tunnel.owed, b""),
        "connection": (connection.due, connection.writable),
    }


def step(pair: Pair, what: str, size: int) -> None:
    """One thing that happens to the tunnel 1."""
    data = bytes(range(256)) * (256 + 1)
    frame = m.Body(1, data[: min(size, 65_536)]).encode() if size else b""
    if what == "client":
        pair.client(data[:size])
    elif what == "guest":
        pair.guest(frame)
    elif what == "guest in pieces":
        pair.guest(frame[:3], frame[3 : len(frame) // 2], frame[len(frame) // 2 :])
    elif what == "guest and more":
        pair.guest(frame + m.Credit(1, 5).encode() + frame + m.Body(1, b"last").encode())
    elif what == "credit":
        pair.guest(m.Credit(1, size).encode())
    elif what == "spoilt":
        good = m.Body(1, b"message").encode()
        at = size % len(good)
        pair.guest(good[:at] + bytes([good[at] ^ (1 + size % 7)]) + good[at + 1 :])
    elif what == "stranger":
        pair.guest(m.Body(77, data[:size]).encode())
    elif what == "raw":
        for side in pair.sides:
            if side in DIALLED and not side.guest_gone:
                DIALLED[side][0].dataReceived(data[:size])
        pair.wait(0.5)
    elif what == "dial":
        pass
    elif what == "wait":
        pair.wait(1)
    elif what == "wait long":
        pair.wait(11)
    elif what in ("end", "move", "abort", "empty", "interim", "drains", "bye"):
        message: m.Message = {
            "end": m.End(1),
            "move": m.Move(1, pair.sides[1].guest.wire.exchanges[1].tunnel.received)
            if 1 in pair.sides[1].guest.wire.exchanges
            else m.Move(1, 0),
            "abort": m.Abort(1, b"error", b"no more"),
            "empty": m.Body(1, b""),
            "interim": m.Response(1, 103, [], {}, b""),
            "drains": m.Drain(),
            "bye": m.Bye(),
        }[what]
        pair.guest(message.encode())
    else:
        getattr(pair, what.replace(" ", "_"))()


def dial(side: Side) -> bytes:
    """The guest dials a data connection for the tunnel 1, once; what that was sent since."""
    if side not in DIALLED:
        protocol = side.world.factory.buildProtocol(None)
        transport = GuestTransport(peerAddress=IPv4Address("TCP", "1", 1))
        protocol.makeConnection(transport)
        protocol.dataReceived(m.Connect(1, TOKEN).encode())
        DIALLED[side] = (protocol, transport)
    transport = DIALLED[side][1]
    sent: bytes = transport.value()
    transport.clear()
    return sent


DIALLED: WeakKeyDictionary[Side, tuple[Any, GuestTransport]] = WeakKeyDictionary()
TOKEN = bytes(16)


class TunnelConversationTests(ConversationCase):
    def setUp(self) -> None:
        # The same on both sides.
        self.patch(tokens, "os", SimpleNamespace(urandom=bytes))

    def opened(self, credit: int = 100_000, **options: Any) -> Pair:
        """A tunnel whose client may send so much."""
        pair = self.pair(tunnel=[b"websocket"], **options)
        pair.client(HANDSHAKE)
        pair.guest(m.Response(1, 200, [], {}, None).encode(), m.Credit(1, credit).encode())
        return pair

    def same(self, pair: Pair, last: object) -> None:
        """Both know the same of it."""
        fast, slow = (numbers(side, 1) for side in pair.sides)
        if fast != slow:
            raise Differ(f"{fast}\n{slow}\nafter {last}")

    @settings(max_examples=examples(300), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(STEPS, max_size=20), OPTIONS, st.sampled_from([10, 5000, 100_000]))
    @example([("end", 1), ("wait long", 0)], {"limits": HttpLimits(tunnel_idle=10.0)}, 10)
    @example([("guest", 32_767), ("guest", 1), ("client", 1), ("bye", 0)], {}, 10)
    @example([("stall", 0), ("guest", 65_536), ("guest", 1), ("drain", 0), ("guest", 1)], {}, 1)
    @example([("client", 5000), ("client", 1), ("guest", 1), ("move", 0)], {"moves": 1000}, 5000)
    @example(
        [("client", 5000), ("guest", 9), ("dial", 0), ("client", 9), ("guest", 9), ("move", 0)]
        + [("raw", 9), ("client", 9), ("half close", 0), ("end", 0)],
        {"moves": 1000},
        9000,
    )
    def test_any_tunnel(
        self, steps: list[tuple[str, int]], options: dict[str, Any], credit: int
    ) -> None:
        """Whatever passes, and however it ends."""
        pair = Pair(tunnel=[b"websocket"], **options)
        pair.client(HANDSHAKE)
        pair.guest(m.Response(1, 200, [], {}, None).encode(), m.Credit(1, credit).encode())
        for what, size in steps:
            step(pair, what, size)
            if what == "dial" or pair.sides[0] in DIALLED:
                sent = [dial(side) for side in pair.sides]
                self.assertEqual(sent[0], sent[1])
            self.same(pair, (what, size))
        pair.close()

    def test_small_messages_are_fast(self) -> None:
        pair = self.opened()
        for _ in range(10):
            pair.client(b"ping")
            pair.guest(m.Body(1, b"pong").encode())
            self.same(pair, None)
        self.assertEqual(pair.stats["tunnelled"], 20)

    def test_many_in_one_read_are_fast(self) -> None:
        """Of several tunnels, with what Python does between them, in order."""
        pair = self.opened()
        pair.connect()
        pair.client(HANDSHAKE)
        pair.guest(m.Response(2, 200, [], {}, None).encode(), m.Credit(2, 10).encode())
        bodies = [m.Body(2, b"%d," % each).encode() for each in range(100)]
        bodies[30:30] = [m.Credit(2, 10).encode()]
        bodies[70:70] = [m.Body(1, b"another").encode(), m.Pong(b"none").encode()]
        pair.guest(b"".join(bodies))
        self.assertEqual(pair.last["client"], b"".join(b"%d," % each for each in range(100)))
        self.assertEqual(pair.stats["tunnelled"], 101)

    def test_what_waits_for_credit(self) -> None:
        """It is Python's, and so is what comes behind it; when it has gone, the rest is fast."""
        pair = self.opened(credit=3)
        pair.client(b"four")
        self.assertEqual(pair.stats["tunnelled"], 0)
        pair.guest(m.Credit(1, 100).encode())
        pair.client(b"four")
        self.assertEqual(pair.stats["tunnelled"], 1)

    def test_a_client_that_reads_again(self) -> None:
        pair = self.opened()
        pair.stall()
        for _ in range(3):
            pair.guest(m.Body(1, b"x" * 30_000).encode())
        self.assertEqual(pair.stats["tunnelled"], 3)
        pair.guest(m.Body(1, b"late").encode())
        self.assertEqual(pair.stats["tunnelled"], 3)
        pair.drain()
        pair.guest(m.Body(1, b"soon").encode())
        self.assertEqual(pair.stats["tunnelled"], 4)

    def test_requests_beside_it(self) -> None:
        """The compiled path's own, of another client, whose answers come between its bytes."""
        pair = self.opened()
        pair.connect()
        pair.client(GET)
        pair.guest(m.Body(1, b"a").encode() + response(2) + m.Body(1, b"b").encode())
        self.assertTrue(pair.last["client"].endswith(b"hello"))  # type: ignore[attr-defined]
        self.assertEqual((pair.stats["tunnelled"], pair.stats["requests"]), (2, 1))
        self.assertEqual(pair.stats["declined_answers"], 0)

    def test_another_limit_of_idleness(self) -> None:
        """A reload's is that of what passes from then on."""
        pair = self.opened()
        for side in pair.sides:
            side.factory.set_limits(HttpLimits(tunnel_idle=10.0))
        pair.client(b"a")
        self.same(pair, "a")
        for side in pair.sides:
            found: Any = numbers(side, 1)["connection"]
            self.assertEqual(found[0], side.world.clock.seconds() + 10.0)
