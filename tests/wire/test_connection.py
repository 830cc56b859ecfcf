"""Tests of subproxy.wire.connection: both roles, joined and apart."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import messages as m
from subproxy.wire.connection import (
    Broken,
    Ignored,
    Violation,
    WireConnection,
    limits_info,
    parse_limits,
)
from subproxy.wire.errors import (
    FrameError,
    HelloError,
    LocalProtocolError,
    MessageError,
    StateError,
    TooLarge,
)
from subproxy.wire.frames import decode, encode
from subproxy.wire.limits import BODY_CHUNK, MAX_CREDIT, Limits
from subproxy.wire.states import Half, Role, Side
from tests.rigs.wire_pair import HELLO, WELCOME, ConnectionPair, frames_of, request, response

GUEST, PROXY = Role.GUEST, Role.PROXY


def bodies(frames: list[list[object]], number: int = 1) -> list[bytes]:
    """The data of the body frames of that exchange."""
    return [data for verb, of, *rest in frames for data in rest if (verb, of) == (b"body", number)]  # type: ignore[misc]


class WireTestCase(SynchronousTestCase):
    """Assertions that every test of a connection needs."""

    def assert_broken(
        self, end: WireConnection, events: list[Any], kind: type, reason: str
    ) -> None:
        """C{end} gave up for that reason, and said so."""
        (event,) = events
        assert isinstance(event, Broken), event
        self.assertIs(kind, type(event.error))
        self.assertEqual(reason, str(event.error))
        self.assertIs(Side.DONE, end.ours)
        said = frames_of(end.data_to_send())
        self.assertEqual([b"bye", event.error.code, reason.encode()], said[-1])
        end.feed(b"0:]")
        self.assertIsNone(end.next_event())

    def assert_violation(
        self, end: WireConnection, events: list[Any], number: int, why: str
    ) -> None:
        """C{end} aborted that exchange for that reason, and goes on."""
        self.assertEqual([Violation(number, why)], events)
        self.assertNotIn(number, end.exchanges)
        said = frames_of(end.data_to_send())
        self.assertEqual([[b"abort", number, b"protocol", why.encode()]], said)

    def local_error(self, reason: str, call: Any, *arguments: Any) -> None:
        """C{call} is a mistake of ours."""
        self.assertEqual(reason, str(self.assertRaises(LocalProtocolError, call, *arguments)))


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


class DataConnectionTests(WireTestCase):
    def test_connect(self) -> None:
        """After connect the bytes of a guest are no frames any more."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Connect(5, b"token"))
        data = pair.guest.data_to_send()
        self.assertEqual([m.Connect(5, b"token")], pair.feed(PROXY, data + b"raw", [3]))
        self.assertIs(Side.DATA, pair.proxy.theirs)
        pair.proxy.feed(b" bytes")
        self.assertIsNone(pair.proxy.next_event())
        self.assertEqual(b"raw bytes", pair.proxy.rest())
        pair.proxy.feed(b"4:1:a,]")
        self.assertIsNone(pair.proxy.next_event())
        self.assertEqual(b"4:1:a,]", pair.proxy.rest())
        self.assertEqual(b"", pair.proxy.rest())

    def test_the_guest_reads_raw_bytes_too(self) -> None:
        """The first connect is answered with the same; then a guest takes no frames."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Connect(5, b"token"))
        self.local_error("no connect when our side is DATA", pair.guest.send, m.Connect(5, b"t"))
        pair.deliver(PROXY)
        pair.proxy.send(m.Connect(5, b"token"))
        pair.feed(GUEST, pair.proxy.data_to_send() + b"xyz")
        self.assertEqual([m.Connect(5, b"token")], pair.take(GUEST))
        self.assertIsNone(pair.guest.next_event())
        self.assertEqual(b"xyz", pair.guest.rest())
        self.local_error("no hello when our side is DATA", pair.guest.send, m.Hello(HELLO))
        self.local_error("no bye when our side is DATA", pair.guest.send, m.Bye())

    def test_no_answer_unasked(self) -> None:
        """A connect of the proxy's that begins a connection is none that a guest has asked for."""
        for before in ([], [m.Hello({**HELLO})]):
            pair = ConnectionPair(greet=False)
            for message in before:
                pair.guest.send(message)
            events = pair.to_guest([b"connect", 1, b"token"])
            self.assert_broken(pair.guest, events, StateError, "no connect is allowed before ours")
        pair = ConnectionPair(greet=False)
        pair.to_proxy([b"connect", 1, b"token"])
        self.local_error("no welcome before hello", pair.proxy.send, m.Welcome(WELCOME))

    def test_frames_after_all(self) -> None:
        """A body that was to go over a data connection may come in frames: both directions."""
        pair = ConnectionPair(bulk=True)
        pair.proxy.send(request(1, {b"token": b"t", b"length": 5}))
        pair.settle()
        self.assertEqual(0, pair.proxy.exchanges[1].sending.available)
        pair.guest.consumed(1, 0)
        pair.settle()
        self.assertEqual([m.Credit(1, 65_536)], pair.take(PROXY)[-1:])
        self.assertEqual(0, pair.proxy.write_body(1, b"hello"))
        pair.proxy.end_body(1)
        pair.settle()
        self.assertEqual([m.Body(1, b"hello"), m.End(1)], pair.take(GUEST)[-2:])
        pair.guest.send(response(1, {b"length": 3}))
        pair.guest.write_body(1, b"abc")
        self.assertIs(Half.STREAMING, pair.guest.exchanges[1].ours)
        pair.guest.end_body(1)
        pair.settle()
        self.assertEqual([m.Body(1, b"abc"), m.End(1)], pair.take(PROXY)[-2:])

    def test_end_with_the_length(self) -> None:
        """The end of a body over a data connection says how long it was."""
        pair = ConnectionPair(bulk=True)
        pair.proxy.send(request(1))
        pair.settle()
        pair.guest.send(response(1, {}))
        pair.guest.end_body(1, [(b"a", b"b")], {b"length": 9})
        pair.settle()
        self.assertEqual([m.End(1, [(b"a", b"b")], {b"length": 9})], pair.take(PROXY)[-1:])
        self.local_error("exchange 1 is not under way", pair.guest.end_body, 1)

    def test_not_later(self) -> None:
        """A subscription does not become a data connection."""
        pair = ConnectionPair()
        events = pair.to_proxy([b"connect", 1, b"token"])
        self.assert_broken(pair.proxy, events, StateError, "no connect is allowed when open")

    def test_bulk_that_was_not_offered(self) -> None:
        """Without bulk in welcome, a body over a data connection is an error of the exchange."""
        why = "data connections were not offered"
        pair = ConnectionPair()
        self.assertFalse(pair.proxy.bulk or pair.guest.bulk)
        self.local_error(why, pair.proxy.send, request(1, {}))
        pair.proxy.send(request(1))
        pair.settle()
        self.local_error(why, pair.proxy.send, m.Connect(1, b"token"))
        self.local_error(why, pair.guest.send, response(1, {}))
        self.assertIs(Half.WAITING, pair.guest.exchanges[1].ours)
        self.assert_violation(pair.proxy, pair.to_proxy([b"response", 1, 200, [], {}, {}]), 1, why)
        pair = ConnectionPair()
        events = pair.to_guest([b"request", 1, b"PUT", b"/", [], {}, {b"length": 1}])
        self.assert_violation(pair.guest, events, 1, why)
        pair.to_guest(request(2).frame())
        self.assert_violation(pair.guest, pair.to_guest([b"connect", 2, b"t"]), 2, why)

    def test_bulk_that_was_offered(self) -> None:
        """With it, there is a head, perhaps connect, and then end."""
        pair = ConnectionPair(bulk=True)
        self.assertTrue(pair.proxy.bulk)
        self.assertTrue(pair.guest.bulk)
        pair.proxy.send(request(1, {b"length": 5}))
        pair.proxy.send(m.Connect(1, b"token"))
        pair.settle()
        first, second = pair.take(GUEST)
        self.assertEqual(request(1, {b"length": 5}), first)
        self.assertEqual(m.Connect(1, b"token"), second)
        self.assertIs(Half.BULK, pair.guest.exchanges[1].theirs)
        self.assertEqual([m.End(1)], pair.to_guest([b"end", 1]))
        pair.guest.send(response(1, {}))
        pair.settle()
        self.assertIs(Half.BULK, pair.proxy.exchanges[1].theirs)
        self.assertEqual(
            [response(1, {}), m.End(1)], pair.to_proxy([b"end", 1]) or pair.take(PROXY)
        )
        self.assertNotIn(1, pair.proxy.exchanges)
        self.local_error("exchange 1 is not under way", pair.proxy.send, m.Connect(1, b"token"))


