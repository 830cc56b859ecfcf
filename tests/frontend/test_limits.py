"""The table of limits."""

from __future__ import annotations

import dataclasses

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.limits import TABLE, WRITE_BUFFER, HttpLimits, parse


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

    def test_defaults(self) -> None:
        """What an operator has who says nothing: to change one is an affair of the changelog."""
        self.assertEqual(
            {row.option: row.default for row in TABLE},
            {
                "max-target": 8192,
                "max-head": 32_768,
                "max-fields": 100,
                "max-body": 0,
                "inline-body": 65_536,
                "max-chunk-overhead": 16_384,
                "keepalive-requests": 10_000,
                "max-connections": 0,
                "header-timeout": 10.0,
                "body-grace": 10.0,
                "min-body-rate": 500,
                "max-unsent": 131_072,
                "response-timeout": 60.0,
                "tunnel-idle": 3600.0,
                "keepalive-timeout": 75.0,
                "linger": 2.0,
            },
        )
        # A response of the most that rides in a frame waits whole, and is logged when it has gone.
        self.assertEqual(WRITE_BUFFER, 65_536 + 16_384)

    def test_values_are_parsed_as_what_they_are(self) -> None:
        rows = {row.name: row for row in TABLE}
        self.assertEqual(parse(rows["header_timeout"], "2.5"), 2.5)
        self.assertEqual(parse(rows["head"], "100"), 100)
        self.assertEqual(parse(rows["head"], "0"), 0)
        self.assertEqual(type(parse(rows["header_timeout"], "3")), float)
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
