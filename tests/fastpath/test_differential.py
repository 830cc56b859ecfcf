"""The compiled path does what the Python path does, or leaves it to that."""

from __future__ import annotations

import itertools
import json

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from subproxy.fastpath.install import unavailable
from subproxy.frontend.http2.frames import PREFACE
from subproxy.frontend.limits import HttpLimits
from subproxy.telemetry.close_reason import CloseReason
from subproxy.telemetry.log_format import FORMATS
from subproxy.wire import messages as m
from tests.fuzz.fastpath_target import one_input
from tests.rigs import fastpath_inputs as inputs
from tests.rigs.conversation_case import CORPUS, GET, POST, ConversationCase
from tests.rigs.examples import examples, part_of
from tests.rigs.fastpath_rig import Pair, response

skip = unavailable()


class ConversationTests(ConversationCase):
    @settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(min_size=10, max_size=250), st.sampled_from(list(FORMATS)))
    def test_any_conversation(self, data: bytes, style: str) -> None:
        inputs.play(data, style).close()

    @settings(max_examples=examples(500), deadline=None)
    @given(st.binary(max_size=120))
    def test_any_request(self, data: bytes) -> None:
        inputs.compare_request(inputs.request(inputs.Bytes(data)))

    @settings(max_examples=examples(500), deadline=None)
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
        for case in part_of(json.loads((CORPUS / "http" / "cases.json").read_text())):
            data = case["request"].encode("latin-1")
            if data.startswith(PREFACE):
                continue  # The compiled path alone speaks HTTP/2.
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

    def test_the_context_of_a_trace(self) -> None:
        """C{traceparent} and C{tracestate} reach the guest as they came, and cost no detour."""
        pair = self.pair()
        fields = (
            b"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
            b"tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7\r\n"
        )
        pair.client(GET.replace(b"Accept: */*\r\n", fields))
        asked = pair.last["guest"]
        assert isinstance(asked, bytes)
        for field in fields.splitlines():
            name, _, value = field.partition(b": ")
            self.assertIn(name, asked)
            self.assertIn(value, asked)
        pair.guest(response(1))
        self.assertEqual(pair.stats["declined_requests"], 0)

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

    def test_one_client_too_many(self) -> None:
        """It is sent away at once, and why is known on both paths."""
        pair = Pair(limits=HttpLimits(connections=1))
        pair.connect()
        for side in pair.sides:
            self.assertTrue(side.transport.aborted)
            self.assertIs(side.protocol.close_reason, CloseReason.TOO_MANY)
        pair.close()

    def test_why_it_closed_behind_its_last_answer(self) -> None:
        for close in (b"close", b"close\r\nX: \xff"):
            pair = Pair()
            pair.client(GET.replace(b"Accept: */*", b"Connection: " + close))
            pair.guest(response(1))
            for side in pair.sides:
                self.assertIs(side.protocol.close_reason, CloseReason.LAST_ANSWER)
                side.protocol.abort()
                self.assertIs(side.protocol.close_reason, CloseReason.LAST_ANSWER)
            pair.close()

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

    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
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

    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
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
