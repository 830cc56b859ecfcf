"""Tests of subproxy.frontend.http2.request_fields: what is a request, and what becomes of it."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.forwarded import Peer
from subproxy.core.http.request_rules import RequestRules
from subproxy.errors import ClientError
from subproxy.frontend.http2.request_fields import (
    FieldsRequest,
    MalformedFields,
    read_request,
    read_trailers,
    unreadable_request,
)
from subproxy.frontend.limits import HttpLimits
from tests.rigs.http2_client import GET, POST, Headers
from tests.rigs.paths import ROOT

PEER = Peer(b"192.0.2.7")
CASES = ROOT / "tests" / "corpus" / "http" / "cases.json"


def read(fields: Headers, ended: bool = True, peer: Peer = PEER) -> FieldsRequest:
    return read_request(fields, ended, peer, HttpLimits(), RequestRules())


def changed(**pseudo: bytes | None) -> Headers:
    """A request with other pseudo fields; None for none."""
    said = dict(GET)
    for name, value in pseudo.items():
        said.pop(b":" + name.encode(), None)
        if value is not None:
            said[b":" + name.encode()] = value
    return list(said.items())


class PseudoFieldTests(SynchronousTestCase):
    def test_malformed(self) -> None:
        """What is missing, double, unknown, or behind other fields."""
        for fields in (
            *(changed(method=None), changed(path=None), changed(scheme=None)),
            *(changed(method=b""), changed(path=b""), [*GET, GET[0]]),
            *([*GET, (b":status", b"200")], [*GET, (b":protocol", b"websocket")]),
            [*GET[:3], (b"x", b"y"), GET[3]],
            [(b":unknown", b"x"), *GET],
        ):
            self.assertRaises(MalformedFields, read, fields)

    def test_smuggled(self) -> None:
        """CR, LF, NUL and other controls are malformed wherever they are; a space is refused."""
        for control in (b"\r\n", b"\n", b"\r", b"\0", b"\x7f", b"\x01"):
            for pseudo in ("method", "path", "scheme", "authority"):
                fields = changed(**{pseudo: b"a" + control + b"b"})
                self.assertRaises(MalformedFields, read, fields)
            for pair in ((b"x" + control, b"y"), (b"x", b"y" + control + b"z")):
                self.assertRaises(MalformedFields, read, [*GET, pair])
        for fields, status in (
            (changed(method=b"GET /x HTTP/1.1"), 400),
            (changed(path=b"/ HTTP/1.1"), 400),
            (changed(authority=b"a.example b"), 400),
            (changed(scheme=b"http "), 400),
        ):
            self.assertEqual(self.assertRaises(ClientError, read, fields).status, status)

    def test_refused(self) -> None:
        """As a request line of HTTP/1.1 is."""
        for fields, status in (
            (changed(method=b"TRACE"), 405),
            (changed(method=b"BREW"), 501),
            ([(b":method", b"CONNECT"), (b":authority", b"a:1")], 405),
            (changed(path=b"x"), 400),
            (changed(path=b"*"), 400),
            (changed(path=b"http://a.example/"), 400),
            (changed(path=b"/#"), 400),
            (changed(path=b"/" + b"x" * 8192), 414),
            (changed(scheme=b"ftp"), 400),
            (changed(scheme=b"https"), 421),
            (changed(authority=b""), 400),
            (changed(authority=None), 400),
            (changed(authority=b"user@a.example"), 400),
            ([*GET, (b"host", b"b.example")], 400),
            ([*GET, (b"content-length", b"x")], 400),
            ([*GET, (b"expect", b"200-ok")], 417),
        ):
            self.assertEqual(self.assertRaises(ClientError, read, fields).status, status, fields)

    def test_https(self) -> None:
        """Over TLS, and from a trusted proxy."""
        for peer in (Peer(b"192.0.2.7", scheme=b"https"), Peer(b"192.0.2.7", trusted=True)):
            self.assertEqual(read(changed(scheme=b"https"), peer=peer).head.host, b"a.example")

    def test_host(self) -> None:
        """It may stand for an authority, or beside one that is the same."""
        for fields in (
            [*changed(authority=None), (b"host", b"A.example:80")],
            [*changed(authority=b"A.example:80"), (b"host", b"a.example:80")],
        ):
            self.assertEqual(read(fields).head.host, b"a.example")

    def test_for_us(self) -> None:
        """C{OPTIONS *}, and OPTIONS that goes no further."""
        self.assertTrue(read(changed(method=b"OPTIONS", path=b"*")).for_us)
        options = changed(method=b"OPTIONS")
        self.assertTrue(read([*options, (b"max-forwards", b"0")]).for_us)
        self.assertFalse(read(options).for_us)


class FieldTests(SynchronousTestCase):
    def test_malformed(self) -> None:
        """Names that are no tokens in lower case, white space around values, the connection's."""
        for pair in (
            *((b"X", b"y"), (b"", b"y"), (b"a b", b"y"), (b"a:", b"y"), (b"\xff", b"y")),
            *((b"x", b" y"), (b"x", b"y\t"), (b"connection", b"close"), (b"upgrade", b"h2c")),
            *((b"keep-alive", b"1"), (b"proxy-connection", b"x"), (b"te", b"gzip")),
            (b"transfer-encoding", b"chunked"),
        ):
            self.assertRaises(MalformedFields, read, [*GET, pair])

    def test_kept(self) -> None:
        """C{te: trailers} says nothing to a guest; what a client says of itself is dropped."""
        head = read([*GET, (b"te", b"trailers"), (b"x-forwarded-for", b"9"), (b"x", b"")]).head
        self.assertEqual([name for name, _ in head.headers if name == b"te"], [])
        self.assertIn((b"x", b""), head.headers)
        self.assertIn((b"X-Forwarded-For", b"192.0.2.7"), head.headers)

    def test_cookies(self) -> None:
        """Pieces are one field, where the first one stood."""
        crumbs = [(b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2"), (b"cookie", b"c=3")]
        head = read([*GET, *crumbs]).head
        self.assertEqual(head.headers[1:3], [(b"cookie", b"a=1; b=2; c=3"), (b"x", b"y")])

    def test_length(self) -> None:
        """Of a body, and of none."""
        self.assertEqual(read(POST).head.length, 0)
        self.assertIsNone(read(POST, ended=False).head.length)
        fields = [*POST, (b"content-length", b"5")]
        self.assertEqual(read(fields, ended=False).head.length, 5)
        self.assertRaises(MalformedFields, read, fields)
        self.assertEqual(read([*POST, (b"content-length", b"0")]).head.length, 0)

    def test_expect(self) -> None:
        """Only where there is a body."""
        fields = [*POST, (b"expect", b"100-Continue")]
        self.assertTrue(read(fields, ended=False).head.expect)
        self.assertFalse(read(fields).head.expect)

    def test_trailers(self) -> None:
        """What means nothing there is dropped; malformed ones are none."""
        rules, limits = RequestRules(), HttpLimits()
        fields = [(b"x", b"y"), (b"content-type", b"z"), (b"cookie", b"a")]
        self.assertEqual(read_trailers(fields, rules, limits), [(b"x", b"y")])
        for wrong in ([(b":path", b"/")], [(b"X", b"y")], [(b"x", b"a\nb")], [(b"x", b"y")] * 101):
            self.assertRaises(MalformedFields, read_trailers, wrong, rules, limits)

    def test_unreadable(self) -> None:
        """The log tells what there is."""
        head = unreadable_request([*changed(method=None), (b"user-agent", b"u")], b"c", b"i")
        self.assertEqual((head.method, head.target, head.host), (b"", b"/", b"a.example"))
        self.assertEqual((head.version, head.headers), (b"2", [(b"user-agent", b"u")]))


class CorpusTests(SynchronousTestCase):
    def carried_over(self, request: str) -> tuple[Headers, bool] | None:
        """The fields that say what C{request} says, however wrong; and whether it has a body."""
        head, end, body = request.encode("latin-1").partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        parts = line.split(b" ")
        if not end or len(parts) != 3 or parts[2] != b"HTTP/1.1":
            return None
        fields: Headers = [(b":method", parts[0]), (b":scheme", b"http"), (b":path", parts[1])]
        for each in lines:
            name, colon, value = each.partition(b":")
            if not colon:
                return None
            name = name.lower()
            value = value[1:] if value[:1] == b" " else value
            fields.append((name, value))
        return fields, not body

    def test_what_http1_refuses(self) -> None:
        """Whatever the corpus has that HTTP/1.1 refuses is refused, if it can be said at all."""
        passed, said = set(), 0
        for case in json.loads(CASES.read_text()):
            carried = self.carried_over(case["request"])
            if carried is None or 200 <= case["status"] < 400:
                continue
            said += 1
            try:
                read(carried[0], carried[1])
            except (ClientError, MalformedFields):
                continue
            passed.add(case["name"])
        self.assertGreater(said, 80)
        self.assertEqual(passed, FINE)


FINE = {"long value"}
"""What is refused elsewhere: lists that are too large, when they are read."""
