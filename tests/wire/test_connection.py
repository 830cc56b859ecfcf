"""Tests of subproxy.wire.connection: both roles, joined and apart."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from subproxy.wire import messages as m
from subproxy.wire.connection import (
    Broken,
    Ignored,
)
from subproxy.wire.errors import (
    FrameError,
    MessageError,
    StateError,
)
from subproxy.wire.frames import encode
from subproxy.wire.limits import Limits
from subproxy.wire.states import Role, Side
from tests.rigs.wire_case import GUEST, PROXY, WireTestCase
from tests.rigs.wire_pair import ConnectionPair, request, response


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

    def test_ignored_bytes_take_turns_too(self) -> None:
        """8 KiB of frames that are of no interest are a turn's, however few they are."""
        for size, ignored in ((3000, [Ignored(3)]), (8192, [Ignored(1)]), (2000, [])):
            pair = ConnectionPair()
            unknown: list[object] = [b"frobnicate", bytes(size)]
            events = pair.to_proxy(unknown, unknown, unknown, [b"pong", b"1"])
            self.assertEqual([*ignored * (3 if size == 8192 else 1), m.Pong(b"1")], events)

    def test_just_so_many_ignored_bytes(self) -> None:
        """A turn ends with the byte that makes them 8 KiB."""
        overhead = len(encode([b"frobnicate", bytes(8000)])) - 8000
        for size, ignored in ((8192, [Ignored(1)]), (8191, [])):
            pair = ConnectionPair()
            events = pair.to_proxy([b"frobnicate", bytes(size - overhead)], [b"pong", b"1"])
            self.assertEqual([*ignored, m.Pong(b"1")], events)

    def test_what_the_compiled_path_asks(self) -> None:
        """The longest frame with its length, and what is held of one that is not whole."""
        pair = ConnectionPair(Limits(frame=99_999))
        self.assertEqual(5 + 1 + 99_999 + 1, pair.proxy.most)
        pair.proxy.feed(b"12:4:po")
        self.assertIsNone(pair.proxy.next_event())
        self.assertEqual(7, pair.proxy.unparsed)
        out = pair.proxy.out
        pair.proxy.send(m.Ping(b"1"))
        self.assertEqual([m.Ping(b"1").encode()], out)
        pair.proxy.data_to_send()
        self.assertEqual([], out)
        self.assertIs(out, pair.proxy.out)

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

    def test_what_is_said_comes_behind_what_was_said(self) -> None:
        """Nothing takes the place of what waits to be sent."""
        pair = ConnectionPair()
        for number in (1, 2, 3):
            pair.proxy.send(request(number, None))
        pair.settle()
        pair.guest.data_to_send()
        saying = (
            lambda: pair.guest.send(response(1, None)),
            lambda: pair.guest.write_body(1, b"x"),
            lambda: pair.guest.end_body(1),
            lambda: pair.guest.consumed(2, 65_536),
            lambda: pair.guest.reject(2, b"wrong"),
            lambda: pair.to_guest([b"end", 3], [b"end", 3]),
            lambda: pair.feed(GUEST, b"no frame"),
        )
        for say in saying:
            say()
        verbs = [b"response", b"body", b"end", b"credit", b"abort", b"abort", b"bye"]
        self.assertEqual(verbs, [frame[0] for frame in pair.said(GUEST)])


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

    def test_nothing_more_is_held(self) -> None:
        """What had come, and what comes, is of no interest to who has given up."""
        for give_up in (b"no frame at all", None):
            pair = ConnectionPair()
            pair.proxy.feed(encode([b"pong", b"1"])[:5])
            if give_up is None:
                pair.proxy.discard()
            else:
                pair.feed(PROXY, give_up)
            self.assertEqual(0, pair.proxy.unparsed)
            pair.proxy.feed(encode([b"pong", b"1"]))
            self.assertEqual(0, pair.proxy.unparsed)
            self.assertIsNone(pair.proxy.next_event())

    def test_no_answer_to_a_connect(self) -> None:
        """A guest that has dialled a data connection can't say C{bye} there; it gives up."""
        pair = ConnectionPair(greet=False)
        pair.guest.send(m.Connect(5, b"token"))
        pair.guest.data_to_send()
        (event,) = pair.feed(GUEST, b"HTTP/1.1 200 OK")
        self.assertIsInstance(event, Broken)
        self.assertEqual(b"", pair.guest.data_to_send())

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
