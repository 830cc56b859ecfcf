"""The tables of the benchmarks, and their place in a page."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.tables import (
    NoMarkers,
    markers,
    number,
    replace_block,
    size_of,
    size_text,
    table,
    update_page,
    with_ratio,
)


class NumberTests(SynchronousTestCase):
    def test_digits(self) -> None:
        """Three significant digits, thousands apart."""
        for value, text in (
            (16.5432, "16.5"),
            (147.2, "147"),
            (61627.0, "61,627"),
            (0.5551, "0.555"),
            (9.996, "10.0"),
            (5.0, "5.00"),
            (99.96, "100"),
            (0.00012345, "0.000123"),
            (0.0, "0"),
            (None, "-"),
        ):
            self.assertEqual(number(value), text)

    def test_ratio(self) -> None:
        """The ratio comes after the figure, if there is one."""
        self.assertEqual(with_ratio(16.5, 0.553), "16.5 (0.55)")
        self.assertEqual(with_ratio(16.5, None), "16.5")

    @given(st.floats(1e-6, 1e9))
    def test_close(self, value: float) -> None:
        """What is shown is the value, to three digits."""
        shown = float(number(value).replace(",", ""))
        self.assertLessEqual(abs(shown - value), 0.00501 * value)
        self.assertNotIn("e", number(value))

    def test_sizes(self) -> None:
        """Sizes go both ways."""
        for text, size, shown in (
            ("64K", 65_536, "64 KiB"),
            ("1M", 1 << 20, "1 MiB"),
            ("1G", 1 << 30, "1 GiB"),
            ("13", 13, "13 B"),
        ):
            self.assertEqual(size_of(text), size)
            self.assertEqual(size_text(size), shown)


class TableTests(SynchronousTestCase):
    def test_table(self) -> None:
        """A head, a line of alignments, the rows."""
        self.assertEqual(
            table(["a", "b"], [["x", "1"], ["y", "2"]]),
            "| a | b |\n| --- | ---: |\n| x | 1 |\n| y | 2 |",
        )


class BlockTests(SynchronousTestCase):
    def page(self, inside: str) -> str:
        begin, end = markers("bench")
        return f"# Title\n\nText.\n\n{begin}\n{inside}\n{end}\n\nMore text.\n"

    def test_replacesTheBlockAlone(self) -> None:
        """What is around the block stays, byte for byte."""
        page = replace_block(self.page("old\n\nold"), "bench", "new \\1 \\g<0>\n")
        self.assertEqual(page, self.page("\nnew \\1 \\g<0>\n"))

    def test_twice(self) -> None:
        """Replacing again changes nothing."""
        page = replace_block(self.page("old"), "bench", "new")
        self.assertEqual(replace_block(page, "bench", "new"), page)

    def test_twoBlocks(self) -> None:
        """The blocks of two benchmarks do not touch each other."""
        begin, end = markers("bench-bodies")
        both = self.page("old") + f"{begin}\nbodies\n{end}\n"
        page = replace_block(both, "bench", "new")
        self.assertIn(f"{begin}\nbodies\n{end}", page)
        self.assertNotIn("old", page)

    def test_noMarkers(self) -> None:
        """Without markers, or with one of them twice, nothing is replaced."""
        begin, end = markers("bench")
        for page in ("", begin, end, f"{end}{begin}", f"{begin}{begin}{end}"):
            with self.assertRaises(NoMarkers):
                replace_block(page, "bench", "new")

    def test_updatePage(self) -> None:
        """A page without the block gets it at its end; later runs replace it."""
        path = Path(self.mktemp())
        path.write_text("# Performance\n\nText.\n")
        for block in ("first", "second"):
            update_page(path, "bench", block)
        begin, end = markers("bench")
        self.assertEqual(
            path.read_text(), f"# Performance\n\nText.\n\n{begin}\n\nsecond\n\n{end}\n"
        )
