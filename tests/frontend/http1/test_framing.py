"""The validator by itself: pure, so what the table of behaviours does not reach is tested here."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.forwarded import Peer
from subproxy.core.http.request_id import RequestIds
from subproxy.core.http.request_rules import RequestRules
from subproxy.errors import BadRequest, ClientError
from subproxy.frontend.http1.framing import RequestValidator
from subproxy.frontend.limits import HttpLimits

PEER = Peer(b"192.0.2.1")


class PartialHeadTests(SynchronousTestCase):
    def status(self, data: bytes, seen: int = 0, limits: HttpLimits | None = None) -> int:
        try:
            RequestValidator(limits).check_partial(data, seen)
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

    def test_a_request_line_is_looked_at_once(self) -> None:
        line = b"FOO / HTTP/1.1\r\n"
        self.assertEqual(self.status(line + b"X", len(line) - 1), 501)
        self.assertEqual(self.status(line + b"X", len(line)), 0)

    def test_a_beginning_may_be_as_long_as_a_target(self) -> None:
        """To the byte: of what has no blank yet, nobody knows what it is."""
        limits = HttpLimits(target=40)
        self.assertEqual(self.status(b"G" * 40, limits=limits), 0)
        self.assertEqual(self.status(b"G" * 41, limits=limits), 400)

    def test_a_lone_cr_may_be_an_empty_line(self) -> None:
        self.assertEqual(self.status(b"\r"), 0)
        self.assertEqual(self.status(b"\rG"), 400)

    def test_a_method_of_one_letter(self) -> None:
        self.assertEqual(self.status(b"A /"), 0)

    def test_what_was_meant_for_another_protocol(self) -> None:
        for data in b"GET /\n", b"\x16\x03\x01", b"GET /\0":
            error = self.assertRaises(BadRequest, RequestValidator().check_partial, data, 0)
            self.assertEqual(str(error), "this is not an HTTP request")

    def test_how_long_a_request_line_may_be(self) -> None:
        limits = HttpLimits(target=10)
        for data, status in (
            (b"G" * 32 + b" /", 0),
            (b"G" * 33 + b" /", 400),
            (b"GET / ".ljust(74, b"x"), 0),
            (b"GET / ".ljust(75, b"x"), 400),
            (b"G{T /" + b"a" * 20, 400),
        ):
            self.assertEqual(self.status(data, limits=limits), status, data)

    def test_sizes(self) -> None:
        limits = HttpLimits(target=10, head=100)
        self.assertEqual(self.status(b"GET /" + b"a" * 9, limits=limits), 0)
        self.assertEqual(self.status(b"GET /" + b"a" * 9 + b" HTTP/1.1", limits=limits), 0)
        self.assertEqual(self.status(b"GET /" + b"a" * 10, limits=limits), 414)
        self.assertEqual(self.status(b"GET /" + b"a" * 10 + b" HTTP/1", limits=limits), 414)
        self.assertEqual(self.status(b"G" * 40, limits=limits), 400)
        self.assertEqual(self.status(b"GET / " + b"x" * 100, limits=limits), 400)
        head = b"GET / HTTP/1.1\r\nX: "
        self.assertEqual(self.status(head.ljust(100, b"x"), limits=limits), 0)
        self.assertEqual(self.status(head.ljust(101, b"x"), limits=limits), 431)


class LineTests(SynchronousTestCase):
    def test_what_is_none(self) -> None:
        """Each with its status, and what of it is wrong."""
        for line, status, reason in (
            (b" / HTTP/1.1", 400, "method"),
            (b"G{T / HTTP/1.1", 400, "method"),
            (b"GET  HTTP/1.1", 400, "target"),
            (b'GET /" HTTP/1.1', 400, "target"),
            (b"GET /?\xe4 HTTP/1.1", 400, "target"),
            (b"GET /", 400, "request line"),
            (b"GET / HTTP/1.10", 400, "version"),
            (b"GET / HTTP/11.1", 400, "version"),
            (b"GET / HTTP/1", 400, "version"),
            (b"GET / http/1.1", 400, "version"),
            (b"GET / HTTPS/1.1", 400, "version"),
            (b"GET / 1.1", 400, "version"),
            (b"GET / HTTP/1x1", 400, "version"),
            (b"GET / HTTP/x.1", 400, "version"),
            (b"GET / HTTP/1.x", 400, "version"),
            (b"GET / HTTP/2.0", 505, "HTTP/1.1"),
            (b"CONNECT / HTTP/1.1", 405, "not allowed"),
            (b"NONE / HTTP/1.1", 501, "not known"),
        ):
            error = self.assertRaises(ClientError, RequestValidator().check_line, line)
            self.assertEqual(error.status, status, line)
            self.assertIn(reason, str(error), line)

    def test_taken_apart(self) -> None:
        self.assertEqual(RequestValidator().check_line(b"GET /a HTTP/1.0"), (b"GET", b"/a", b"1.0"))

    def test_how_long_a_target_may_be(self) -> None:
        """To the byte, also where the line is read at once."""
        validator = RequestValidator(HttpLimits(target=10))
        validator.check_line(b"GET /" + b"a" * 9 + b" HTTP/1.1")
        error = self.assertRaises(
            ClientError, validator.check_line, b"GET /" + b"a" * 10 + b" HTTP/1.1"
        )
        self.assertEqual(error.status, 414)

    def test_the_sizes_of_a_head(self) -> None:
        validator = RequestValidator(HttpLimits(head=100, fields=3))
        validator.check_head(100, 3)
        for sizes in (101, 3), (100, 4):
            error = self.assertRaises(ClientError, validator.check_head, *sizes)
            self.assertEqual(error.status, 431)


class RequestTests(SynchronousTestCase):
    def check(self, *fields: tuple[bytes, bytes], version: bytes = b"1.1") -> object:
        validator = RequestValidator()
        return validator.check_request(b"POST", b"/", version, [(b"Host", b"a"), *fields], PEER)

    def refused(self, *fields: tuple[bytes, bytes], version: bytes = b"1.1") -> int:
        error = self.assertRaises(ClientError, self.check, *fields, version=version)
        return int(error.status)

    def test_framing(self) -> None:
        self.assertEqual(self.check().head.length, 0)
        self.assertEqual(self.check((b"Content-Length", b"5")).head.length, 5)
        self.assertIsNone(self.check((b"Transfer-Encoding", b"Chunked")).head.length)
        largest = b"%d" % (2**63 - 1)
        self.assertEqual(self.check((b"Content-Length", largest)).head.length, 2**63 - 1)

    def test_an_upgrade_is_ignored(self) -> None:
        """Also where there is a body, whose framing it does not touch."""
        for token in (b"h2c", b"websocket", b"TLS/1.3, x", b""):
            for framing, length in (
                ((b"Content-Length", b"5"), 5),
                ((b"Transfer-Encoding", b"chunked"), None),
                ((b"Content-Length", b"0"), 0),
            ):
                passed = self.check(
                    (b"Upgrade", token),
                    (b"Connection", b"Upgrade, HTTP2-Settings"),
                    (b"HTTP2-Settings", b"AAA"),
                    framing,
                )
                self.assertEqual(passed.head.length, length)
                self.assertTrue(passed.keep_alive)
                names = {name.lower() for name, _ in passed.head.headers}
                self.assertFalse(names & {b"upgrade", b"connection", b"http2-settings"})

    def test_nominated(self) -> None:
        """What C{Connection} names beside its own options, and fields that it can't take away."""
        own = b"close, Keep-Alive, upgrade, TE, host,, "
        passed = self.check((b"Connection", own + b"X-One"), (b"Connection", b"x-two"))
        self.assertEqual(passed.nominated, {b"x-one", b"x-two"})
        self.assertEqual(self.check((b"Connection", own)).nominated, frozenset())
        self.assertEqual(self.check().nominated, frozenset())

    def test_upgrades(self) -> None:
        """Where it is an option, of HTTP/1.1; elsewhere it means nothing."""
        asks = [(b"Host", b"a"), (b"Upgrade", b"websocket")]
        for options, version, asked in (
            (b"upgrade", b"1.1", True),
            (b"upgrade", b"1.0", False),
            (b"close", b"1.1", False),
            (None, b"1.1", False),
        ):
            fields = asks if options is None else [*asks, (b"Connection", options)]
            passed = RequestValidator().check_request(b"GET", b"/", version, fields, PEER)
            self.assertEqual(passed.head.upgrade is not None, asked, (options, version))

    def test_trailers_are_taken_in_chunks_alone(self) -> None:
        for fields, version, taken in (
            ([(b"TE", b"trailers")], b"1.1", True),
            ([(b"TE", b"trailers")], b"1.0", False),
            ([], b"1.1", False),
        ):
            self.assertIs(self.check(*fields, version=version).head.trailers, taken)

    def test_the_proxy_itself_is_asked(self) -> None:
        """By C{*} and by no more hops; by nothing else."""
        for method, target, for_us in (
            (b"OPTIONS", b"*", True),
            (b"OPTIONS", b"/", False),
            (b"GET", b"/*", False),
        ):
            fields = [(b"Host", b"a")]
            passed = RequestValidator().check_request(method, target, b"1.1", fields, PEER)
            self.assertIs(passed.for_us, for_us)
        error = self.assertRaises(
            BadRequest, RequestValidator().check_request, b"GET", b"*", b"1.1", fields, PEER
        )
        self.assertEqual(str(error), "the target * is for OPTIONS alone")

    def test_connection_options_are_of_every_such_field(self) -> None:
        passed = self.check((b"Connection", b"close"), (b"Connection", b"a"), (b"A", b"b"))
        self.assertFalse(passed.keep_alive)
        self.assertNotIn(b"A", [name for name, _ in passed.head.headers])
        self.assertFalse(self.check((b"Connection", b"a"), version=b"1.0").keep_alive)

    def test_close_is_no_name_of_a_field(self) -> None:
        passed = self.check((b"Connection", b"close"), (b"Close", b"x"))
        self.assertIn((b"Close", b"x"), passed.head.headers)

    def test_the_host_comes_first(self) -> None:
        fields = [(b"A", b"b"), (b"C", b"d"), (b"Host", b"a")]
        passed = RequestValidator().check_request(b"GET", b"/", b"1.1", fields, PEER)
        self.assertEqual(passed.head.headers[:3], [(b"Host", b"a"), (b"A", b"b"), (b"C", b"d")])

    def test_expectations(self) -> None:
        for length, expects in (b"0", False), (b"1", True):
            passed = self.check((b"Expect", b"100-Continue"), (b"Content-Length", length))
            self.assertIs(passed.head.expect, expects)
        old = self.check((b"Expect", b"what"), version=b"1.0")
        self.assertFalse(old.head.expect)
        self.assertEqual(self.refused((b"Expect", b"100"), (b"Expect", b"continue")), 417)

    def test_what_is_wrong_with_a_path(self) -> None:
        for target, reason in (
            (b"/a\\b", "the path holds what may not stand there"),
            (b"/%00", "the path holds an encoded NUL"),
            (b"/%4", "the path holds a % that is not followed by two hexadecimal digits"),
            (b"http", "the request target is neither a path nor a URL"),
            (b"a://b", "the request target is neither a path nor a URL"),
        ):
            fields = [(b"Host", b"a")]
            error = self.assertRaises(
                BadRequest, RequestValidator().check_request, b"GET", target, b"1.1", fields, PEER
            )
            self.assertEqual(str(error), reason)

    def test_urls(self) -> None:
        for method, target, host, routed, path in (
            (b"GET", b"http://X.example/", b"x.example", b"x.example", b"/"),
            (b"GET", b"HTTPS://a:1/b", b"a:1", b"a", b"/b"),
            (b"GET", b"http://a", b"a", b"a", b"/"),
            (b"GET", b"http://a?x", b"a", b"a", b"/?x"),
            (b"OPTIONS", b"http://a", b"a", b"a", b"*"),
            (b"OPTIONS", b"http://a?x", b"a", b"a", b"/?x"),
            (b"OPTIONS", b"http://a/", b"a", b"a", b"/"),
        ):
            fields = [(b"Host", host)]
            peer = Peer(b"192.0.2.1", False, b"https")
            head = RequestValidator().check_request(method, target, b"1.1", fields, peer).head
            self.assertEqual((head.target, head.host), (path, routed))

    def test_an_authority_that_is_none(self) -> None:
        for target in b"http:///", b"http://a@b/", b"http://a:x/":
            error = self.assertRaises(
                BadRequest, RequestValidator().check_request, b"GET", target, b"1.0", [], PEER
            )
            self.assertEqual(str(error), "Host is not a host and perhaps a port")

    def test_the_authority_of_a_url_is_the_host(self) -> None:
        for host in b"b", b"a:80", b"a.":
            error = self.assertRaises(
                BadRequest,
                RequestValidator().check_request,
                *(b"GET", b"http://a/", b"1.1", [(b"Host", host)], PEER),
            )
            self.assertEqual(str(error), "the authority of the target is not the Host")

    def test_a_host_is_needed_beside_a_url(self) -> None:
        for target in b"http://a.example", b"http://a.example/", b"https://a.example/x":
            peer = Peer(b"192.0.2.1", False, b"https")
            error = self.assertRaises(
                BadRequest, RequestValidator().check_request, b"GET", target, b"1.1", [], peer
            )
            self.assertEqual(str(error), "no Host")
            head = RequestValidator().check_request(b"GET", target, b"1.0", [], peer).head
            self.assertEqual(head.host, b"a.example")

    def test_an_https_url_needs_tls(self) -> None:
        """RFC 9110 section 7.4; a trusted proxy may have had it."""
        fields = [(b"Host", b"a")]
        for target in b"https://a/", b"HTTPS://a":
            error = self.assertRaises(
                ClientError, RequestValidator().check_request, b"GET", target, b"1.1", fields, PEER
            )
            self.assertEqual(error.status, 421)
            for peer in Peer(b"192.0.2.1", True), Peer(b"192.0.2.1", False, b"https"):
                RequestValidator().check_request(b"GET", target, b"1.1", fields, peer)

    def test_max_forwards(self) -> None:
        """Counted with OPTIONS (RFC 9110 section 7.6.2); TRACE is refused, no other has to."""
        for method, sent, told, for_us in (
            (b"OPTIONS", b"0", b"0", True),
            (b"OPTIONS", b"1", b"0", False),
            (b"OPTIONS", b"0070", b"69", False),
            (b"GET", b"0", b"0", False),
            (b"GET", b"x", b"x", False),
        ):
            fields = [(b"Host", b"a"), (b"max-forwards", sent)]
            passed = RequestValidator().check_request(method, b"/x", b"1.1", fields, PEER)
            self.assertEqual(passed.for_us, for_us)
            self.assertIn((b"max-forwards", told), passed.head.headers)
        for values in ([b""], [b"x"], [b"-1"], [b"1" * 11], [b"1", b"1"]):
            fields = [(b"Host", b"a"), *((b"Max-Forwards", value) for value in values)]
            self.assertRaises(
                BadRequest,
                RequestValidator().check_request,
                b"OPTIONS",
                b"/x",
                b"1.1",
                fields,
                PEER,
            )

    def test_names_that_only_look_different(self) -> None:
        """What CGI writes as it writes a field of ours is no application's."""
        for name in b"X_Forwarded_For", b"x_forwarded_new", b"Content_Length", b"HOST_":
            passed = self.check((name, b"1"))
            names = [each for each, _ in passed.head.headers]
            self.assertEqual(name in names, name == b"HOST_")

    def test_ids_are_made_by_who_is_given(self) -> None:
        validator = RequestValidator(rules=RequestRules(ids=RequestIds(b"here")))
        passed = validator.check_request(b"GET", b"/", b"1.1", [(b"Host", b"a")], PEER)
        self.assertEqual(passed.head.request_id, b"here-00000001")

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
            [(b"Transfer-Encoding", b"gzip, chunked, chunked")],
            [(b"Transfer-Encoding", b"g zip, chunked")],
            [(b"Transfer-Encoding", b", chunked")],
            [(b"Transfer-Encoding", b"chunked, gzip, chunked")],
            [(b"Transfer-Encoding", b"gzip, br, deflate")],
        ):
            self.assertEqual(self.refused(*fields), 400, fields)
        for codings in (b"gzip, chunked", b"gzip, br, chunked", b"a,\tb , c,chunked"):
            self.assertEqual(self.refused((b"Transfer-Encoding", codings)), 501)
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

    def test_request_ids_of_trusted_peers_are_taken_if_they_are_clean(self) -> None:
        validator = RequestValidator()
        trusted = Peer(b"192.0.2.1", True)
        for sent, taken in (
            (b"abc-123", True),
            (b"", False),
            (b"a b", False),
            (b"x" * 200, False),
            (b'"', False),
        ):
            passed = validator.check_request(
                b"GET", b"/", b"1.1", [(b"Host", b"a"), (b"X-Request-ID", sent)], trusted
            )
            self.assertEqual(passed.head.request_id == sent, taken, sent)
            self.assertIn((b"X-Request-Id", passed.head.request_id), passed.head.headers)
