"""Both paths beside each other: guests that wait, leave and die, and what trusted peers tell."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.wire import messages as m
from tests.rigs.conversation_case import GET, POST, ConversationCase
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Pair, response

skip = unavailable()


class GuestConversationTests(ConversationCase):
    def test_a_guest_that_has_used_up_its_share(self) -> None:
        """Goes on in the next turn, on both paths, and all are answered."""
        plain = b"".join(response(number, body=b"x" * 50) for number in range(1, 101))
        self.assertEqual(self.used_up(plain), 100)
        streamed = b"".join(
            response(number, body=None) + m.Body(number, b"y").encode() + m.End(number).encode()
            for number in range(1, 101)
        )
        self.assertEqual(self.used_up(streamed), 0)

    def used_up(self, answers: bytes) -> int:
        """100 such C{answers} in one read; returns how many the compiled path gave."""
        pair = self.pair(share=3.0)
        fronts = []
        for _ in range(100):
            pair.client(GET)
            fronts.append([side.transport for side in pair.sides])
            pair.connect()
        for side in pair.sides:
            side.guest.share.timer = itertools.count(1).__next__
            side.guest.dataReceived(answers)
            self.assertEqual(side.guest_transport.producerState, "paused")
        for _ in range(400):
            for side in pair.sides:
                side.world.advance(0)
        for side in pair.sides:
            self.assertEqual(side.guest_transport.producerState, "producing")
        for fast, slow in fronts:
            self.assertTrue(fast.value().startswith(b"HTTP/1.1 200 OK"))
            self.assertEqual(fast.value(), slow.value())
        requests: int = pair.stats["requests"]
        return requests

    @settings(max_examples=examples(400), deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [
                        *(b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host"),
                        *(
                            b"X-Forwarded-Port",
                            b"Forwarded",
                            b"Via",
                            b"x-forwarded-for",
                            b"X-Real-IP",
                        ),
                    ]
                ),
                st.one_of(
                    st.sampled_from(
                        [
                            *(
                                b"",
                                b"203.0.113.9",
                                b"10.0.0.9, 192.0.2.1",
                                b"a,b",
                                b"6.6.6.6,, 1.1.1.1:80",
                            ),
                            *(
                                b"[2001:db8::2]:80, 10.1.1.1",
                                b"https",
                                b"http",
                                b"wss, https",
                                b"ftp",
                            ),
                            *(
                                b"x.example:8443",
                                b"8443",
                                b"443",
                                b"a b",
                                b"1.1 x",
                                b"unix",
                                b"\xff",
                            ),
                            *(b"for=1.1.1.1;proto=https;host=x", b'for="[::1]:80", for=10.0.0.3'),
                            *(b'for="', b"for=unknown;proto=https", b"10.0.0.1" * 200),
                        ]
                    ),
                    st.text('for=prothsby;,"[]:._-% 0123456789', max_size=40).map(str.encode),
                ),
            ),
            max_size=6,
        ),
        st.sampled_from(["192.0.2.7", "10.0.0.1", "2001:db8::1"]),
        st.sampled_from([b"a.example", b"A.Example:8443", b"b.example."]),
        st.booleans(),
    )
    def test_whatever_a_trusted_peer_tells(
        self, fields: list[tuple[bytes, bytes]], address: str, host: bytes, handed: bool
    ) -> None:
        """Frames, log and all else are the same, also of a second request that is remembered."""
        pair = Pair(address=address, trust=["192.0.2.0/24", "10.0.0.0/8", "2001:db8::1"])
        lines = [b"GET / HTTP/1.1", b"Host: " + host, *(b"%b: %b" % each for each in fields)]
        head = b"\r\n".join([*lines, b"", b""])
        other = head.replace(b"203.0.113.9", b"10.0.0.77")  # which is trusted
        for number, request in enumerate(
            (head, head, other, other.replace(b"10.0.0.77", b"1.2.3.4")), 1
        ):
            pair.client(request)
            if handed:
                pair.guest(response(number, body=None), m.End(number).encode())
            else:
                pair.guest(response(number))
        pair.close()

    def test_what_trusted_peers_tell_is_fast(self) -> None:
        """And what is remembered of it is bounded, in number and in bytes."""
        pair = self.pair(trust=["192.0.2.7"])
        head = GET[:-2]
        for number, more in enumerate(
            (
                b"",
                b"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Port: 443\r\n",
                b"Forwarded: for=1.1.1.1;proto=https\r\nVia: 1.1 x\r\n",
                b"X-Forwarded-For: %b\r\n" % b", ".join([b"1.1.1.1"] * 1500),
            ),
            1,
        ):
            pair.client(head + more + b"\r\n")
            pair.guest(response(number))
        self.assertEqual(pair.stats["requests"], 4)
        self.assertEqual(pair.stats["declined_requests"], 0)
        self.assertEqual(pair.stats["remembered_origins"], 3)  # the long one is not
        more = examples(4195)
        for number in range(5, 5 + more):
            for side in pair.sides:
                side.protocol.dataReceived(head + b"X-Forwarded-For: ::%x\r\n\r\n" % number)
                side.guest.dataReceived(response(number))
        self.assertEqual(pair.stats["requests"], 4 + more)
        self.assertLessEqual(pair.stats["remembered_origins"], 4096)

    def test_a_guest_that_had_to_wait_while_it_registered(self) -> None:
        """Is served by the compiled path as soon as all that it said was dealt with."""
        pair = self.pair(share=3.0)
        side = pair.fast
        newer = side.world.guest("2")
        newer.protocol.share.used = 3.0
        newer.hello(b"app", b"newer")
        newer.register(b"c\\.example")
        self.assertIsNone(newer.protocol.fast)
        for _ in range(10):
            side.world.clock.advance(0)
        self.assertIsNotNone(newer.protocol.fast)
        newer.lose()

    def test_a_guest_that_leaves_with_many_exchanges(self) -> None:
        """They are lost a share of a turn at a time, in order; meanwhile one client leaves."""
        pair = self.pair(share=3.0)
        for _ in range(100):
            pair.client(GET)
            pair.connect()
        pair.client(GET)
        for side in pair.sides:
            side.guest.share.timer = itertools.count(1).__next__
            side.guest.dataReceived(m.Bye().encode())
            waiting = side.world.admission.waiting
            self.assertTrue(0 < waiting < 20, waiting)
            side.gone = True
            side.protocol.connectionLost(Failure(ConnectionDone()))
            for _ in range(100):
                side.world.clock.advance(0)
            self.assertEqual(side.world.admission.waiting, 100)
            self.assertIsNone(side.guest.subscription)
            self.assertEqual(side.counters.routes["a\\.example /.*"].statuses, {499: 1})
            side.world.advance(60.0)
            self.assertEqual(side.world.admission.waiting, 0)
            side.guest_gone = True

    def test_a_guest_that_is_replaced_with_many_exchanges(self) -> None:
        """What may move does so a share of a turn at a time; what may not is still answered."""
        pair = self.pair(share=3.0)
        pair.client(POST % 1 + b"x")
        for _ in range(100):
            pair.connect()
            pair.client(GET)
        for side in pair.sides:
            side.guest.share.timer = itertools.count(1).__next__
            newer = side.world.guest("1")
            newer.hello(b"app", b"newer")
            self.assertTrue(0 < side.world.admission.waiting < 20)
            for _ in range(200):
                side.world.clock.advance(0)
            self.assertEqual(side.world.admission.waiting, 100)
            self.assertEqual(len(side.guest.subscription.channel), 1)
            side.guest.dataReceived(response(1))
            for _ in range(5):
                side.world.clock.advance(0)
            self.assertEqual(side.counters.routes["a\\.example /.*"].statuses, {200: 1})
            self.assertIsNone(side.guest.subscription)
            side.world.advance(60.0)
            side.gone = side.guest_gone = True

    def test_a_guest_that_is_replaced_and_answers_at_once(self) -> None:
        """It is closed, whichever path the last of its exchanges was on."""
        pair = self.pair()
        for _ in range(40):
            pair.client(POST % 1 + b"x")
            pair.connect()
        for side in pair.sides:
            share = side.guest.share
            timer, share.timer = share.timer, itertools.count(1).__next__
            most, share.most = share.most, 3.0
            side.guest.subscription.retire(side.member)
            share.timer, share.most = timer, most
            side.guest.dataReceived(b"".join(response(number) for number in range(1, 41)))
            for _ in range(5):
                side.world.clock.advance(0)
            self.assertEqual(side.counters.routes["a\\.example /.*"].statuses, {200: 40})
            self.assertIsNone(side.guest.subscription)
            side.gone = side.guest_gone = True
        self.assertGreater(pair.stats["requests"], 0)

    def test_back_to_fast(self) -> None:
        """An answer in pieces takes the Python path, the next request does not."""
        pair = self.pair()
        pair.client(GET)
        pair.guest(response(1, body=None), m.Body(1, b"ab").encode(), m.End(1).encode())
        pair.client(GET)
        pair.guest(response(2))
        self.assertEqual(pair.stats["requests"], 1)
        self.assertEqual(pair.stats["declined_answers"], 1)

    def test_a_guest_dies(self) -> None:
        pair = self.pair()
        pair.client(GET)
        pair.lose_guest()
        pair.wait(15)

    def test_no_answer_in_time(self) -> None:
        pair = self.pair()
        pair.client(GET)
        pair.wait(61)
        pair.guest(response(1))

    def test_a_client_leaves(self) -> None:
        pair = self.pair()
        pair.client(GET)
        pair.lose()
        pair.guest(response(1))

    def test_a_client_that_does_not_take_its_answer(self) -> None:
        pair = self.pair()
        pair.stall()
        for number in range(1, 5):
            pair.client(GET)
            pair.guest(response(number, body=b"z" * 40_000))
        pair.drain()
        pair.stall()
        pair.client(GET)
        pair.guest(response(pair.sides[1].guest.wire.last, body=b"z" * 49_000))
        pair.wait(200)

    def test_a_guest_that_does_not_read(self) -> None:
        """Requests go on to it, until it has left too much unread."""
        pair = self.pair()
        pair.stall_guest()
        for number in range(1, 4):
            pair.client(GET)
            pair.guest(response(number))
        self.assertEqual(pair.stats["requests"], 3)
        for side in pair.sides:
            side.guest._unread.set(1 << 30)
        pair.client(GET)
        self.assertTrue(pair.fast.guest_transport.aborted)

    def test_limits(self) -> None:
        """The last request that a connection may make, and queues of a guest that is full."""
        pair = self.pair(limits=HttpLimits(requests=2), concurrency=1)
        pair.client(GET)
        pair.connect()
        pair.client(GET)
        pair.guest(response(1))
        pair.guest(response(2))
        pair.client(GET)
        pair.guest(response(3))
        pair.wait(3)

    def test_draining_by_itself(self) -> None:
        """As in a hand-over: nothing is closed, but each answer says that it is the last."""
        pair = self.pair()
        pair.client(GET)
        for side in pair.sides:
            side.factory.last_answers()
        pair.guest(response(1))
        self.assertIn(b"Connection: close", pair.last["client"])  # type: ignore[arg-type]
        self.assertEqual(pair.stats["requests"], 1)

    def test_drain_and_close(self) -> None:
        pair = self.pair()
        pair.client(GET)
        for side in pair.sides:
            side.factory.drain()
        pair.guest(response(1))
        pair.connect()
        pair.client(GET)
        for side in pair.sides:
            side.factory.close()
        pair.wait(1)

    def test_many_frames(self) -> None:
        """More frames of Python's than one turn takes, between plain answers."""
        pair = self.pair()
        pair.client(GET)
        pongs = m.Pong(b"x").encode() * 300
        pair.guest(pongs + response(1) + pongs)
        pair.wait(1)
        pair.client(GET)
        pair.guest(response(2))
        self.assertEqual(pair.stats["requests"], 2)
