"""
An C{Upgrade} that nobody wants is ignored (RFC 9110 section 7.8), with a body and without.

llhttp stops behind the head of such a request, and would take the body for the next one: what is
asked here again and again is that no byte of a body is ever read as a request. On both paths.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.fastpath.install import unavailable
from tests.rigs.examples import examples
from tests.rigs.fake_dispatcher import Client, echo
from tests.rigs.fastpath_rig import Pair, response

JAVA = (
    b"POST /echo HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\n%bHost: a.example\r\n"
    b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\n%bUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/17.0.15\r\n\r\n"
)
"""What java.net.http of JDK 17.0.15 sends by default, recorded; with what it sends where the length
of the body is known, and where it is not."""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n"


def by_length(body: bytes, head: bytes = JAVA) -> bytes:
    return head % (b"Content-Length: %d\r\n" % len(body), b"") + body


def chunked(body: bytes, head: bytes = JAVA) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return head % (b"", b"Transfer-encoding: chunked\r\n") + chunk + b"0\r\n\r\n"


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


class UpgradeTests(SynchronousTestCase):
    def seen(self, *reads: bytes) -> list[tuple[bytes, bytes]]:
        """Target and body of each request that a guest got."""
        client = Client(echo)
        client.send(*reads)
        self.assertFalse(client.closed)
        answers = client.received()
        self.assertEqual(answers.count(b"HTTP/1.1 200 OK\r\n"), len(client.dispatcher.guests))
        for guest in client.dispatcher.guests:
            names = {name.lower() for name, _ in guest.exchange.request.headers}
            self.assertFalse(names & {b"upgrade", b"connection", b"http2-settings"})
        return [
            (guest.exchange.request.target, guest.exchange.body or guest.body)
            for guest in client.dispatcher.guests
        ]

    def test_bodies_of_either_framing_in_any_pieces(self) -> None:
        for body in (b"hello", SMUGGLED, SMUGGLED * 3000, b"\r\n\r\n", b"0\r\n\r\n" + SMUGGLED):
            for request in (by_length(body), chunked(body)):
                data = request + NEXT
                for size in (len(data), len(request), 7, 1):
                    if len(data) < 10_000 or size > 1000:
                        found = self.seen(*pieces(data, size))
                        self.assertEqual(found, [(b"/echo", body), (b"/next", b"")])

    def test_pipelined(self) -> None:
        data = by_length(b"one") + chunked(SMUGGLED) + by_length(b"") + chunked(b"") + NEXT
        expected = [(b"/echo", each) for each in (b"one", SMUGGLED, b"", b"")]
        for size in (len(data), 100, 1):
            found = self.seen(*pieces(data, size))
            self.assertEqual(found, [*expected, (b"/next", b"")])

    def test_any_token(self) -> None:
        for token in (b"h2c", b"websocket", b"TLS/1.0", b"a, b/2", b"", b"IRC/6.9, RTA/x11"):
            for connection in (b"Upgrade", b"upgrade, http2-settings", b"keep-alive, Upgrade"):
                head = (
                    b"POST /x HTTP/1.1\r\nHost: a.example\r\nConnection: %b\r\nUpgrade: %b\r\n"
                    % (
                        connection,
                        token,
                    )
                )
                for request in (
                    head + b"Content-Length: %d\r\n\r\n" % len(SMUGGLED) + SMUGGLED,
                    head
                    + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(SMUGGLED)
                    + SMUGGLED
                    + b"\r\n0\r\n\r\n",
                ):
                    found = self.seen(request + NEXT)
                    self.assertEqual(found, [(b"/x", SMUGGLED), (b"/next", b"")])

    def test_without_a_body(self) -> None:
        head = JAVA.replace(b"POST", b"GET") % (b"", b"")
        self.assertEqual(self.seen(head + NEXT), [(b"/echo", b""), (b"/next", b"")])

    def test_a_body_that_is_malformed_ends_the_connection(self) -> None:
        """And nothing of it is answered as a request."""
        for body in (SMUGGLED, b"5\r\nhelloGET / HTTP/1.1\r\n\r\n", b"x\r\n" + SMUGGLED):
            data = JAVA % (b"", b"Transfer-encoding: chunked\r\n") + body
            for size in (len(data), 1):
                client = Client(echo)
                client.send(*pieces(data, size))
                self.assertTrue(client.closed)
                self.assertEqual(client.received()[:12], b"HTTP/1.1 400")
                targets = [guest.exchange.request.target for guest in client.dispatcher.guests]
                self.assertIn(targets, ([], [b"/echo"]))

    def test_a_guest_refuses_the_body(self) -> None:
        """Its answer comes first: what is left of the body is no request."""
        head = JAVA % (b"Content-Length: %d\r\n" % len(SMUGGLED), b"Expect: 100-continue\r\n")
        client = Client(lambda guest: guest.respond(403, [], b"no"))
        client.send(head, SMUGGLED)
        self.assertEqual(client.received().count(b"HTTP/1.1 "), 1)
        self.assertEqual(len(client.dispatcher.guests), 1)
        self.assertTrue(client.closed)


class BothPathsTests(SynchronousTestCase):
    def setUp(self) -> None:
        reason = unavailable()
        if reason is not None:
            raise SkipTest(f"no compiled path: {reason}")

    def pair(self) -> Pair:
        pair = Pair()
        self.addCleanup(pair.close)
        return pair

    def targets(self, pair: Pair, frames: list[bytes]) -> Any:
        return [frame for frame in frames if b"smuggled HTTP" in frame]

    def test_what_java_sends_is_fast(self) -> None:
        """An h2c upgrade stands in every request of such a client."""
        pair = self.pair()
        for number, (data, size) in enumerate(
            (
                (by_length(b"hello"), 1000),
                (by_length(SMUGGLED), 300),
                (JAVA.replace(b"POST", b"GET") % (b"", b""), 1000),
                (by_length(b"hello").replace(b"Upgrade, H", b"close ,\tupgrade,H"), 1000),
            ),
            1,
        ):
            pair.client(*pieces(data, size))
            pair.guest(response(number))
        self.assertEqual(pair.stats["requests"], 4)
        self.assertEqual(pair.stats["declined_requests"], 0)
        self.assertTrue(pair.fast.transport.disconnecting)

    def test_chunked_bodies_and_other_tokens_are_not(self) -> None:
        pair = self.pair()
        for number, data in enumerate(
            (
                chunked(b"hello"),
                by_length(b"hello").replace(b"h2c", b"websocket"),
                by_length(b"hello").replace(b"HTTP2-Settings\r\n", b"X-Other\r\n"),
            ),
            1,
        ):
            pair.client(data)
            pair.guest(response(number))
        self.assertEqual(pair.stats["declined_requests"], 3)

    @settings(max_examples=examples(150), deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([by_length, chunked]),
                st.sampled_from([b"", b"hello", SMUGGLED, b"\r\n\r\n", b"0\r\n\r\n" + SMUGGLED]),
                st.sampled_from([b"h2c", b"H2C", b"websocket", b"h2c, x", b""]),
                st.sampled_from(
                    [
                        *(b"Upgrade, HTTP2-Settings", b"upgrade", b"Upgrade,close", b", ,Upgrade,"),
                        *(b"HTTP2-Settings,x-a", b"keep-alive\t, TE", b"closed", b"Upgrade close"),
                    ]
                ),
            ),
            min_size=1,
            max_size=3,
        ),
        st.integers(1, 400),
    )
    def test_the_same_on_both(self, requests: list[tuple[Any, ...]], size: int) -> None:
        data = b""
        for make, body, token, connection in requests:
            head = JAVA.replace(b"Upgrade: h2c", b"Upgrade: " + token)
            head = head.replace(b"Upgrade, HTTP2-Settings", connection)
            data += make(body, head)
        pair = Pair()
        pair.client(*pieces(data + NEXT, size))
        for _ in range(len(requests) + 1):
            last = pair.sides[1].guest.wire.last
            if last and not pair.sides[1].gone:
                pair.guest(response(last))
        self.assertLessEqual(pair.sides[1].guest.wire.last, len(requests) + 1)
        pair.close()
