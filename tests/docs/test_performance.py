"""The pages of performance show what was measured, and what is said of it in words is so."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import bench_report, bodies_report, options
from benchmarks.tables import markers
from tests.rigs.paths import ROOT

README = ROOT / "README.md"
RATIO = re.compile(r"\((\d+\.\d+)\)")
ONE_SCREEN = 100
"""Lines of a page of results, its tables included."""


@cache
def block(page: Path, name: str) -> str:
    """What stands between the markers of a page."""
    begin, end = markers(name)
    text = page.read_text(encoding="utf-8")
    return text[text.index(begin) + len(begin) : text.index(end)].strip()


def cells(text: str, head: str) -> dict[str, dict[str, str]]:
    """By the first cell of each row, the cells of the table that begins with C{head}, by column."""
    lines = text[text.index(f"| {head}") :].split("\n\n", maxsplit=1)[0].splitlines()
    names, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(names[1:], row[1:], strict=True)) for row in rows}


def ratio(cell: str) -> float:
    found = RATIO.search(cell)
    assert found, cell
    return float(found[1])


class GeneratedTests(SynchronousTestCase):
    def test_small_requests(self) -> None:
        """Both blocks, and the plot, are made of the raw figures that are kept."""
        results = json.loads((options.RESULTS / "bench.json").read_text(encoding="utf-8"))
        report = bench_report.Report(results)
        self.assertEqual(block(options.PAGE, "bench"), report.summary())
        self.assertEqual(block(options.TABLES, "bench"), report.markdown())
        plot = options.TABLES.parent / bench_report.PLOT
        self.assertEqual(plot.read_text(encoding="utf-8"), report.plot())

    def test_large_bodies(self) -> None:
        """The same."""
        results = json.loads((options.RESULTS / "bodies.json").read_text(encoding="utf-8"))
        report = bodies_report.Report(results)
        self.assertEqual(block(options.PAGE, "bench-bodies"), report.summary())
        self.assertEqual(block(options.TABLES, "bench-bodies"), report.markdown())
        plot = options.TABLES.parent / bodies_report.PLOT
        self.assertEqual(plot.read_text(encoding="utf-8"), report.plot())


class WordsTests(SynchronousTestCase):
    """The sentences about the figures hold of these figures."""

    def setUp(self) -> None:
        self.cost = cells(block(options.PAGE, "bench"), "CPU µs a request")
        self.text = options.PAGE.read_text(encoding="utf-8")

    def test_readme(self) -> None:
        """The claim of the README is that of the table."""
        said = " ".join(README.read_text(encoding="utf-8").split())
        self.assertIn("less than half of nginx's CPU time at 64 connections", said)
        self.assertLess(ratio(self.cost["subproxy, io_uring"]["64"]), 0.5)

    def test_reliability(self) -> None:
        """Each figure of that page is in the diary that it sums up."""
        figure = re.compile(r"\d+(?:,\d{3})+|\d+\.\d+|\d+(?= ms\b)")
        shown = (ROOT / "docs" / "explanation" / "reliability.md").read_text(encoding="utf-8")
        diary = (options.TABLES.parent / "reliability-history.md").read_text(encoding="utf-8")
        found = set(figure.findall(shown))
        self.assertGreater(len(found), 30)
        self.assertEqual(found - set(re.findall(r"[\d.,]*\d", diary)), set())

    def test_one_screen(self) -> None:
        for name in ("performance", "reliability"):
            page = ROOT / "docs" / "explanation" / f"{name}.md"
            self.assertLess(len(page.read_text(encoding="utf-8").splitlines()), ONE_SCREEN)
