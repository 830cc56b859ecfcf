"""How a connection of the wire begins."""

from __future__ import annotations

from subproxy.wire import messages as m
from subproxy.wire.connection import (
    Broken,
    WireConnection,
    limits_info,
    parse_limits,
)
from subproxy.wire.errors import (
    HelloError,
    StateError,
)
from subproxy.wire.frames import decode
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role, Side
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase
from tests.rigs.wire_pair import HELLO, WELCOME, ConnectionPair, request


class GreetingTests(WireTestCase):
    def test_limits_travel(self) -> None:
        """What one side says in hello or welcome, the other keeps to."""
        guest, proxy = Limits(2000, 30, 4), Limits(5000, 60, 7)
        pair = ConnectionPair(guest, proxy)
        self.assertEqual(guest, pair.proxy.peer_limits)
        self.assertEqual(proxy, pair.guest.peer_limits)
        self.assertIs(Side.OPEN, pair.guest.ours)
        self.assertIs(Side.OPEN, pair.guest.theirs)
        self.assertIs(Side.OPEN, pair.proxy.ours)
        self.assertIs(Side.OPEN, pair.proxy.theirs)

    def test_before(self) -> None:
        """Nothing was offered, and nothing begun."""
        for role in Role:
            new = WireConnection(role)
            self.assertEqual((new.role, new.ours, new.theirs), (role, Side.IDLE, Side.IDLE))
            self.assertEqual((new.last, new.exchanges, new.out), (0, {}, []))
            self.assertEqual((new.bulk, new.ahead, new.tunnels), (False, False, frozenset()))
            self.assertEqual((new.limits, new.peer_limits), (Limits(), Limits()))

    def test_a_proxy_knows_who_takes_tokens_with_requests(self) -> None:
        for said, taken in (({b"ahead": True}, True), ({b"ahead": False}, False), ({}, False)):
            pair = ConnectionPair(greet=False)
            pair.to_proxy([b"hello", {**HELLO, **said}])
            self.assertIs(pair.proxy.ahead, taken)

    def test_defaults(self) -> None:
        """Who says nothing of limits takes the defaults."""
        self.assertEqual(Limits(), parse_limits({b"version": 1}))
        info = limits_info(Limits())
        self.assertEqual(
            {b"version": 1, b"frame": 262_144, b"window": 65_536, b"inline": 65_536}, info
        )
        self.assertEqual(Limits(), parse_limits(info))

    def test_events(self) -> None:
        """Both see the greeting of the other."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Hello(HELLO))
        pair.settle()
        self.assertEqual([m.Hello(HELLO)], pair.take(PROXY))
        pair.proxy.send(m.Welcome(WELCOME))
        pair.settle()
        self.assertEqual([m.Welcome(WELCOME)], pair.take(GUEST))

    def test_repr(self) -> None:
        """A connection tells its state."""
        pair = ConnectionPair()
        pair.proxy.send(request(1))
        self.assertEqual(
            "<WireConnection PROXY ours=OPEN theirs=OPEN exchanges=1>", repr(pair.proxy)
        )

    def test_register_before_welcome(self) -> None:
        """A guest need not wait for welcome."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Hello(HELLO))
        pair.guest.send(m.Register(1, b"h", b"p"))
        pair.settle()
        self.assertEqual([m.Hello(HELLO), m.Register(1, b"h", b"p")], pair.take(PROXY))

    def test_refused(self) -> None:
        """A proxy may refuse and say bye instead of welcome."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Hello(HELLO))
        pair.settle()
        pair.proxy.send(m.Refused(0, b"replaced", b"newer"))
        pair.proxy.send(m.Bye(b"refused"))
        pair.settle()
        self.assertEqual([m.Refused(0, b"replaced", b"newer"), m.Bye(b"refused")], pair.take(GUEST))

    def test_reject(self) -> None:
        """A complete response is aborted all the same; not when we have said our last."""
        pair = ConnectionPair()
        pair.proxy.send(request(1))
        pair.settle()
        pair.guest.send(m.Response(1, 200, []))
        pair.settle()
        pair.proxy.reject(1, b"x" * 2000)
        sent = pair.proxy.data_to_send()
        self.assertEqual([b"abort", 1, b"protocol", b"x" * 1024], decode(sent))
        pair.guest.feed(sent)
        self.assertIsNone(pair.guest.next_event())
        pair.proxy.send(m.Bye())
        pair.proxy.reject(1, b"")
        self.assertEqual([b"bye", b"done", b""], decode(pair.proxy.data_to_send()))

    def test_reject_forgets_the_exchange(self) -> None:
        """One whose response is under way is over; the others go on."""
        pair = ConnectionPair()
        for number in (1, 2):
            pair.proxy.send(request(number))
            pair.settle()
            pair.guest.send(m.Response(number, 200, [], {}, None))
        pair.settle()
        pair.take(PROXY)
        pair.proxy.reject(1, b"wrong")
        self.assertEqual([2], list(pair.proxy.exchanges))
        self.assertEqual([b"abort", 1, b"protocol", b"wrong"], decode(pair.proxy.data_to_send()))
        self.assertEqual([], pair.to_proxy([b"body", 1, b"late"]))

    def test_wrong_hello(self) -> None:
        """A hello that can't be taken is refused with its code, then comes bye."""
        for info, refusal in (({**HELLO, b"version": 2}, b"version"), ({b"version": 1}, b"hello")):
            pair = ConnectionPair(greet=False)
            (event,) = pair.to_proxy([b"hello", info])
            assert isinstance(event, Broken)
            self.assertIsInstance(event.error, HelloError)
            reason = str(event.error).encode()
            self.assertEqual(
                [[b"refused", 0, refusal, reason], [b"bye", b"refused", reason]], pair.said(PROXY)
            )

    def test_wrong_hello_at_the_wrong_time(self) -> None:
        """Only the first frame of a guest is refused; later, and by a guest, there is just bye."""
        wrong = {b"version": 2}
        pair = ConnectionPair()
        (event,) = pair.to_proxy([b"hello", wrong])
        self.assertEqual([b"bye"], [frame[0] for frame in pair.said(PROXY)])
        pair = ConnectionPair()
        (event,) = pair.to_guest([b"hello", wrong])
        self.assertEqual([b"bye"], [frame[0] for frame in pair.said(GUEST)])
        self.assertIsInstance(event, Broken)
        pair = ConnectionPair(greet=False)
        (event,) = pair.to_guest([b"hello", wrong])
        self.assertEqual([b"bye"], [frame[0] for frame in pair.said(GUEST)])
        pair = ConnectionPair(greet=False)
        events = pair.to_proxy([b"hello", HELLO], [b"hello", wrong])
        self.assertIsInstance(events[1], Broken)
        self.assertEqual([b"bye"], [frame[0] for frame in pair.said(PROXY)])
        pair = ConnectionPair(greet=False)
        pair.proxy.send(m.Bye(b"shutdown"))
        (event,) = pair.to_proxy([b"hello", wrong])
        self.assertEqual([b"bye"], [frame[0] for frame in pair.said(PROXY)])

    def test_hello_twice(self) -> None:
        """A subscription begins once."""
        pair = ConnectionPair()
        events = pair.to_proxy([b"hello", HELLO])
        self.assert_broken(pair.proxy, events, StateError, "no hello is allowed when open")
        self.local_error("no hello when our side is OPEN", ConnectionPair().guest.send, m.Hello({}))

    def test_welcome_before_hello(self) -> None:
        """A proxy waits for hello, and a guest holds it to that."""
        pair = ConnectionPair(greet=False)
        self.local_error("no welcome before hello", pair.proxy.send, m.Welcome(WELCOME))
        self.assertIs(Side.IDLE, pair.proxy.ours)
        self.assertEqual(b"", pair.proxy.data_to_send())
        events = pair.to_guest([b"welcome", WELCOME])
        self.assert_broken(pair.guest, events, StateError, "no welcome is allowed before hello")

    def test_an_unknown_verb_first(self) -> None:
        """The first frame says what the connection is; later ones may be unknown."""
        pair = ConnectionPair(greet=False)
        events = pair.to_proxy([b"frobnicate"])
        reason = "the first frame is not one that opens a connection"
        self.assert_broken(pair.proxy, events, StateError, reason)
        pair = ConnectionPair()
        self.assertEqual([], pair.to_proxy([b"frobnicate"], [b"x"]))
        self.assertEqual([m.Ping(b"1")], pair.to_guest([b"x", 1], [b"ping", b"1"]))
