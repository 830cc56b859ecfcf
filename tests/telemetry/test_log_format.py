"""Access log lines."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Member, Pool
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.routing.route import Route
from subproxy.errors import GuestGone
from subproxy.telemetry.exchange_record import ExchangeRecord
from subproxy.telemetry.log_format import combined, escaped, json_escaped, json_line

DATE = b"24/Nov/2026:08:01:00 +0000"
COMBINED = re.compile(
    r'^(\S+) - - \[([^\]]+)\] "((?:[^"\\]|\\x[0-9A-F]{2})*)" (\d+) (\d+) '
    r'"((?:[^"\\]|\\x[0-9A-F]{2})*)" "((?:[^"\\]|\\x[0-9A-F]{2})*)" '
    r'(\S+) "((?:[^"\\]|\\x[0-9A-F]{2})*)" "((?:[^"\\]|\\x[0-9A-F]{2})*)" '
    r"(-|[0-9.]+) ([0-9.]+) (\S+)\n$"
)


def exchange(**changes: object) -> Exchange:
    request = RequestHead(
        b"GET",
        b"/a?b",
        b"a.example",
        b"/a",
        [(b"Host", b"a.example"), (b"user-agent", b"curl/8"), (b"Referer", b"http://b/")],
        b"192.0.2.7",
        request_id=b"some-id",
    )
    for name, value in changes.items():
        setattr(request, name, value)
    return Exchange(request, b"", None)  # type: ignore[arg-type]


def record(exchange: Exchange, first_byte: float = 100.001) -> ExchangeRecord:
    """What is logged of it."""
    return ExchangeRecord(exchange, 200, 5, 100.0, first_byte, 100.25)


class CombinedTests(SynchronousTestCase):
    def test_a_line(self) -> None:
        self.assertEqual(
            combined(record(exchange()), DATE),
            b'192.0.2.7 - - [24/Nov/2026:08:01:00 +0000] "GET /a?b HTTP/1.1" 200 5 '
            b'"http://b/" "curl/8" some-id "-" "-" 0.001 0.250 -\n',
        )

    def test_route_subscriber_and_error(self) -> None:
        it = exchange()
        it.pool = Pool(Route(rb"a\.example", b"/.*"), now=0)
        it.member = Member('/run/"vms"/a.sock', b"app", b"i", now=0)
        it.error = GuestGone()
        self.assertTrue(
            combined(record(it, 0.0), DATE).endswith(
                rb' some-id "a\.example /.*" "/run/\x22vms\x22/a.sock" - 0.250 guest-gone'
                b"\n"
            )
        )

    def test_a_request_that_was_none_is_shown_as_it_came(self) -> None:
        line = combined(record(exchange(method=b"", target=b'\x16\x03"')), DATE)
        self.assertIn(rb'"\x16\x03\x22" 200', line)

    @given(st.binary(), st.binary(), st.binary(), st.binary())
    def test_nothing_breaks_a_line(
        self, target: bytes, agent: bytes, referer: bytes, method: bytes
    ) -> None:
        it = exchange(
            target=target,
            method=method,
            headers=[(b"User-Agent", agent), (b"Referer", referer)],
        )
        found = COMBINED.match(combined(record(it), DATE).decode("ascii"))
        assert found is not None
        unescaped = re.sub(r"\\x(..)", lambda each: chr(int(each[1], 16)), found[7])
        self.assertEqual(unescaped.encode("latin-1"), agent)


class JsonTests(SynchronousTestCase):
    def test_a_line(self) -> None:
        it = exchange()
        it.pool = Pool(Route(rb"a\.example", b"/.*"), now=0)
        it.member = Member("/run/vms/a.sock", b"app", b"i", now=0)
        it.queued, it.wake, it.guest, it.given = 0.25, 1.5, 0.125, 100.0005
        it.request.trace = b"4bf92f3577b34da6a3ce929d0e0e4736"
        found = json.loads(json_line(record(it), b"2026-11-24T08:01:00Z"))
        self.assertEqual(
            found,
            {
                "time": "2026-11-24T08:01:00Z",
                "client": "192.0.2.7",
                "method": "GET",
                "host": "a.example",
                "target": "/a?b",
                "version": "1.1",
                "status": 200,
                "bytes": 5,
                "referer": "http://b/",
                "user_agent": "curl/8",
                "id": "some-id",
                "trace": "4bf92f3577b34da6a3ce929d0e0e4736",
                "route": r"a\.example /.*",
                "subscriber": "/run/vms/a.sock",
                "queued": 0.25,
                "wake": 1.5,
                "guest": 0.1255,
                "first_byte": 0.001,
                "last_byte": 0.25,
                "attempts": 0,
                "error": None,
            },
        )

    def test_the_time_with_guests(self) -> None:
        """Until the head of the answer; of one that never came, until the end; or none had it."""
        it = exchange()
        for since, before, first_byte, expected in (
            (0.0, 0.0, 100.001, None),
            (0.0, 0.5, 100.001, 0.5),
            (100.0, 0.0, 100.125, 0.125),
            (100.0, 0.5, 100.125, 0.625),
            (100.0, 0.0, 0.0, 0.25),
        ):
            it.given, it.guest = since, before
            found = json.loads(json_line(record(it, first_byte), b"now"))
            self.assertEqual(found["guest"], expected)
            self.assertIsNone(found["trace"])

    @given(st.binary(), st.binary())
    def test_nothing_breaks_a_line(self, target: bytes, agent: bytes) -> None:
        it = exchange(target=target, headers=[(b"User-Agent", agent)])
        it.error = GuestGone()
        line = json_line(record(it), b"now")
        self.assertEqual(line.count(b"\n"), 1)
        found = json.loads(line)
        self.assertEqual(found["target"].encode("latin-1"), target)
        self.assertEqual(found["user_agent"].encode("latin-1"), agent)
        self.assertEqual(found["error"], "guest-gone")


class EscapeTests(SynchronousTestCase):
    def test_plain_text_is_not_copied(self) -> None:
        text = b"plain text, no more"
        self.assertIs(escaped(text), text)
        self.assertIs(json_escaped(text), text)
