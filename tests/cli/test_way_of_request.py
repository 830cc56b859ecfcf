"""What C{subproxy explain} says of a request that has ended."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import tables


class WayOfRequestTests(SynchronousTestCase):
    def test_the_way_of_a_request(self) -> None:
        """As much as is known of it."""
        way = {
            **{"id": "one", "time": "now", "client": "192.0.2.7", "method": "GET", "target": "/x"},
            **{"host": "a", "route": "a /.*", "tried": ["cid:9"], "subscriber": "cid:10"},
            **{"attempts": 2, "status": 200, "bytes": 5, "error": None, "trace": "4bf9"},
            **{"queued": 0.25, "wake": 0.0, "guest": 0.5, "first_byte": 0.75, "last_byte": 1.0},
        }
        unknown = {"host": None, "trace": None, "guest": None, "tried": [], "process": 1}
        refused = {"route": "-", "subscriber": "-", "error": "no-route", "first_byte": None}
        text = tables.explanation({"requests": [way, {**way, **unknown, **refused}]})
        self.assertEqual(
            text,
            "one at now\n  192.0.2.7: GET /x of a\n  route a /.*\n  cid:9 had it, and lost it\n"
            "  subscriber cid:10, attempt 2\n  status 200, 5 bytes\n  trace 4bf9\n"
            "  queued 0.250 s, wake 0.000 s, guest 0.500 s, first byte 0.750 s, last byte 1.000 s\n"
            "\none at now, worker 1\n  192.0.2.7: GET /x\n  no route\n"
            "  status 200, 5 bytes: no-route\n"
            "  queued 0.250 s, wake 0.000 s, last byte 1.000 s",
        )

    def test_a_request_of_several_lines(self) -> None:
        """What was refused may hold anything: it ends no line of what is printed."""
        way = dict.fromkeys(("time", "client", "host", "trace", "error", "guest", "first_byte"))
        way |= {"id": "a", "method": "GET", "target": "/\n\x1b[1mb", "route": "-", "tried": []}
        way |= {"subscriber": "-", "attempts": 0, "status": 400, "bytes": 0}
        way |= {"queued": 0.0, "wake": 0.0, "last_byte": 0.0}
        text = tables.explanation({"requests": [way]})
        self.assertEqual(len(text.split("\n")), 5)
        self.assertNotIn("\x1b", text)
