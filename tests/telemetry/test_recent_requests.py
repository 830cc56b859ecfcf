"""The ways of the last requests: found by id and by trace, in either format, and bounded."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.member import Member, Pool
from subproxy.core.exchange import Exchange, RequestHead
from subproxy.core.routing.route import Route
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.exchange_record import ExchangeRecord
from subproxy.telemetry.recent_requests import FULL, MOST_FOUND, NOTED, RecentRequests

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def record(request_id: str, **changes: Any) -> ExchangeRecord:
    """An exchange of b.sock, that has ended."""
    head = RequestHead(
        b"GET", b"/a", b"a.example", b"/a", [], b"192.0.2.7", request_id=request_id.encode()
    )
    found = Exchange(head, b"", None)  # type: ignore[arg-type]
    found.pool = Pool(Route(rb"a\.example", b"/.*"), now=0)
    found.member = Member("/run/vms/b.sock", b"app", b"i", now=0)
    found.attempts, found.given = 1, 100.0
    for name, value in changes.items():
        setattr(head if name == "trace" else found, name, value)
    return ExchangeRecord(found, 200, 5, 100.0, 100.125, 100.25)


class RecentRequestTests(SynchronousTestCase):
    def log(self, style: str, most: int = 1 << 20) -> AccessLog:
        log = AccessLog("/dev/null", style, Clock(), lambda: 1795000000.0)
        log.recent = RecentRequests(most)
        self.addCleanup(log.close)
        return log

    def test_json(self) -> None:
        log = self.log("json")
        log.exchangeEnded(record("one", trace=TRACE.encode()))
        log.exchangeEnded(record("two"))
        [found] = log.find("one")
        expected = {
            "id": "one",
            "host": "a.example",
            "route": r"a\.example /.*",
            "subscriber": "/run/vms/b.sock",
            "attempts": 1,
            "tried": [],
            "guest": 0.125,
            "status": 200,
            "trace": TRACE,
        }
        self.assertEqual({key: found[key] for key in expected}, expected)
        self.assertEqual(log.find(TRACE), [found])

    def test_a_way_that_is_not_straight(self) -> None:
        """The guest before, and what it waited: told by neither format alone."""
        for style in ("combined", "json"):
            log = self.log(style)
            first = Member("/run/vms/a.sock", b"app", b"i", now=0)
            log.exchangeEnded(
                record("one", attempts=2, queued=0.5, wake=1.5, guest=0.25, taken_from=(first,))
            )
            [found] = log.find("one")
            expected = {
                "host": "a.example",
                "tried": ["/run/vms/a.sock"],
                "attempts": 2,
                "queued": 0.5,
                "wake": 1.5,
                "guest": 0.375,
                "trace": None,
            }
            self.assertEqual({key: found[key] for key in expected}, expected, style)

    def test_combined(self) -> None:
        """What such a line does not tell nobody knows."""
        log = self.log("combined")
        log.exchangeEnded(record("one"))
        log.exchangeEnded(record("two", member=None, attempts=0))
        [found] = log.find("one")
        self.assertEqual((found["attempts"], found["host"], found["guest"]), (1, None, None))
        self.assertEqual(found["target"], "/a")
        self.assertEqual(log.find("two")[0]["attempts"], 0)

    def test_the_id_alone(self) -> None:
        """Neither a part of one, nor what stands elsewhere in a line, nor what is no id."""
        log = self.log("json")
        log.exchangeEnded(record("one-two"))
        for about in ("one", "192.0.2.7", "b.sock", "200", "", '"', "one two", "a" * 129, "ö"):
            self.assertEqual(log.find(about), [], about)

    def test_the_newest_first(self) -> None:
        """Of what shares an id, or a trace: so many at most."""
        log = self.log("json")
        for number in range(MOST_FOUND + 5):
            log.exchangeEnded(record(f"n{number}", trace=TRACE.encode()))
            if number % 7 == 0:
                log.flush()
        found = [each["id"] for each in log.find(TRACE)]
        self.assertEqual(found, [f"n{n}" for n in range(MOST_FOUND + 4, 4, -1)])

    def test_bounded(self) -> None:
        """The oldest go, with what was noted of them."""
        log = self.log("json", 10_000)
        for number in range(1000):
            log.exchangeEnded(record(f"n{number}", queued=1.0))
            log.flush()
        assert log.recent is not None
        kept = sum(len(lines) + NOTED * len(notes) for lines, notes in log.recent._blocks)
        self.assertTrue(8_000 < kept <= 10_000, kept)
        noted = [name for _, notes in log.recent._blocks for name in notes]
        self.assertEqual(noted[-1], "n999")
        self.assertEqual(len(noted), len(log.recent._blocks))
        self.assertEqual(log.find("n0"), [])
        self.assertEqual(len(log.find("n999")), 1)

    def test_while_much_is_written(self) -> None:
        """Less is kept, and more again when that is over."""
        recent = RecentRequests(10 * FULL, 4 * FULL)
        small, full = b"x" * (FULL - 1), b"x" * FULL

        def kept() -> int:
            return len(recent._blocks)

        for _ in range(20):
            recent.keep(small)
        self.assertEqual(kept(), 10)
        recent.keep(full)
        self.assertEqual(kept(), 4)
        for _ in range(20):
            recent.keep(full)
        self.assertEqual(kept(), 4)
        for _ in range(20):
            recent.keep(small)
        self.assertEqual(kept(), 10)

    def test_nobody_keeps(self) -> None:
        log = self.log("json")
        log.recent = None
        log.exchangeEnded(record("one"))
        self.assertEqual(log.find("one"), [])

    @given(st.text(max_size=40))
    def test_whatever_is_asked(self, about: str) -> None:
        recent = RecentRequests()
        recent.keep(b"a line that is none of ours\n")
        self.assertEqual(recent.find(about), [])

    def test_what_is_beside_the_lines_counts(self) -> None:
        """Where all requests wait, that is more than their lines."""
        recent = RecentRequests(8 * NOTED)
        for number in range(20):
            recent.note(record(f"r{number}", queued=0.5))
            recent.keep(b"a short line\n")
        kept = sum(len(notes) for _, notes in recent._blocks)
        self.assertEqual(kept, 7)