class ControlTests(WireTestCase):
    def test_there_and_back(self) -> None:
        """What concerns no exchange passes in both directions, in any split."""
        pair = ConnectionPair()
        ours = [m.Register(1, b"h", b"p"), m.Pong(b"1"), m.Unregister(1), m.Drain(), m.Pong(b"2")]
        for message in ours:
            pair.guest.send(message)
        pair.deliver(PROXY, [1])
        self.assertEqual(ours, pair.take(PROXY))
        theirs = [m.Registered(1), m.Ping(b"1"), m.Unregistered(1), m.Refused(2, b"policy", b"no")]
        for message in [*theirs, m.Drain(), m.Ping(b"2")]:
            pair.proxy.send(message)
        pair.deliver(GUEST, [2, 3])
        self.assertEqual([*theirs, m.Drain(), m.Ping(b"2")], pair.take(GUEST))
        self.assertIs(Side.DRAINING, pair.proxy.theirs)
        self.assertIs(Side.DRAINING, pair.guest.theirs)

    def test_ignored_frames_take_turns(self) -> None:
        """Who takes so many events a turn reads a bounded number of frames, also of such."""
        pair = ConnectionPair()
        pair.proxy.send(request(1))
        pair.settle()
        pair.to_proxy(response(1).frame())
        late: list[list[object]] = [[b"body", 1, b"late"], [b"frobnicate"]]
        events = pair.to_proxy(*late * 20, [b"pong", b"1"], *late * 7, [b"pong", b"2"])
        self.assertEqual(
            [Ignored(16), Ignored(16), m.Pong(b"1"), m.Pong(b"2")],
            events,
        )

    def test_wrong_sender(self) -> None:
        """What only the other role may say is an error of the connection."""
        for frame in ([b"ping", b"1"], [b"registered", 1], [b"refused", 1, b"a", b"b"]):
            pair = ConnectionPair()
            verb = frame[0].decode()  # type: ignore[union-attr]
            reason = f"no {verb} is allowed when open"
            self.assert_broken(pair.proxy, pair.to_proxy(frame), StateError, reason)
        for frame in ([b"pong", b"1"], [b"unregister", 1], response(1).frame()):
            pair = ConnectionPair()
            reason = f"no {frame[0].decode()} is allowed when open"
            self.assert_broken(pair.guest, pair.to_guest(frame), StateError, reason)
        self.local_error("no pong when our side is OPEN", pair.proxy.send, m.Pong(b"1"))

    def test_data_to_send(self) -> None:
        """All that was said in a turn is there at once, and only once."""
        pair = ConnectionPair()
        self.assertEqual(b"", pair.proxy.data_to_send())
        pair.proxy.send(m.Ping(b"1"))
        pair.proxy.send(m.Ping(b"2"))
        self.assertEqual(b"11:4:ping,1:1,]11:4:ping,1:2,]", pair.proxy.data_to_send())
        self.assertEqual(b"", pair.proxy.data_to_send())

    def test_bodies_are_not_sent_as_messages(self) -> None:
        """What takes credit has methods of its own."""
        pair = ConnectionPair()
        pair.proxy.send(request(1, None))
        for message in (m.Body(1, b"x"), m.End(1), m.Credit(1, 1)):
            self.local_error("use write_body, end_body and consumed", pair.proxy.send, message)
        self.assertEqual(1, len(pair.said(PROXY)))


