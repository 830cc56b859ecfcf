"""What a request must be in any version; what passes through HTTP/1 is tested with its framing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.forwarded import Peer
from subproxy.core.http.host_names import HostNames
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.request_rules import RequestRules, check_host, content_length
from subproxy.errors import BadRequest, ClientError

PEER = Peer(b"192.0.2.1")


def asked(rules: RequestRules, fields: Headers, method: bytes = b"GET") -> RequestHead:
    """A request for C{/} over a version that has neither framing fields nor Connection."""
    kept, host, _, _, _, expect, request_id, _, sent, trailers = rules.sort_fields(
        method, fields, PEER
    )
    return rules.request_head(
        method,
        b"/",
        host,
        kept,
        5,
        PEER,
        b"2",
        expect,
        request_id,
        sent,
        trailers=trailers,
    )


class RequestRulesTests(SynchronousTestCase):
    def test_a_version_that_is_not_http_1(self) -> None:
        """The rules know its number from who asks, and no other."""
        head = asked(RequestRules(), [(b"accept", b"x"), (b"host", b"A.example:80")])
        self.assertEqual((head.version, head.host, head.path), (b"2", b"a.example", b"/"))
        self.assertEqual(head.headers[:2], [(b"Host", b"A.example:80"), (b"accept", b"x")])
        self.assertIn((b"Via", b"2 subproxy"), head.headers)
        self.assertEqual(head.trace, b"")  # nobody follows any

    def test_a_host_that_the_handshake_was_for(self) -> None:
        """Others on the same connection are misdirected (RFC 9110 section 7.4)."""
        tls = ClientTls(HostNames([b"a.example"]), b"a.example")
        peer = Peer(b"192.0.2.1", b"https", tls=tls)
        rules = RequestRules()

        def ask(host: bytes) -> bytes:
            return rules.request_head(b"GET", b"/", host, [], 0, peer, b"1.1", None, b"", []).host

        self.assertEqual(ask(b"A.example:443"), b"a.example")
        error = self.assertRaises(ClientError, ask, b"b.example")
        self.assertEqual(error.status, 421)

    def test_a_trusted_peer_that_says_nothing(self) -> None:
        """It is the client itself, as far as anybody knows."""
        peer = Peer(b"192.0.2.1", True, b"https")
        head = RequestRules().request_head(b"GET", b"/", b"a", [], 0, peer, b"1.1")
        self.assertEqual((head.client, head.scheme), (b"192.0.2.1", b"https"))

    def test_fields_are_sorted(self) -> None:
        found = RequestRules().sort_fields(
            b"OPTIONS",
            [
                (b"Content-Length", b"5"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Connection", b"Close, X"),
                (b"connection", b"y"),
                (b"Expect", b"a"),
                (b"expect", b"b"),
                (b"Max-Forwards", b"3"),
                (b"X-Forwarded-For", b"192.0.2.9"),
            ],
            PEER,
        )
        self.assertEqual(
            found[1:], (None, b"5", b"chunked", [b"close", b"x", b"y"], b"a,b", None, 3, [], False)
        )
        self.assertEqual(found[0], [(b"Max-Forwards", b"2")])

    def test_lengths(self) -> None:
        """RFC 9110 section 8.6; more digits than any length has are not even read."""
        self.assertEqual(content_length(b"9223372036854775807"), 2**63 - 1)
        for value in (b"9223372036854775808", b"1" * 20, b"0" * 20, b"1" * 5000, b"", b"+1", b"01"):
            self.assertRaises(BadRequest, content_length, value)

    def test_hops(self) -> None:
        """RFC 9110 section 7.6.2: a number; one of more than ten digits is none to us."""
        rules = RequestRules()
        for value, left in ((b"1", b"0"), (b"007", b"6"), (b"4294967295", b"4294967294")):
            kept = rules.sort_fields(b"OPTIONS", [(b"Max-Forwards", value)], PEER)[0]
            self.assertEqual(kept, [(b"Max-Forwards", left)])
        for value in (b"", b"-1", b"1.5", b"10000000000"):
            with self.assertRaises(BadRequest):
                rules.sort_fields(b"OPTIONS", [(b"Max-Forwards", value)], PEER)

    def test_who_takes_trailers(self) -> None:
        """TE says so; it goes no further itself."""
        for value, takes in (
            (b"trailers", True),
            (b"gzip;q=0.5, Trailers", True),
            (b"gzip", False),
            (b"trailers;q=1", False),
            (b"", False),
        ):
            head = asked(RequestRules(), [(b"host", b"a"), (b"te", value)])
            self.assertEqual(head.trailers, takes, value)
            self.assertNotIn(b"te", dict(head.headers))
        twice = [(b"host", b"a"), (b"te", b"trailers"), (b"te", b"gzip")]
        self.assertTrue(asked(RequestRules(), twice).trailers)

    def test_expectations(self) -> None:
        """They are looked at where the version has them."""
        rules = RequestRules()
        fields = [(b"host", b"a"), (b"expect", b"x")]
        self.assertEqual(self.assertRaises(ClientError, asked, rules, fields).status, 417)
        self.assertTrue(asked(rules, [(b"host", b"a"), (b"expect", b"100-Continue")]).expect)
        self.assertFalse(asked(rules, [(b"host", b"a")]).expect)

    def test_trailers(self) -> None:
        fields = [
            (b"X-Checksum", b"1"),
            (b"X-Forwarded-New", b"2"),
            (b"x_forwarded_new", b"3"),
            (b"Content_Length", b"4"),
        ]
        self.assertEqual(RequestRules().check_trailers(fields), fields[:1])
        self.assertEqual(RequestRules().check_trailers(fields, frozenset({b"x-checksum"})), [])

    def test_what_is_remembered_is_bounded(self) -> None:
        rules = RequestRules()
        kinds, hosts = [], []
        for number in range(5000):
            asked(rules, [(b"Host", b"a%d" % number), (b"X-%d" % number, b"")])
            kinds.append(len(rules._kinds))
            hosts.append(len(rules._hosts))
        self.assertEqual((max(kinds), max(hosts)), (2048, 2048))

    def test_long_names_are_not_remembered(self) -> None:
        """Else 2,048 names of 31 kB would stay."""
        rules = RequestRules()
        for name in (b"X-" + b"a" * 62, b"X-" + b"a" * 63, b"x-forwarded-" + b"a" * 3000):
            passed = asked(rules, [(b"Host", b"a"), (name, b"1")])
            self.assertEqual((name, b"1") in passed.headers, name[:3] == b"X-a")
        self.assertEqual(max(map(len, rules._kinds)), 64)
        hosts = [b"a" * 250 + b".b:80", b"a" * 251 + b".bcdef:80"]
        rules.host(hosts[0])
        self.assertRaises(BadRequest, rules.host, hosts[1])
        self.assertEqual(max(map(len, rules._hosts)), 255)


class HostTests(SynchronousTestCase):
    def test_hosts(self) -> None:
        for host in (
            b"a",
            b"a:",
            b"a:80",
            b"a:00080",
            b"a:65535",
            b"[::1]",
            b"[::1]:",
            b"[::1]:80",
            b"a" * 255,
        ):
            check_host(host)
        for host in (
            b"",
            b":80",
            b"a:x",
            b"a:65536",
            b"a:000080",
            b"a:" + b"0" * 5000,
            b"a:0655350",
            b"a:6553599",
            b"[::1",
            b"[]",
            b"[1]",
            b"[g::1]",
            b"[::1]80",
            b"[::1]x",
            b"[::1]:x",
            b"[::1]:65536",
            b"a" * 256,
        ):
            self.assertRaises(BadRequest, check_host, host)

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
