"""Whatever comes in, from either side: nothing raises, and what goes out is one clear message."""

from __future__ import annotations

from itertools import accumulate, pairwise

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import ExchangeState
from subproxy.errors import GuestGone
from subproxy.frontend.limits import HttpLimits
from tests.rigs.examples import examples
from tests.rigs.fake_dispatcher import Client, FakeGuest
from tests.rigs.http_oracle import Recorder, check_client, parse_responses

TOKENS = st.sampled_from(
    [
        b"GET", b"POST", b"HEAD", b"OPTIONS", b"PUT", b"get", b"FOO", b" ", b"  ", b"\t", b"/",
        b"/a/b?c", b"*", b"http://a.example/x", b"//", b"/../", b"%41", b"%00", b"#", b"\\",
        b" HTTP/1.1", b" HTTP/1.0", b" HTTP/2.0", b"HTTP/1.1", b"\r\n", b"\r", b"\n", b"\r\n\r\n",
        b"\0", b"\x80", b"Host: a", b"Host: a.example:80", b"Host:", b"Host : a", b": ", b",",
        b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: +5", b"Content-Length: 05",
        b"Content-Length: 70000", b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity", b"Connection: close", b"Connection: keep-alive, X-A",
        b"Connection: upgrade", b"Upgrade: websocket", b"Expect: 100-continue", b"Expect: x",
        b"X-A: b", b"X-A: ", b" folded", b"X-Forwarded-For: 1.2.3.4", b"Via: 1.1 x", b"Trailer: x",
        b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"5;a=b\r\nhello\r\n",
        b"fffffffffffffffff\r\n", b"5 \r\nhello\r\n", b"5\nhello\n", b"x" * 300,
    ]
)  # fmt: skip

FIELDS = st.sampled_from(
    [
        b"Host: a", b"Host: a.example:8080", b"Content-Length: 5", b"Content-Length: 0",
        b"Transfer-Encoding: chunked", b"Connection: close", b"Connection: keep-alive, X-A",
        b"Connection: upgrade", b"Upgrade: websocket", b"Expect: 100-continue", b"X-A: b",
        b"X-A:  c  ", b"X_B: d", b"X-Forwarded-For: 1.2.3.4", b"Cookie: a=b; c=\"d\"",
        b"X-Obs: \xe9", b"TE: trailers",
    ]
)  # fmt: skip

BODIES = st.sampled_from(
    [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"5;x=y\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", b"\r\n"]
)


@st.composite
def plausible(draw: st.DrawFn) -> bytes:
    """A request that may even be right."""
    method = draw(st.sampled_from([b"GET", b"POST", b"HEAD", b"OPTIONS", b"DELETE"]))
    target = draw(st.sampled_from([b"/", b"/a?b", b"/%7e/./x", b"*", b"http://a/x", b"/a\\b"]))
    version = draw(st.sampled_from([b"1.1", b"1.1", b"1.1", b"1.0"]))
    fields = draw(st.lists(FIELDS, max_size=5))
    if draw(st.booleans()):
        fields.insert(0, b"Host: a")
    lines = [method + b" " + target + b" HTTP/" + version, *fields, b"", b""]
    return b"\r\n".join(lines) + draw(BODIES)


INPUTS = st.one_of(
    st.lists(TOKENS, max_size=30).map(b"".join),
    st.lists(plausible(), max_size=4).map(b"".join),
    st.binary(max_size=200),
)


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """C{data} in pieces."""
    at = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(at)]


def echo(guest: FakeGuest) -> None:
    """Answers at once, or when the body is complete."""
    if guest.exchange.body is not None:
        guest.respond(200, [(b"Content-Type", b"text/plain")], guest.exchange.body)
        return

    def end(trailers: object) -> None:
        guest.ended = []
        guest.respond(200, [], None)
        if guest.body:
            guest.data(guest.body)
        guest.end([(b"X-Trailer", b"yes")])

    guest.endBody = end  # type: ignore[method-assign, assignment]
    guest.exchange.resume_request()


def stream(guest: FakeGuest) -> None:
    """Answers before it has read anything."""
    guest.respond(200, [], None)
    guest.data(b"some")
    guest.end()


CHUNKED_WRONGLY = b"GET /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n"

ANSWERS = st.sampled_from([echo, stream, None])
LIMITS = HttpLimits(target=200, head=1000, fields=10, body=100_000, inline=20, chunk_overhead=100)


