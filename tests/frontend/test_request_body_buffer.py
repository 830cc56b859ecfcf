"""A request body on its way to a guest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import Exchange, RequestHead
from subproxy.frontend.http1.body_framing import LengthBody
from subproxy.frontend.request_body_buffer import RequestBodyBuffer
from tests.rigs.fake_dispatcher import FakeGuest


def exchange() -> tuple[Exchange, FakeGuest]:
    it = Exchange(RequestHead(b"POST", b"/", b"a", b"/", []), None, None)  # type: ignore[arg-type]
    guest = FakeGuest(it)
    it.carrier = guest
    return it, guest


class UploadTests(SynchronousTestCase):
    def test_it_starts_paused(self) -> None:
        it, guest = exchange()
        upload = RequestBodyBuffer(LengthBody(5), b"")
        self.assertEqual(upload.take(b"hello more"), b" more")
        self.assertFalse(upload.pass_on(it))
        self.assertEqual(guest.body, b"")
        upload.flows = True
        self.assertTrue(upload.pass_on(it))
        self.assertEqual(guest.body, b"hello")

    def test_a_read_goes_on_without_a_copy(self) -> None:
        it, guest = exchange()
        upload = RequestBodyBuffer(LengthBody(1000), b"")
        upload.flows = True
        seen: list[bytes] = []
        guest.sendBody = seen.append  # type: ignore[method-assign]
        data = b"x" * 500
        upload.take(data)
        upload.pass_on(it)
        self.assertIs(seen[0], data)

    def test_little_pieces_are_joined(self) -> None:
        """Who sends a byte at a time does not make us keep an object for each."""
        upload = RequestBodyBuffer(LengthBody(20_001), b"")
        for number in range(20_000):
            upload.take(b"%d" % (number % 10))
        self.assertLess(len(upload._held), 20)
        self.assertEqual(upload.held(), b"0123456789" * 2000)
        self.assertEqual(upload.held(), b"")

    @given(st.lists(st.tuples(st.binary(max_size=9), st.booleans())))
    def test_nothing_is_lost_or_reordered(self, steps: list[tuple[bytes, bool]]) -> None:
        it, guest = exchange()
        whole = b"".join(data for data, _ in steps)
        upload = RequestBodyBuffer(LengthBody(len(whole) + 1), b"")
        for data, flows in steps:
            upload.flows = flows
            upload.take(data)
            self.assertFalse(upload.pass_on(it))
        upload.flows = True
        upload.take(b"!")
        self.assertTrue(upload.pass_on(it))
        self.assertEqual(guest.body, whole + b"!")

    def test_who_is_waited_for_has_to_keep_the_rate(self) -> None:
        upload = RequestBodyBuffer(LengthBody(1000), b"")
        self.assertFalse(upload.too_slow(100, 5, 100))
        upload.pace.start(100)
        upload.take(b"x" * 100)
        self.assertFalse(upload.too_slow(105, 5, 100))
        self.assertTrue(upload.too_slow(107, 5, 100))
