"""The table of limits."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.limits import TABLE, HttpLimits, parse


class LimitsTests(SynchronousTestCase):
    def test_the_table_has_every_limit_once(self) -> None:
        self.assertEqual(
            [row.name for row in TABLE], [each.name for each in dataclasses.fields(HttpLimits)]
        )
        self.assertEqual(len({row.option for row in TABLE}), len(TABLE))
        for row in TABLE:
            self.assertEqual(row.default, getattr(HttpLimits(), row.name))
            self.assertTrue(row.help)
            self.assertNotIn("\n", row.help)

    def test_values_are_parsed_as_what_they_are(self) -> None:
        rows = {row.name: row for row in TABLE}
        self.assertEqual(parse(rows["header_timeout"], "2.5"), 2.5)
        self.assertEqual(parse(rows["head"], "100"), 100)
        self.assertEqual(parse(rows["head"], str(2**63 - 1)), 2**63 - 1)
        for name, text in (
            ("head", "2.5"),
            ("head", "-1"),
            ("head", "x"),
            ("header_timeout", "nan"),
            ("header_timeout", "inf"),
            ("header_timeout", "-1"),
            ("head", str(2**63)),
        ):
            self.assertRaises(ValueError, parse, rows[name], text)