class ClientSideTests(SynchronousTestCase):
    @given(INPUTS, st.lists(st.integers(0, 2000), max_size=6), ANSWERS, st.booleans())
    @settings(max_examples=examples(600), deadline=None, suppress_health_check=list(HealthCheck))
    def test_any_bytes_in_any_split(
        self, data: bytes, cuts: list[int], answer: object, finish: bool
    ) -> None:
        recorder = Recorder()
        client = Client(answer, LIMITS, log=recorder)  # type: ignore[arg-type]
        client.send(*split(data, cuts))
        if finish:
            client.halfClose()
        client.wait(1)
        check_client(client, recorder)
        client.lose()
        for guest in client.dispatcher.guests:
            self.assertIs(guest.exchange.state, ExchangeState.DONE)
        self.assertEqual(len(recorder.exchanges) >= len(client.dispatcher.guests), True)

    @given(st.lists(plausible(), max_size=4).map(b"".join), st.lists(st.integers(0, 2000)))
    @example(CHUNKED_WRONGLY, [CHUNKED_WRONGLY.index(b"z")])
    @settings(max_examples=examples(300), deadline=None)
    def test_a_split_changes_nothing(self, data: bytes, cuts: list[int]) -> None:
        def run(pieces: list[bytes]) -> list[object]:
            recorder = Recorder()
            client = Client(echo, HttpLimits(inline=0), log=recorder)
            client.send(*pieces)
            seen: list[object] = []
            for exchange, status, sent in recorder.exchanges:
                request = exchange.request
                if not request.path:
                    # Refused as soon as it was known: the log may have less than came later.
                    seen.append((status, sent > 0))
                    continue
                target = request.method and request.target
                seen.append((request.method, target, request.host, status, sent > 0))
            return [*seen, client.closed]

        self.assertEqual(run([data]), run(split(data, cuts)))


NAMES = st.one_of(
    st.sampled_from(
        [
            b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Date",
            b"Set-Cookie", b"X-A", b"Keep-Alive", b"Upgrade", b"", b"X A", b"X:A", b"X\r\n",
            b"\xe9",
        ]
    ),
    st.binary(max_size=8),
)  # fmt: skip
VALUES = st.one_of(
    st.sampled_from(
        [
            b"5",
            b"0",
            b"x",
            b"",
            b" x ",
            b"a\r\nB: c",
            b"a\0b",
            b"chunked",
            b"close",
            b"X-A",
            b"5, 5",
        ]
    ),
    st.binary(max_size=20),
)
HEADERS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
PIECES = st.lists(st.binary(max_size=10), max_size=4)


class GuestSideTests(SynchronousTestCase):
    @given(
        st.sampled_from([b"GET", b"HEAD", b"POST"]),
        st.sampled_from([b"1.0", b"1.1"]),
        st.integers(-5, 1100),
        st.one_of(st.just(b""), st.binary(max_size=10)),
        HEADERS,
        st.one_of(st.binary(max_size=20), PIECES),
        HEADERS,
        st.lists(st.tuples(st.integers(90, 220), HEADERS), max_size=2),
        st.booleans(),
    )
    @settings(max_examples=examples(800), deadline=None, suppress_health_check=list(HealthCheck))
    @example(b"GET", b"1.0", 206, b"", [(b"Content-Length", b"0")], [b"x"], [], [], False)
    @example(b"GET", b"1.1", 200, b"", [(b"Content-Length", b"1")], [b"x", b"y"], [], [], False)
    @example(b"GET", b"1.1", 200, b"", [(b"Content-Length", b"2")], [b"x", b"yz"], [], [], False)
    def test_any_response(
        self,
        method: bytes,
        version: bytes,
        status: int,
        reason: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes | list[bytes],
        trailers: list[tuple[bytes, bytes]],
        interims: list[tuple[int, list[tuple[bytes, bytes]]]],
        fails: bool,
    ) -> None:
        recorder = Recorder()
        client = Client(log=recorder)
        client.send(
            method + b" / HTTP/" + version + b"\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"
        )
        guest = client.guest
        for code, fields in interims:
            guest.interim(code, fields)
        if isinstance(body, bytes):
            guest.respond(status, headers, body, reason)
        else:
            guest.respond(status, headers, None, reason)
            for piece in body:
                guest.data(piece)
            if fails:
                guest.exchange.fail(GuestGone())
            else:
                guest.end(trailers)
        self.assertIs(guest.exchange.state, ExchangeState.DONE)
        data = client.transport.value()
        responses = check_client(client, recorder)
        if client.transport.aborted:
            # Never a clean end; but a response that was whole before the guest sent more stays so.
            client.lose(aborted=True)
            found = parse_responses(data, [method], closed=False)
            declared = {value for name, value in headers if name.lower() == b"content-length"}
            pieces = [] if isinstance(body, bytes) else body
            whole_at = {b"%d" % size for size in accumulate(map(len, pieces), initial=0)}
            if isinstance(body, bytes) or not declared & whole_at:
                self.assertFalse(found[0].complete)
            return
        self.assertEqual(len(responses), 1)
        sent = responses[0]
        if guest.exchange.error is not None:
            self.assertEqual(sent.status, 502)
            return
        self.assertEqual(sent.status, status)
        whole = body if isinstance(body, bytes) else b"".join(body)
        if method == b"HEAD" or status in (204, 205, 304):
            whole = b""
        self.assertEqual(sent.body, whole)
        names = [name for name, _ in sent.headers]
        for name in (b"date", b"x-request-id"):
            self.assertGreaterEqual(names.count(name), 1)
        self.assertLessEqual(names.count(b"content-length"), 1)

        # The connection is as good as before, or closed.
        if not client.closed:
            client.received()
            client.send(b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(client.guest.exchange.request.target, b"/next")
