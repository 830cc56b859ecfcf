"""The gate by itself: pure, so what the table of behaviours does not reach is tested here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.forwarded import Peer
from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.gate import Gate, check_host
from subproxy.frontend.limits import Limits

PEER = Peer(b"192.0.2.1")


class PartialHeadTests(SynchronousTestCase):
    def status(self, data: bytes, seen: int = 0, limits: Limits | None = None) -> int:
        try:
            Gate(limits).check_partial(data, seen)
        except ClientError as error:
            return error.status
        return 0

    def test_a_good_beginning_may_go_on(self) -> None:
        whole = b"POST /a?b HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n"
        for end in range(1, len(whole)):
            self.assertEqual(self.status(whole[:end]), 0, whole[:end])
            for seen in range(end):
                self.assertEqual(self.status(whole[:end], seen), 0, (whole[:end], seen))

    def test_what_is_no_http_is_refused_at_its_first_bytes(self) -> None:
        for data in (b"\x16\x03\x01", b"\0", b" ", b"GET /\0", b"GET /\n", b"{", b"\x80"):
            self.assertEqual(self.status(data), 400, data)

    def test_a_bad_request_line_is_refused_when_it_is_whole(self) -> None:
        for line, status in (
            (b"GET /\r\n", 400),
            (b"GET / HTTP/1.1 x\r\n", 400),
            (b"FOO / HTTP/1.1\r\n", 501),
            (b"CONNECT a:1 HTTP/1.1\r\n", 405),
            (b"GET / HTTP/3.0\r\n", 505),
        ):
            self.assertEqual(self.status(line), status)

    def test_a_bare_lf_is_seen_wherever_the_reads_were_cut(self) -> None:
        data = b"GET / HTTP/1.1\r\nHost: a\nX: y"
        at = data.index(b"a\nX") + 1
        for seen in range(at + 1):
            self.assertEqual(self.status(data, seen), 400, seen)
        good = data.replace(b"a\nX", b"a\r\nX")
        for seen in range(len(good)):
            self.assertEqual(self.status(good, seen), 0, seen)

    def test_sizes(self) -> None:
        limits = Limits(target=10, head=100)
        self.assertEqual(self.status(b"GET /" + b"a" * 9, limits=limits), 0)
        self.assertEqual(self.status(b"GET /" + b"a" * 9 + b" HTTP/1.1", limits=limits), 0)
        self.assertEqual(self.status(b"GET /" + b"a" * 10, limits=limits), 414)
        self.assertEqual(self.status(b"GET /" + b"a" * 10 + b" HTTP/1", limits=limits), 414)
        self.assertEqual(self.status(b"G" * 40, limits=limits), 400)
        self.assertEqual(self.status(b"GET / " + b"x" * 100, limits=limits), 400)
        head = b"GET / HTTP/1.1\r\nX: "
        self.assertEqual(self.status(head.ljust(100, b"x"), limits=limits), 0)
        self.assertEqual(self.status(head.ljust(101, b"x"), limits=limits), 431)


class RequestTests(SynchronousTestCase):
    def check(self, *fields: tuple[bytes, bytes], version: bytes = b"1.1") -> object:
        gate = Gate()
        return gate.check_request(b"POST", b"/", version, [(b"Host", b"a"), *fields], PEER)

    def refused(self, *fields: tuple[bytes, bytes], version: bytes = b"1.1") -> int:
        error = self.assertRaises(ClientError, self.check, *fields, version=version)
        return int(error.status)

    def test_framing(self) -> None:
        self.assertEqual(self.check().head.length, 0)
        self.assertEqual(self.check((b"Content-Length", b"5")).head.length, 5)
        self.assertIsNone(self.check((b"Transfer-Encoding", b"Chunked")).head.length)
        largest = b"%d" % (2**63 - 1)
        self.assertEqual(self.check((b"Content-Length", largest)).head.length, 2**63 - 1)

    def test_ambiguous_framing(self) -> None:
        length, chunked = (b"Content-Length", b"5"), (b"transfer-encoding", b"chunked")
        for fields in (
            [length, length],
            [length, chunked],
            [chunked, length],
            [chunked, chunked],
            [(b"Content-Length", b"")],
            [(b"Content-Length", b"+5")],
            [(b"Content-Length", b"05")],
            [(b"Content-Length", b"%d" % 2**63)],
            [(b"Transfer-Encoding", b"")],
            [(b"Transfer-Encoding", b"gzip")],
            [(b"Transfer-Encoding", b"chunked, gzip")],
            [(b"Transfer-Encoding", b"chunked, chunked")],
            [(b"Transfer-Encoding", b"chunked,")],
        ):
            self.assertEqual(self.refused(*fields), 400, fields)
        self.assertEqual(self.refused((b"Transfer-Encoding", b"gzip, chunked")), 501)
        self.assertEqual(self.refused(chunked, version=b"1.0"), 400)

    def test_keep_alive(self) -> None:
        for options, version, stays in (
            (None, b"1.1", True),
            (None, b"1.0", False),
            (b"close", b"1.1", False),
            (b"Close", b"1.1", False),
            (b"keep-alive", b"1.0", True),
            (b"Keep-Alive, close", b"1.0", False),
            (b"foo , \tCLOSE", b"1.1", False),
        ):
            fields = [] if options is None else [(b"Connection", options)]
            self.assertIs(self.check(*fields, version=version).keep_alive, stays, options)

    def test_the_proxys_fields_cannot_be_nominated_away(self) -> None:
        passed = self.check((b"Connection", b"x-forwarded-for, via, host, x-request-id, close"))
        names = [name for name, _ in passed.head.headers]
        for name in (b"Host", b"X-Forwarded-For", b"Via", b"X-Request-Id"):
            self.assertEqual(names.count(name), 1)

    def test_what_is_remembered_is_bounded(self) -> None:
        gate = Gate()
        for number in range(5000):
            gate.check_request(
                b"GET", b"/", b"1.1", [(b"Host", b"a%d" % number), (b"X-%d" % number, b"")], PEER
            )
        self.assertLessEqual(len(gate._kinds), 2048)
        self.assertLessEqual(len(gate._hosts), 2048)

    def test_request_ids_of_trusted_peers_are_taken_if_they_are_clean(self) -> None:
        gate = Gate()
        trusted = Peer(b"192.0.2.1", True)
        for sent, taken in (
            (b"abc-123", True),
            (b"", False),
            (b"a b", False),
            (b"x" * 200, False),
            (b'"', False),
        ):
            passed = gate.check_request(
                b"GET", b"/", b"1.1", [(b"Host", b"a"), (b"X-Request-ID", sent)], trusted
            )
            self.assertEqual(passed.head.request_id == sent, taken, sent)
            self.assertIn((b"X-Request-Id", passed.head.request_id), passed.head.headers)


class HostTests(SynchronousTestCase):
    @given(st.text(alphabet='abc.:[]@/,0%-_~ \\"', max_size=12))
    def test_what_passes_is_a_name_and_perhaps_a_port(self, text: str) -> None:
        host = text.encode()
        try:
            check_host(host)
        except BadRequest:
            return
        name, _, port = host.rpartition(b":") if not host.endswith(b"]") else (host, b"", b"")
        if not name:
            name, port = host, b""
        self.assertTrue(not port or port.isdigit())
        for byte in b'@/,%\\" ':
            self.assertNotIn(byte, host)