class ByeTests(WireTestCase):
    def test_after_our_bye(self) -> None:
        """Nothing is said after bye, and every exchange is over."""
        pair = ConnectionPair()
        pair.proxy.send(request(1, None))
        pair.settle()
        pair.guest.send(response(1, None))
        pair.guest.write_body(1, b"x" * 70_000)
        pair.guest.end_body(1)
        pair.guest.send(m.Bye())
        self.assertEqual({}, pair.guest.exchanges)
        self.assertEqual(0, pair.guest.pending(1))
        pair.guest.data_to_send()
        pair.to_guest([b"credit", 1, 9999], [b"body", 1, b"x"], [b"ping", b"1"])
        self.local_error("exchange 1 is not under way", pair.guest.write_body, 1, b"x")
        self.local_error("exchange 1 is not under way", pair.guest.end_body, 1)
        self.local_error("no pong when our side is DONE", pair.guest.send, m.Pong(b"1"))
        self.local_error("no bye when our side is DONE", pair.guest.send, m.Bye())
        pair.guest.consumed(1, 100_000)
        self.assertEqual(b"", pair.guest.data_to_send())

    def test_what_comes_after_our_bye_is_discarded(self) -> None:
        """But for the peer's bye; and an error is not answered."""
        pair = ConnectionPair()
        pair.guest.send(m.Bye())
        pair.guest.data_to_send()
        frames = ([b"ping", b"1"], request(1).frame(), request(2, None).frame(), [b"bye"])
        self.assertEqual([m.Bye()], pair.to_guest(*frames))
        self.assertEqual({}, pair.guest.exchanges)
        pair = ConnectionPair()
        pair.guest.send(m.Bye())
        pair.guest.data_to_send()
        (event,) = pair.to_guest([b"ping"])
        self.assertIsInstance(event, Broken)
        self.assertEqual(b"", pair.guest.data_to_send())

    def test_after_their_bye(self) -> None:
        """Who has said bye says nothing more."""
        pair = ConnectionPair()
        events = pair.to_proxy([b"bye"], [b"pong", b"1"])
        self.assertEqual(m.Bye(), events.pop(0))
        self.assert_broken(pair.proxy, events, StateError, "no pong is allowed when done")
        pair = ConnectionPair()
        self.assertEqual([m.Bye(), Broken], [*pair.to_guest([b"bye"]), Broken])
        (event,) = pair.to_guest([b"bye"])
        self.assertIsInstance(event, Broken)

    def test_bye_at_once(self) -> None:
        """Both may say bye without having greeted."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Bye())
        pair.proxy.send(m.Bye())
        pair.settle()
        self.assertEqual(([m.Bye()], [m.Bye()]), (pair.take(GUEST), pair.take(PROXY)))


class BrokenTests(WireTestCase):
    def test_no_frame(self) -> None:
        """Bytes that are no frame end the connection."""
        pair = ConnectionPair()
        pair.feed(PROXY, b"GET / HTTP/1.1\r\n\r\n")
        reason = "a frame begins with its length: digits, 7 at most, no leading zero"
        self.assert_broken(pair.proxy, pair.take(PROXY), FrameError, reason)

    def test_too_long(self) -> None:
        """The limit is the one that we said."""
        pair = ConnectionPair(proxy=Limits(frame=2000))
        pair.feed(PROXY, b"2001:")
        reason = "a frame of 2001 bytes, where 2000 are allowed"
        self.assert_broken(pair.proxy, pair.take(PROXY), FrameError, reason)

    def test_no_message(self) -> None:
        """So does a frame that is no message."""
        pair = ConnectionPair()
        events = pair.to_proxy([b"pong"])
        self.assert_broken(
            pair.proxy, events, MessageError, "pong: 1 elements must follow the verb"
        )

    def test_before_greeting(self) -> None:
        """And whatever is wrong before the greeting."""
        pair = ConnectionPair(greet=False)
        events = pair.to_proxy([b"pong", b"1"])
        self.assert_broken(pair.proxy, events, StateError, "no pong is allowed when idle")

    def test_what_came_before_stands(self) -> None:
        """Messages before the one that is wrong are delivered; those after it are not."""
        pair = ConnectionPair()
        events = pair.to_proxy([b"pong", b"1"], [b"pong"], [b"pong", b"2"])
        self.assertEqual(m.Pong(b"1"), events[0])
        self.assertEqual(2, len(events))

    def test_long_reasons_are_cut(self) -> None:
        """The reason that goes to the peer keeps its limit."""
        pair = ConnectionPair()
        pair.feed(PROXY, encode([b"hello", {b"k": 1}]))
        (frame,) = pair.said(PROXY)
        self.assertLessEqual(len(frame[2]), 1024)  # type: ignore[arg-type]

    @given(st.binary(max_size=80), st.sampled_from(list(Role)), st.booleans(), st.integers(1, 9))
    @example(b"4:1:\xff#]", PROXY, True, 1)
    @example(b"10:7:0:]1:b,}]", PROXY, True, 1)
    def test_any_bytes(self, data: bytes, role: Role, greet: bool, size: int) -> None:
        """Whatever comes, next_event does not raise, and what we say is right."""
        pair = ConnectionPair(greet=greet)
        events = pair.feed(role, data, [size])
        said = pair.said(role)
        if any(isinstance(event, Broken) for event in events):
            assert said[-1][0] == b"bye"
            assert isinstance(events[-1], Broken)


class ExchangeTests(WireTestCase):
    def setUp(self) -> None:
        self.pair = ConnectionPair()
        self.guest, self.proxy = self.pair.guest, self.pair.proxy

    def begin(self, number: int = 1, body: bytes | None = b"", **info: object) -> None:
        """The proxy makes a request, and the guest has it."""
        self.proxy.send(request(number, body, **info))
        self.pair.settle()
        self.assertEqual(request(number, body, **info), self.pair.take(GUEST)[-1])

    def test_inline(self) -> None:
        """A request and a response with their bodies, and all is over on both sides."""
        self.begin(1, b"question")
        self.assertEqual(
            (Half.DONE, Half.WAITING),
            (self.proxy.exchanges[1].ours, self.proxy.exchanges[1].theirs),
        )
        self.guest.send(response(1, b"answer", headers=[(b"a", b"b")]))
        self.assertEqual({}, self.guest.exchanges)
        self.pair.settle()
        self.assertEqual([response(1, b"answer", headers=[(b"a", b"b")])], self.pair.take(PROXY))
        self.assertEqual({}, self.proxy.exchanges)

    def test_interim(self) -> None:
        """Interim responses come before the final one."""
        self.begin()
        self.guest.send(response(1, status=100))
        self.guest.send(response(1, status=103, headers=[(b"link", b"x")]))
        self.guest.send(response(1, status=199))
        self.guest.send(response(1, status=200))
        self.pair.settle()
        self.assertEqual(
            [100, 103, 199, 200],
            [event.status for event in self.pair.take(PROXY)],  # type: ignore[union-attr]
        )
        self.assertEqual({}, self.proxy.exchanges)

    def test_interim_with_a_body(self) -> None:
        """An interim response has none."""
        self.begin()
        for body in (b"x", None, {}):
            self.local_error(
                "an interim response has no body", self.guest.send, response(1, body, 100)
            )
        why = "an interim response with a body"
        events = self.pair.to_proxy(response(1, b"x", 100).frame())
        self.assert_violation(self.proxy, events, 1, why)
        self.begin(2)
        events = self.pair.to_proxy(response(2, None, 199).frame())
        self.assert_violation(self.proxy, events, 2, why)

    def test_interim_after_the_head(self) -> None:
        """An interim response is not later than the final one."""
        self.begin()
        self.guest.send(response(1, None))
        self.local_error(
            "exchange 1: no INTERIM when STREAMING", self.guest.send, response(1, status=100)
        )
        self.pair.settle()
        self.pair.take(PROXY)
        events = self.pair.to_proxy(response(1, status=100).frame())
        self.assert_violation(self.proxy, events, 1, "no interim is allowed when streaming")

    def test_two_heads(self) -> None:
        """There is one final response."""
        self.begin()
        self.guest.send(response(1, None))
        self.local_error("exchange 1: no WHOLE when STREAMING", self.guest.send, response(1))
        self.pair.settle()
        self.pair.take(PROXY)
        events = self.pair.to_proxy(response(1).frame())
        self.assert_violation(self.proxy, events, 1, "no whole is allowed when streaming")

    def test_streams(self) -> None:
        """Bodies go both ways in pieces, with trailers at the end."""
        self.begin(1, None)
        self.proxy.write_body(1, b"one ")
        self.proxy.write_body(1, b"two")
        self.proxy.end_body(1, [(b"sum", b"7")])
        self.pair.settle()
        self.assertEqual(
            [m.Body(1, b"one "), m.Body(1, b"two"), m.End(1, [(b"sum", b"7")])],
            self.pair.take(GUEST),
        )
        self.assertIs(Half.DONE, self.guest.exchanges[1].theirs)
        self.guest.send(response(1, None))
        self.guest.write_body(1, b"three")
        self.assertIs(Half.STREAMING, self.guest.exchanges[1].ours)
        self.guest.end_body(1)
        self.assertEqual({}, self.guest.exchanges)
        self.pair.settle()
        self.assertEqual([response(1, None), m.Body(1, b"three"), m.End(1)], self.pair.take(PROXY))
        self.assertEqual({}, self.proxy.exchanges)

    def test_not_streaming(self) -> None:
        """Pieces belong to a streamed body that is under way."""
        self.begin(1, b"whole")
        self.local_error("exchange 1: no body when DONE", self.proxy.write_body, 1, b"x")
        self.local_error("exchange 1: no end when DONE", self.proxy.end_body, 1)
        self.local_error("exchange 1: no body when WAITING", self.guest.write_body, 1, b"x")
        self.local_error("exchange 1: no end when WAITING", self.guest.end_body, 1)
        self.local_error("exchange 2 is not under way", self.guest.write_body, 2, b"x")
        self.local_error("exchange 2 is not under way", self.guest.end_body, 2)
        self.local_error("exchange 2 is not under way", self.guest.send, response(2))
        self.assertEqual(b"", self.guest.data_to_send())

    def test_ended_but_waiting(self) -> None:
        """A body that has been ended takes no more, though its end has not gone yet."""
        self.begin(1, None)
        self.assertEqual(4464, self.proxy.write_body(1, bytes(70_000)))
        self.proxy.end_body(1)
        self.local_error("exchange 1: no body when STREAMING", self.proxy.write_body, 1, b"x")
        self.local_error("exchange 1: no end when STREAMING", self.proxy.end_body, 1)

    def test_pieces_for_a_whole_body(self) -> None:
        """A peer that goes on after a whole body breaks a rule of that exchange."""
        for frame, verb in (([b"body", 1, b"x"], "body"), ([b"end", 1], "end")):
            self.setUp()
            self.begin(1, b"whole")
            events = self.pair.to_guest(frame)
            self.assert_violation(self.guest, events, 1, f"no {verb} is allowed when done")
        for frame, verb in (([b"body", 1, b"x"], "body"), ([b"end", 1], "end")):
            self.setUp()
            self.begin()
            events = self.pair.to_proxy(frame)
            self.assert_violation(self.proxy, events, 1, f"no {verb} is allowed when waiting")

    def test_a_violation_leaves_the_others_alone(self) -> None:
        """The other exchanges of a connection go on, and the peer learns of its mistake."""
        self.begin(1)
        self.begin(2, None)
        self.feed_violation()
        self.pair.deliver(GUEST)
        self.assertEqual(
            [m.Abort(1, b"protocol", b"no body is allowed when waiting")], self.pair.take(GUEST)
        )
        self.assertEqual([2], list(self.guest.exchanges))
        self.proxy.write_body(2, b"x")
        self.pair.settle()
        self.assertEqual([m.Body(2, b"x")], self.pair.take(GUEST))

    def feed_violation(self) -> None:
        self.assertEqual(
            [Violation(1, "no body is allowed when waiting")],
            self.pair.to_proxy([b"body", 1, b"x"]),
        )

    def test_after_a_violation(self) -> None:
        """What is still under way for that exchange is ignored."""
        self.begin(1)
        self.feed_violation()
        frames = [response(1).frame(), [b"body", 1, b"x"], [b"end", 1], [b"abort", 1, b"error"]]
        self.assertEqual([], self.pair.to_proxy(*frames, [b"credit", 1, 5]))

    def test_numbers_grow(self) -> None:
        """A number is used once, and none goes back."""
        self.begin(3)
        self.local_error("exchange numbers grow", self.proxy.send, request(3))
        self.local_error("exchange numbers grow", self.proxy.send, request(2))
        self.assertEqual(3, self.proxy.last)
        events = self.pair.to_guest(request(3).frame())
        self.assert_broken(self.guest, events, StateError, "exchange 3 does not follow 3")

    def test_never_begun(self) -> None:
        """What concerns an exchange to come is an error of the connection."""
        for frame in (
            response(2).frame(),
            [b"body", 2, b"x"],
            [b"end", 2],
            [b"credit", 2, 1],
            [b"abort", 2, b"error"],
        ):
            self.setUp()
            self.begin(1)
            events = self.pair.to_proxy(frame)
            self.assert_broken(self.proxy, events, StateError, "exchange 2 was never begun")

    def test_early_response(self) -> None:
        """A complete response ends the exchange, whatever of the request is still to come."""
        self.begin(1, None)
        self.proxy.write_body(1, bytes(70_000))
        self.pair.settle()
        self.pair.take(GUEST)
        self.guest.send(response(1))
        self.assertEqual({}, self.guest.exchanges)
        self.pair.settle()
        self.assertEqual({}, self.proxy.exchanges)
        self.assertEqual(0, self.proxy.pending(1))
        self.assertEqual(
            [], self.pair.to_guest([b"body", 1, b"late"], [b"end", 1], [b"abort", 1, b"client"])
        )

    def test_streamed_response_before_the_request_is_complete(self) -> None:
        """An exchange goes on while its response does."""
        self.begin(1, None)
        self.guest.send(response(1, None))
        self.pair.settle()
        self.proxy.write_body(1, b"x")
        self.proxy.end_body(1)
        self.assertIn(1, self.proxy.exchanges)
        self.pair.settle()
        self.assertIn(1, self.guest.exchanges)
        self.guest.end_body(1)
        self.pair.settle()
        self.assertEqual({}, self.proxy.exchanges)

    def test_draining(self) -> None:
        """A draining proxy begins nothing new; a draining guest answers what crossed."""
        self.begin(1)
        self.guest.send(m.Drain())
        self.proxy.send(request(2))
        self.pair.settle()
        self.guest.send(response(1))
        self.guest.send(m.Abort(2, b"refused"))
        self.pair.settle()
        self.assertEqual({}, self.proxy.exchanges)
        self.proxy.send(m.Drain())
        self.local_error("no request when our side is DRAINING", self.proxy.send, request(3))
        self.pair.settle()
        self.pair.take(GUEST)
        events = self.pair.to_guest(request(3).frame())
        self.assert_broken(self.guest, events, StateError, "no request is allowed when draining")


class AbortTests(WireTestCase):
    def setUp(self) -> None:
        self.pair = ConnectionPair()
        self.guest, self.proxy = self.pair.guest, self.pair.proxy
        self.proxy.send(request(1, None))
        self.pair.settle()
        self.pair.take(GUEST)

    def test_either_side(self) -> None:
        """Either ends an exchange, and the other is told."""
        for role in Role:
            self.setUp()
            self.pair.end(role).send(m.Abort(1, b"error", b"because"))
            self.assertEqual({}, self.pair.end(role).exchanges)
            self.pair.settle()
            self.assertEqual([m.Abort(1, b"error", b"because")], self.pair.take(role.peer))
            self.assertEqual({}, self.pair.end(role.peer).exchanges)

    def test_crossing(self) -> None:
        """An abort that crosses with a response: the one is ignored, and so is the other."""
        self.proxy.send(m.Abort(1, b"client"))
        self.guest.send(response(1, b"late"))
        self.pair.settle()
        self.assertEqual([], self.pair.take(PROXY))
        self.assertEqual([], self.pair.take(GUEST))

    def test_crossing_aborts(self) -> None:
        """Two aborts that cross are both ignored."""
        self.proxy.send(m.Abort(1, b"client"))
        self.guest.send(m.Abort(1, b"error"))
        self.pair.settle()
        self.assertEqual(([], []), (self.pair.take(PROXY), self.pair.take(GUEST)))

    def test_what_waits_is_dropped(self) -> None:
        """Nothing more is sent for it, whatever credit comes."""
        self.guest.send(response(1, None))
        self.guest.write_body(1, bytes(100_000))
        self.guest.end_body(1)
        self.pair.settle()
        self.guest.send(m.Abort(1, b"error"))
        self.assertEqual([[b"abort", 1, b"error", b""]], self.pair.said(GUEST))
        self.assertEqual([], self.pair.to_guest([b"credit", 1, 50_000]))
        self.assertEqual(b"", self.guest.data_to_send())

    def test_over_already(self) -> None:
        """To abort what is over says nothing; to abort what never began is a mistake."""
        self.guest.send(response(1))
        self.guest.data_to_send()
        self.guest.send(m.Abort(1, b"error"))
        self.assertEqual(b"", self.guest.data_to_send())
        self.local_error("exchange 2 was never begun", self.guest.send, m.Abort(2, b"error"))


class CreditTests(WireTestCase):
    def start(self, guest: Limits | None = None, proxy: Limits | None = None) -> None:
        self.pair = ConnectionPair(guest, proxy)
        self.guest, self.proxy = self.pair.guest, self.pair.proxy

    def test_the_window_is_the_receivers(self) -> None:
        """Each direction has the window that its receiver said."""
        self.start(Limits(window=10), Limits(window=4))
        self.proxy.send(request(1, None))
        self.assertEqual(2, self.proxy.write_body(1, b"0123456789AB"))
        self.assertEqual(2, self.proxy.pending(1))
        self.pair.settle()
        self.guest.send(response(1, None))
        self.assertEqual(6, self.guest.write_body(1, b"0123456789"))
        self.assertEqual(7, self.guest.write_body(1, b"A"))
        self.assertEqual(0, self.guest.pending(2))
        self.assertEqual([b"0123"], bodies(self.pair.said(GUEST)))

    def test_grants(self) -> None:
        """Credit goes back when half of the window is consumed, and what waited goes."""
        self.start(Limits(window=10))
        self.proxy.send(request(1, None))
        self.proxy.write_body(1, b"0123456789ABCDE")
        self.proxy.end_body(1, [(b"t", b"1")])
        self.pair.settle()
        self.assertEqual(b"0123456789", self.pair.take(GUEST)[1].data)  # type: ignore[union-attr]
        self.guest.consumed(1, 4)
        self.assertEqual(b"", self.guest.data_to_send())
        self.guest.consumed(1, 1)
        self.pair.deliver(PROXY)
        self.assertEqual([m.Credit(1, 5)], self.pair.take(PROXY))
        self.pair.settle()
        self.assertEqual([m.Body(1, b"ABCDE"), m.End(1, [(b"t", b"1")])], self.pair.take(GUEST))
        self.guest.consumed(1, 10)
        self.assertEqual(b"", self.guest.data_to_send())

    def test_no_grant_for_what_is_not_streamed(self) -> None:
        """Who consumed a whole body, or one that is over, grants nothing."""
        self.start(Limits(window=2))
        self.proxy.send(request(1, b"whole"))
        self.pair.settle()
        self.guest.consumed(1, 5)
        self.guest.consumed(7, 5)
        self.assertEqual(b"", self.guest.data_to_send())

    def test_end_waits_for_the_body(self) -> None:
        """An end without anything that waits goes at once, a later one when all has gone."""
        self.start(Limits(window=3))
        self.proxy.send(request(1, None))
        self.proxy.write_body(1, b"abcd")
        self.proxy.end_body(1)
        self.assertEqual([b"request", b"body"], [frame[0] for frame in self.pair.said(PROXY)])
        self.assertIs(Half.STREAMING, self.proxy.exchanges[1].ours)
        self.pair.to_proxy([b"credit", 1, 1])
        self.assertEqual([[b"body", 1, b"d"], [b"end", 1, [], {}]], self.pair.said(PROXY))
        self.assertIs(Half.DONE, self.proxy.exchanges[1].ours)
        self.assertIsNone(self.proxy.exchanges[1].ending)
        self.pair.to_proxy([b"credit", 1, 1])
        self.assertEqual(b"", self.proxy.data_to_send())

    def test_a_response_that_ends_on_credit_is_over(self) -> None:
        """The last byte of a response may wait; with its end the exchange is over."""
        self.start(proxy=Limits(window=1))
        self.proxy.send(request(1))
        self.pair.settle()
        self.guest.send(response(1, None))
        self.guest.write_body(1, b"ab")
        self.guest.end_body(1)
        self.assertIn(1, self.guest.exchanges)
        self.pair.to_guest([b"credit", 1, 1])
        self.assertEqual({}, self.guest.exchanges)

    def test_more_than_credit(self) -> None:
        """More body than credit is an error of the exchange; exactly as much is none."""
        why = "more body than there was credit for"
        self.start(Limits(window=3), Limits(window=2))
        self.proxy.send(request(1, None))
        self.pair.settle()
        self.pair.take(GUEST)
        self.assertEqual([m.Body(1, b"abc")], self.pair.to_guest([b"body", 1, b"abc"]))
        self.assert_violation(self.guest, self.pair.to_guest([b"body", 1, b"d"]), 1, why)
        self.proxy.send(request(2, None))
        self.pair.settle()
        self.pair.take(GUEST)
        self.assert_violation(self.guest, self.pair.to_guest([b"body", 2, b"abcd"]), 2, why)
        self.pair.settle()
        self.proxy.send(request(3))
        self.pair.settle()
        self.pair.to_proxy(response(3, None).frame(), [b"body", 3, b"ab"])
        self.assert_violation(self.proxy, self.pair.to_proxy([b"body", 3, b"c"]), 3, why)

    def test_expect(self) -> None:
        """The body of a request that expects waits until the guest wants it."""
        self.start(Limits(window=10))
        self.proxy.send(request(1, None, expect=True))
        self.assertEqual(3, self.proxy.write_body(1, b"abc"))
        self.pair.settle()
        self.assertEqual(1, len(self.pair.take(GUEST)))
        self.guest.consumed(1, 0)
        self.pair.settle()
        self.assertEqual([m.Credit(1, 10)], self.pair.take(PROXY))
        self.assertEqual([m.Body(1, b"abc")], self.pair.take(GUEST))
        self.assertEqual(0, self.proxy.pending(1))

    def test_expect_overrun(self) -> None:
        """A proxy that does not wait breaks a rule."""
        self.start()
        self.pair.to_guest(request(1, None, expect=True).frame())
        events = self.pair.to_guest([b"body", 1, b"a"])
        self.assert_violation(self.guest, events, 1, "more body than there was credit for")

    def test_expect_false(self) -> None:
        """A request that says that it does not expect has its whole window."""
        self.start()
        self.proxy.send(request(1, None, expect=False))
        self.assertEqual(0, self.proxy.write_body(1, b"abc"))
        self.pair.settle()
        self.assertEqual(m.Body(1, b"abc"), self.pair.take(GUEST)[-1])

    def test_expect_is_the_requests(self) -> None:
        """The response's window has nothing to do with it."""
        self.start()
        self.proxy.send(request(1, None, expect=True))
        self.pair.settle()
        self.guest.send(response(1, None))
        self.assertEqual(0, self.guest.write_body(1, b"abc"))

    def test_more_credit_than_a_window_holds(self) -> None:
        """That is an error of the exchange; a full window is none."""
        self.start(Limits(window=5))
        self.proxy.send(request(1, None))
        self.proxy.send(request(2, None))
        self.pair.settle()
        self.assertEqual(1, len(self.pair.to_proxy([b"credit", 1, MAX_CREDIT - 5])))
        why = "more credit than a window can hold"
        self.assert_violation(self.proxy, self.pair.to_proxy([b"credit", 1, 1]), 1, why)
        self.assertEqual([2], list(self.proxy.exchanges))

    def test_credit_that_crosses_with_the_end(self) -> None:
        """Credit for a body that has been sent is of no use, and no error."""
        self.start()
        self.proxy.send(request(1, b"whole"))
        self.pair.settle()
        self.pair.take(GUEST)
        self.assertEqual([m.Credit(1, 7)], self.pair.to_proxy([b"credit", 1, 7]))
        self.assertEqual(b"", self.proxy.data_to_send())

    def test_credit_before_the_head(self) -> None:
        """Credit may be granted for a body that has not begun."""
        self.start(proxy=Limits(window=1))
        self.proxy.send(request(1))
        self.pair.settle()
        self.pair.to_guest([b"credit", 1, 4])
        self.guest.send(response(1, None))
        self.assertEqual(1, self.guest.write_body(1, b"012345"))


