"""docs/reference/http.md says what the code does, where that can be compared."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.limits import TABLE
from tests.rigs.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "http.md"


class HttpPageTests(SynchronousTestCase):
    def test_every_limit_is_there_with_its_default(self) -> None:
        lines = PAGE.read_text().splitlines()
        for row in TABLE:
            self.assertIn(
                f"| `--{row.option}` | {row.default:g} | {row.unit} | {row.help} |", lines
            )

    def test_there_are_no_others(self) -> None:
        text = PAGE.read_text()
        options = {row.option for row in TABLE} | {"trust"}
        found = {line.split("`")[1][2:] for line in text.splitlines() if line.startswith("| `--")}
        self.assertEqual(found, options)
