"""The compiled path does what the Python path does, or leaves it to that."""

from __future__ import annotations

import itertools
import json
from unittest import SkipTest

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.log_format import FORMATS
from subproxy.wire import messages as m
from tests.fuzz.fastpath_target import one_input
from tests.rigs import fastpath_inputs as inputs
from tests.rigs.fastpath_rig import Pair, response
from tests.rigs.paths import ROOT

CORPUS = ROOT / "tests" / "corpus"
GET = b"GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nUser-Agent: curl\r\nAccept: */*\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nHost: a.example\r\nContent-Length: %d\r\n\r\n"


def setUpModule() -> None:
    reason = unavailable()
    if reason is not None:
        raise SkipTest(f"no compiled path: {reason}")


class ConversationTests(SynchronousTestCase):
    def pair(self, **options: object) -> Pair:
        pair = Pair(**options)
        self.addCleanup(pair.close)
        return pair

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=10, max_size=250), st.sampled_from(list(FORMATS)))
    def test_any_conversation(self, data: bytes, style: str) -> None:
        inputs.play(data, style).close()

    @settings(max_examples=500, deadline=None)
    @given(st.binary(max_size=120))
    def test_any_request(self, data: bytes) -> None:
        inputs.compare_request(inputs.request(inputs.Bytes(data)))

    @settings(max_examples=500, deadline=None)
    @given(st.binary(max_size=120), st.integers(1, 2**53 - 1), st.sampled_from([b"GET", b"HEAD"]))
    def test_any_response(self, data: bytes, number: int, method: bytes) -> None:
        inputs.compare_response(inputs.answer(inputs.Bytes(data), number), method)

    def test_what_was_found(self) -> None:
        for path in sorted((CORPUS / "fastpath").glob("[0-9a-f]*[0-9a-f]")):
            for style in FORMATS:
                inputs.play(path.read_bytes(), style).close()

    def test_what_the_fuzzer_kept(self) -> None:
        """Inputs of tests/fuzz/fuzz_fastpath.py that together reach all that any reached."""
        kept = json.loads((CORPUS / "fastpath" / "kept.json").read_text())
        self.assertGreater(len(kept), 50)
        for data in kept:
            one_input(bytes.fromhex(data))

    def test_corpus_of_requests(self) -> None:
        """Each request of the HTTP corpus, whole and in pieces, and an answer behind it."""
        for case in json.loads((CORPUS / "http" / "cases.json").read_text()):
            data = case["request"].encode("latin-1")
            inputs.compare_request(data)
            for size in (len(data), 1 if len(data) < 500 else 100, 7):
                pair = self.pair()
                pair.client(*(data[at : at + size] for at in range(0, len(data), size)))
                for number in range(1, 4):
                    pair.guest(response(number))
                pair.wait(1)

    def test_a_target_at_the_limit_wherever_its_line_is_cut(self) -> None:
        """The longest target is served, one byte more is refused: in one read or in two."""
        for size, status in ((200, b"200"), (201, b"414")):
            line = b"GET /" + b"a" * (size - 1) + b" HTTP/1.1"
            data = line + b"\r\nHost: a.example\r\n\r\n"
            for cut in (5, size, *range(len(line) - 10, len(line) + 5), len(data)):
                pair = self.pair(limits=HttpLimits(target=200))
                told = b""
                for piece in (data[:cut], data[cut:]):
                    if piece:
                        pair.client(piece)
                        told += pair.last["client"]  # type: ignore[operator]
                if status == b"200":
                    pair.guest(response(1))
                    told += pair.last["client"]  # type: ignore[operator]
                self.assertEqual(told[9:12], status, cut)

    def test_plain_requests_are_fast(self) -> None:
        pair = self.pair()
        for number in range(1, 11):
            pair.client(GET)
            pair.guest(response(number, headers=[(b"content-type", b"text/plain")]))
        self.assertEqual(pair.stats["requests"], 10)
        self.assertEqual(pair.stats["declined_requests"], 0)
        [counters] = pair.fast.counters.routes.values()
        self.assertEqual(counters.statuses, {200: 10})

    def test_what_else_is_fast(self) -> None:
        """HEAD, 204, 304, a body with its head, a head in two reads, two requests in one."""
        pair = self.pair()
        pair.client(GET.replace(b"GET", b"HEAD"))
        pair.guest(response(1, headers=[(b"Content-Length", b"7")], body=b""))
        pair.client(GET)
        pair.guest(response(2, 204, body=b""))
        pair.client(GET)
        pair.guest(response(3, 304, headers=[(b"ETag", b"x")], body=b""))
        pair.client(b"POST / HTTP/1.1\r\nHost: b.example\r\nContent-Length: 3\r\n\r\nabc")
        pair.guest(response(4, info={b"reason": b"Fine"}))
        pair.client(GET[:20], GET[20:])
        pair.guest(response(5)[:9], response(5)[9:])
        pair.client(GET + GET)
        pair.guest(response(6), response(7))
        pair.client(GET.replace(b"Accept: */*", b"Connection: close"))
        pair.guest(response(8))
        self.assertEqual(pair.stats["requests"], 8)
        self.assertEqual(pair.stats["declined_requests"], 0)
        self.assertEqual(pair.stats["declined_answers"], 0)

    def test_statuses_without_a_body(self) -> None:
        """Whatever the guest says, on both paths, and the connection stays."""
        pair = self.pair()
        number = 0
        for method in (b"GET", b"HEAD", b"POST"):
            for status in (204, 205, 304):
                for fields, body in (
                    ([], b""),
                    ([], b"hello"),
                    ([(b"Content-Length", b"5")], b"hello"),
                ):
                    number += 1
                    pair.client(GET.replace(b"GET", method))
                    pair.guest(response(number, status, fields, body))
                    received: bytes = pair.last["client"]  # type: ignore[assignment]
                    self.assertTrue(received.endswith(b"\r\n\r\n"))
                    self.assertEqual(b"Content-Length: 0\r\n" in received, status == 205)
                    self.assertEqual(b"Content-Length" in received, status == 205)
        self.assertEqual(pair.stats["requests"], number)
        self.assertEqual(pair.stats["declined_answers"], 0)

    def test_a_body_in_pieces_is_fast(self) -> None:
        """Up to what rides in a frame, however it is cut; what is pipelined behind it, too."""
        pair = self.pair()
        number = 0
        for size in (1, 5_000, 65_536):
            body = bytes(range(256)) * (size // 256 + 1)
            data = POST % size + body[:size]
            head = len(data) - size
            for cuts in (
                [head],
                [head, len(data) - 1],
                [head - 3, head + size // 2],
                range(16_384, len(data), 16_384),
                range(head, len(data), max(1, size // 7)),
            ):
                for behind in (b"", GET[:30]):
                    edges = [0, *cuts, len(data)]
                    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
                    pieces[-1] += behind
                    pair.client(*pieces)
                    number += 1
                    pair.guest(response(number))
                    if behind:
                        pair.client(GET[30:])
                        number += 1
                        pair.guest(response(number))
        self.assertEqual(pair.stats["requests"], number)
        self.assertEqual(pair.stats["declined_requests"], 0)

    def test_a_larger_body_in_pieces_is_not(self) -> None:
        pair = self.pair()
        pair.client(POST % 65_537, b"x" * 65_537)
        self.assertEqual(pair.stats["declined_requests"], 1)
        pair = self.pair(limits=HttpLimits(body=1000))
        pair.client(POST % 1001, b"x" * 1001)
        self.assertEqual(pair.stats["declined_requests"], 1)

    def test_a_path_that_is_refused_before_its_body_is_here(self) -> None:
        pair = self.pair()
        pair.client((POST % 46).replace(b" /p ", b" /% "), b"b" * 17)
        self.assertEqual(pair.stats["declined_requests"], 1)

    def test_who_leaves_while_it_is_held_back(self) -> None:
        """Nobody reads it, so the sweeper looks; a client that is there costs no more than that."""
        for leave_half in (False, True):
            pair = Pair()
            pair.client(GET, GET)
            pair.wait(2)
            self.assertEqual(pair.stats["declined_answers"], 0)
            pair.leave(leave_half)
            pair.wait(1)
            self.assertEqual(pair.stats["declined_answers"], 1)
            self.assertIs(pair.fast.transport.aborted, not leave_half)
            pair.close()

    def test_who_sends_more_than_is_answered(self) -> None:
        """What waits behind a request is bounded: nothing more is read until it is less."""
        pair = Pair()
        count = 20_000 // len(GET)
        pair.client(GET, GET * count)
        for number in range(1, count + 2):
            for side in pair.sides:
                self.assertEqual(side.transport.producerState, "paused")
            pair.guest(response(number))
        for side in pair.sides:
            self.assertEqual(side.transport.producerState, "producing")
        pair.client(GET)
        pair.guest(response(count + 2))
        self.assertEqual(pair.stats["requests"], 2)
        pair.close()

    def test_who_is_held_back_and_served(self) -> None:
        pair = Pair()
        pair.client(GET, GET)
        pair.wait(2)
        pair.guest(response(1))
        pair.guest(response(2))
        pair.wait(20)
        self.assertEqual(pair.stats["requests"], 2)
        pair.close()

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.integers(1, 70_000),
        st.lists(st.integers(0, 70_200), max_size=6),
        st.dictionaries(
            st.integers(0, 6),
            st.sampled_from(
                ["wait", "wait long", "half close", "lose", "lose guest", "abort", "drain", "close"]
            ),
            max_size=2,
        ),
        st.sampled_from([b"", GET, GET[:40]]),
        st.sampled_from([0, 500, 100_000]),
        st.sampled_from([b"a.example", b"nobody.example", b"a.example\r\nExpect: 100-continue"]),
    )
    # An answer that comes when the connection is aborted, and its loss is not known yet.
    @example(65_537, [60], {1: "abort"}, b"", 0, b"a.example")
    def test_anything_while_a_body_comes(
        self,
        size: int,
        cuts: list[int],
        events: dict[int, str],
        behind: bytes,
        rate: int,
        host: bytes,
    ) -> None:
        pair = Pair(limits=HttpLimits(body_rate=rate, body_grace=3.0))
        data = (POST % size).replace(b"a.example", host) + b"b" * size + behind
        edges = [0, *sorted({cut for cut in cuts if 0 < cut < len(data)}), len(data)]
        for index, (begin, end) in enumerate(itertools.pairwise(edges)):
            event = events.get(index)
            if event == "wait":
                pair.wait(1.2)
            elif event == "wait long":
                pair.wait(80)
            elif event == "half close":
                pair.half_close()
            elif event == "lose":
                pair.lose()
            elif event == "lose guest":
                pair.lose_guest()
            elif event is not None:
                for side in pair.sides:
                    if event == "drain":
                        side.factory.drain()
                    elif event == "close":
                        side.factory.close()
                    elif not side.gone:
                        side.protocol.abort()
                        side.gone = True
            pair.client(data[begin:end])
        if not pair.fast.guest_gone:
            pair.guest(response(1), response(2))
        pair.wait(4)
        pair.close()

    @settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=120), st.booleans())
    def test_a_request_that_is_handed_over(self, data: bytes, trusted: bool) -> None:
        """What Python gets of it is what the validator would have made of it."""
        pair = Pair(trust=["192.0.2.0/24"] if trusted else [])
        pair.client(inputs.request(inputs.Bytes(data)))
        if not pair.sides[1].guest.wire.last:
            pair.close()  # it was refused
            return
        pair.guest(response(1, body=None))
        handed = []
        for side in pair.sides:
            carrier = side.guest.subscription.channel._carriers.get(1)
            if carrier is not None:
                exchange = carrier.exchange
                handed.append((exchange.request, exchange.body, exchange.sink.keep_alive))
        self.assertEqual(handed[:1], handed[1:])
        pair.guest(m.End(1).encode())
        pair.close()

    def test_all_of_a_request_is_handed_over(self) -> None:
        pair = self.pair(trust=["192.0.2.7"])
        pair.client(
            b"POST /a/../b%7e?q HTTP/1.1\r\nHost: A.Example:80\r\nX-Request-Id: given\r\n"
            b"X-Forwarded-For: 198.51.100.1\r\nVia: 1.1 x\r\nConnection: close\r\nB: c\r\n"
            b"Content-Length: 2\r\n\r\nhi"
        )
        self.assertEqual(pair.stats["declined_requests"], 0)
        pair.guest(response(1, body=None))
        self.assertEqual(pair.stats["declined_answers"], 1)
        requests = [
            side.guest.subscription.channel._carriers[1].exchange.request for side in pair.sides
        ]
        self.assertEqual(*requests)
        self.assertEqual((requests[0].host, requests[0].path), (b"a.example", b"/b~"))

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

    @settings(max_examples=400, deadline=None)
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
        for number in range(5, 4200):
            for side in pair.sides:
                side.protocol.dataReceived(head + b"X-Forwarded-For: ::%x\r\n\r\n" % number)
                side.guest.dataReceived(response(number))
        self.assertEqual(pair.stats["requests"], 4199)
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
