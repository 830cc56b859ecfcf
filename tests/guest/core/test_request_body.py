"""Tests for L{guest.core.request_body} and L{guest.core.framework}, run by Twisted."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from guest.core.errors import BodyTooLong, RequestAborted
from guest.core.request_body import IncomingBody
from guest.twisted.framework import twisted_framework


def run(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)


async def pieces_of(body: IncomingBody) -> list[bytes]:
    return [piece async for piece in body]


class IncomingTests(SynchronousTestCase):
    """Pieces come, and are taken."""

    def body(self, whole: bytes | None = None) -> IncomingBody:
        self.consumed: list[int] = []
        return IncomingBody(twisted_framework(Clock()), self.consumed.append, whole)

    def test_a_whole_body_can_be_had_again_and_again(self) -> None:
        body = self.body(b"all")
        for _ in range(2):
            self.assertEqual(self.successResultOf(run(body.read())), b"all")
            self.assertEqual(self.successResultOf(run(pieces_of(body))), [b"all"])
        self.assertEqual(self.consumed, [])

    def test_an_empty_body_has_no_pieces(self) -> None:
        self.assertEqual(self.successResultOf(run(pieces_of(self.body(b"")))), [])

    def test_a_reader_waits(self) -> None:
        body = self.body()
        reading = run(body.read())
        body.received(b"a")
        self.assertNoResult(reading)
        body.received(b"b")
        body.ended([(b"t", b"1")])
        self.assertEqual(self.successResultOf(reading), b"ab")
        self.assertEqual(body.trailers, [(b"t", b"1")])
        self.assertEqual(self.successResultOf(run(body.read())), b"ab")

    def test_credit_is_for_what_was_taken(self) -> None:
        body = self.body()
        body.received(b"abc")
        body.received(b"de")
        self.assertEqual(self.consumed, [])
        self.assertEqual(self.successResultOf(run(body.next())), b"abc")
        self.assertEqual(self.consumed, [3])
        self.assertEqual(self.successResultOf(run(body.next())), b"de")
        waiting = run(body.next())
        self.assertEqual(self.consumed, [3, 2, 0])
        body.ended([])
        self.assertIsNone(self.successResultOf(waiting))

    def test_the_rest_after_a_piece(self) -> None:
        body = self.body()
        for piece in (b"a", b"b", b"c"):
            body.received(piece)
        body.ended([])
        self.assertEqual(self.successResultOf(run(body.next())), b"a")
        self.assertEqual(self.successResultOf(run(body.read())), b"bc")

    def test_limits(self) -> None:
        body = self.body(b"four")
        self.assertEqual(self.successResultOf(run(body.read(4))), b"four")
        self.failureResultOf(run(body.read(3)), BodyTooLong)
        streamed = self.body()
        reading = run(streamed.read(3))
        streamed.received(b"four")
        self.failureResultOf(reading, BodyTooLong)

    def test_failure_while_somebody_reads(self) -> None:
        body = self.body()
        reading = run(pieces_of(body))
        body.received(b"a")
        body.failed(RequestAborted("client", "client left"))
        self.failureResultOf(reading, RequestAborted)
        self.failureResultOf(run(body.read()), RequestAborted)

    def test_failure_after_the_end_is_none(self) -> None:
        body = self.body()
        body.received(b"a")
        body.ended([])
        body.failed(RequestAborted("client", "client left"))
        self.assertEqual(self.successResultOf(run(body.read())), b"a")

    def test_two_readers_at_once(self) -> None:
        body = self.body()
        first = run(body.next())
        self.failureResultOf(run(body.next()), RuntimeError)
        body.ended([])
        self.assertIsNone(self.successResultOf(first))

    def test_a_reader_that_is_cancelled_makes_room_for_another(self) -> None:
        body = self.body()
        reading = run(body.next())
        reading.cancel()
        self.failureResultOf(reading, CancelledError)
        again = run(body.next())
        body.received(b"a")
        self.assertEqual(self.successResultOf(again), b"a")

    @given(st.lists(st.one_of(st.binary(min_size=1, max_size=5), st.none()), max_size=20))
    def test_whatever_the_order_all_arrives(self, steps: list[bytes | None]) -> None:
        """None: the reader takes one."""
        body = self.body()
        sent = b"".join(step for step in steps if step is not None)
        got: list[bytes] = []
        waiting: Deferred[Any] | None = None
        for step in steps:
            if step is not None:
                body.received(step)
            elif waiting is None or waiting.called:
                waiting = run(body.next())
                waiting.addCallback(got.append)
        body.ended([])
        if waiting is not None and got and got[-1] is None:
            got.pop()
        rest = self.successResultOf(run(body.read()))
        self.assertEqual(b"".join(each for each in got if each) + rest, sent)
        self.assertLessEqual(sum(self.consumed), len(sent))