class PeerLimitTests(WireTestCase):
    def test_inline(self) -> None:
        """A longer body than the peer takes inline is a mistake; of a peer, of its exchange."""
        pair = ConnectionPair(Limits(inline=3), Limits(inline=2))
        why = "a longer body than the peer takes inline"
        self.local_error(why, pair.proxy.send, request(1, b"abcd"))
        self.assertEqual(0, pair.proxy.last)
        pair.proxy.send(request(1, b"abc"))
        pair.settle()
        self.local_error(why, pair.guest.send, response(1, b"abc"))
        pair.guest.send(response(1, b"ab"))
        pair.settle()
        why = "a longer body than may be inline"
        pair.take(PROXY)
        pair.proxy.send(request(2))
        pair.settle()
        pair.take(GUEST)
        self.assert_violation(pair.proxy, pair.to_proxy(response(2, b"abc").frame()), 2, why)
        events = pair.to_guest(request(3, b"abcd").frame())
        self.assert_violation(pair.guest, events, 3, why)

    def test_frame(self) -> None:
        """A longer frame than the peer takes is refused before anything has changed."""
        pair = ConnectionPair(Limits(frame=1024), Limits(frame=1025))
        size = next(
            n for n in range(1024) if len(request(1, bytes(n)).encode()) == 4 + 1 + 1024 + 1
        )
        body = bytes(size)
        longer = request(1, body + b"x")
        error = self.assertRaises(TooLarge, pair.proxy.send, longer)
        self.assertEqual("1031 bytes, where frames of 1024 are taken", str(error))
        self.assertEqual(
            (0, {}, b""), (pair.proxy.last, pair.proxy.exchanges, pair.proxy.data_to_send())
        )
        pair.proxy.send(request(1, body))
        pair.settle()
        self.assertEqual([request(1, body)], pair.take(GUEST))

    def test_body_frames_fit(self) -> None:
        """Pieces are as long as the peer takes, and no longer."""
        pair = ConnectionPair(Limits(frame=1024), Limits(frame=1025))
        pair.proxy.send(request(1, None))
        pair.proxy.write_body(1, bytes(3000))
        pair.deliver(GUEST)
        pair.guest.send(response(1, None))
        pair.guest.write_body(1, bytes(3000))
        pair.settle()
        sizes = [len(event.data) for event in pair.take(GUEST)[1:]]  # type: ignore[union-attr]
        self.assertEqual([960, 960, 960, 120], sizes)
        sizes = [len(event.data) for event in pair.take(PROXY)[1:]]  # type: ignore[union-attr]
        self.assertEqual([961, 961, 961, 117], sizes)

    def test_body_frames_take_turns(self) -> None:
        """However much the peer takes, a piece is not longer than a chunk."""
        pair = ConnectionPair(Limits(frame=9_999_999, window=1_000_000))
        pair.proxy.send(request(1, None))
        pair.proxy.write_body(1, bytes(40_000))
        sizes = [len(data) for data in bodies(pair.said(PROXY))]
        self.assertEqual([BODY_CHUNK, BODY_CHUNK, 40_000 - 2 * BODY_CHUNK], sizes)

    def test_trailers(self) -> None:
        """Trailers that are too long for the peer are refused, and the body can still be ended."""
        pair = ConnectionPair(Limits(frame=1024))
        pair.proxy.send(request(1, None))
        self.assertRaises(TooLarge, pair.proxy.end_body, 1, [(b"t", bytes(1024))])
        self.assertIs(Half.STREAMING, pair.proxy.exchanges[1].ours)
        pair.proxy.end_body(1)
        self.assertEqual([b"request", b"end"], [frame[0] for frame in pair.said(PROXY)])
