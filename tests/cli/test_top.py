"""What C{top} shows: rates between looks, order, keys."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli import top as top_module
from subproxy.cli.rates import rate, route_rows, summary
from subproxy.cli.top import TopView, top
from tests.cli.test_main import MEMBER, OVERVIEW, ROUTE


def look(at: float, requests: int, errors: int = 0, first_byte: float = 0.0) -> dict[str, Any]:
    """An overview of one route."""
    counts = {"requests": requests, "errors": errors, "answers": requests, "first_byte": first_byte}
    totals: Any = OVERVIEW["totals"]
    return {**OVERVIEW, "at": at, "totals": {**totals, **counts}, "routes": [{**ROUTE, **counts}]}


class RateTests(SynchronousTestCase):
    def test_between_two_looks(self) -> None:
        ((_, _, _, asked, failed, mean),) = route_rows(look(4.0, 30, 2, 1.0), look(2.0, 10, 1, 0.6))
        self.assertEqual((asked, failed, mean), (10.0, 0.5, 20.0))
        self.assertIn("requests/s 10.0, errors/s 0.5,", summary(look(4.0, 30, 2), look(2.0, 10, 1)))

    def test_unknown(self) -> None:
        """After one look, of a route that is new, and of a proxy that began anew."""
        self.assertEqual(route_rows(look(4.0, 30))[0][3:], (None, None, None))
        other = {**look(2.0, 0), "routes": []}
        self.assertEqual(route_rows(look(4.0, 30), other)[0][3:], (None, None, None))
        self.assertIsNone(rate({"n": 1}, {"n": 2}, "n", 1.0))
        self.assertIsNone(rate({"n": 2}, {"n": 1}, "n", 0.0))
        self.assertIn("requests/s -,", summary(look(4.0, 1)))


class ViewTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.view = TopView("subscribers")
        members = [
            {**MEMBER, "id": "b", "latency": 0.002, "concurrency": 9},
            {**MEMBER, "id": "a", "latency": 0.001, "state": "ejected"},
            {**MEMBER, "id": "c", "latency": 0.003, "concurrency": 5},
        ]
        self.view.take({**OVERVIEW, "subscribers": members})

    def order(self) -> str:
        return "".join(row[0] for row in self.view.rows())

    def test_keys(self) -> None:
        """Next column, other direction, other view, end."""
        self.assertEqual(self.order(), "abc")
        self.assertTrue(self.view.press("r"))
        self.assertEqual(self.order(), "cba")
        for _ in range(3):
            self.view.press("s")
        self.assertEqual((self.view.columns[self.view.column], self.order()), ("ping ms", "cba"))
        for _ in range(2):
            self.view.press("s")
        # What is not known comes last, whichever way.
        self.assertEqual(self.order(), "bca")
        self.view.press("r")
        self.assertEqual(self.order(), "cba")
        self.view.press("v")
        self.assertEqual((self.view.view, self.order()), ("routes", "a /.*"))
        self.assertTrue(self.view.press("x"))
        self.assertFalse(self.view.press("q"))

    def test_text(self) -> None:
        self.assertIn("SUBSCRIBER", self.view.text())
        self.view.take({**OVERVIEW, "subscribers": []})
        self.assertEqual(self.view.text(), "no subscribers")

    def test_without_rich(self) -> None:
        """On a terminal, too: tables one after the other."""
        out = io.StringIO()
        out.isatty = lambda: True  # type: ignore[method-assign]
        with (
            redirect_stdout(out),
            mock.patch.object(sys, "stdin", mock.Mock(isatty=lambda: True)),
            mock.patch.object(top_module, "_has_rich", return_value=False),
        ):
            top(lambda: OVERVIEW, TopView("routes"), 0.0, 2, False)
        self.assertEqual(out.getvalue().count(top_module.CLEAR), 2)
