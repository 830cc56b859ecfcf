"""What is told of a head that is no request."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.exchange import Exchange
from subproxy.frontend.http1.unreadable_head import unreadable
from subproxy.telemetry.log_format import combined, escaped, json_line
from tests.telemetry.test_log_format import record


class UnreadableTests(SynchronousTestCase):
    def test_its_first_line_is_told(self) -> None:
        """To the log: method, target and version where there are any, else a bit of what came."""
        for data, *told in [
            (b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", b"GET", b"/\x00", b"1.1"),
            (b"GET / HTTP/1.1\nHost: a\n\n", b"GET", b"/", b"1.1"),
            (b"GET /a b HTTP/1.0\r\n", b"GET", b"/a b", b"1.0"),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PRI", b"*", b"2.0"),
            (b"GET /", b"GET", b"/", b""),
            (b"GET  / HTTP/11", b"GET", b" / HTTP/11", b""),
            (b"GET " + b"/" * 9000 + b" HTTP/1.1\r\n", b"GET", b"/" * 252, b""),
            (b"GET /" + b"x" * 4000 + b" HTTP/1.1\r\n", b"GET", b"/" + b"x" * 4000, b"1.1"),
            (b"\x16\x03 \x01", b"", b"\x16\x03 \x01", b""),
            (b"\x16\x03" * 900, b"", b"\x16\x03" * 128, b""),
            (b"x" * 1000, b"", b"x" * 256, b""),
            (b"", b"", b"", b""),
        ]:
            head = unreadable(data, b"192.0.2.7", b"id")
            self.assertEqual([head.method, head.target, head.version], told)
            self.assertEqual((head.client, head.request_id), (b"192.0.2.7", b"id"))

    def test_fields(self) -> None:
        """Host, User-Agent and Referer, the first of each, and none of a body."""
        for data, host, fields in [
            (
                b"GET / HTTP/1.1\r\nhOST : A.example:80\r\nX: y\r\nUser-Agent:\tcurl/8 \r\n"
                b"Referer:http://b/\r\nHost: b\r\n\r\nUser-Agent: no",
                b"a.example",
                {b"host": b"A.example:80", b"user-agent": b"curl/8", b"referer": b"http://b/"},
            ),
            (b"GET / HTTP/1.1\nHost: a/b\n\nReferer: x\n", b"a/b", {b"host": b"a/b"}),
            (b"GET / HTTP/1.1\r\nX-Host: a\r\nHost\r\n", b"", {}),
            (
                b"GET / HTTP/1.1\r\nUser-Agent: " + b"u" * 2000,
                b"",
                {b"user-agent": b"u" * 1024},
            ),
        ]:
            head = unreadable(data, b"", b"")
            self.assertEqual((head.host, dict(head.headers)), (host, fields))

    @given(st.binary(max_size=300))
    def test_the_combined_line_is_as_it_came(self, data: bytes) -> None:
        """Whatever comes, the first line stands in the log byte by byte."""
        head = unreadable(data, b"", b"")
        line = data.partition(b"\r\n\r\n")[0].partition(b"\n\n")[0]
        line = line.partition(b"\r\n")[0].partition(b"\n")[0]
        logged = combined(record(Exchange(head, b"", None)), b"")  # type: ignore[arg-type]
        shown = escaped(line if head.method else line[:256])
        self.assertIn(b' "' + shown + b'" 200 ', logged)

    def test_head(self) -> None:
        """Who asks with HEAD gets no body, whatever is wrong."""
        self.assertEqual(unreadable(b"HEAD / HTTP/9\r\n", b"", b"").method, b"HEAD")

    def test_json(self) -> None:
        """Every field that a good request would have."""
        data = b"GET /x HTTP/1.1\r\nHost: a\r\nUser-Agent: u\r\nReferer: r\r\nHost: b\r\n\r\n"
        exchange = Exchange(unreadable(data, b"c", b"id"), b"", None)  # type: ignore[arg-type]
        found = json.loads(json_line(record(exchange), b"now"))
        names = ("method", "target", "host", "version", "user_agent", "referer", "client")
        self.assertEqual([found[name] for name in names], ["GET", "/x", "a", "1.1", "u", "r", "c"])
