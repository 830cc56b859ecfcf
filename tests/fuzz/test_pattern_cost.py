"""A few inputs of tests/fuzz/search_pattern_cost.py: that the search itself runs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.search_pattern_cost import Match, Register, Request, search


class SearchTests(SynchronousTestCase):
    def test_each_finds_something(self) -> None:
        for kind, count in ((Register(), 80), (Match(1), 200), (Request(1), 3 * Request.each)):
            cost, source, tried = search(kind, count, 1)
            self.assertEqual(tried, count)
            self.assertGreater(cost, 0.0)
            self.assertTrue(kind.describe(source))
