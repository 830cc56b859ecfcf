"""docs/reference/mkinitramfs.md says of each option and of each setting what the command has."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from guest.image.arguments import NAMES, PROGRAM_NAMES
from guest.image.options import make_parser
from guest.image.prune import GROUPS
from tests.rigs.paths import ROOT

PAGE = (ROOT / "docs" / "reference" / "mkinitramfs.md").read_text()


def rows(text: str) -> set[str]:
    """The names in the first column of the tables."""
    cells = re.findall(r"^\| (`[^|]+) \|", text, re.M)
    return {name for cell in cells for name in re.findall(r"`(?:--)?([a-z][a-z-]*)", cell)}


class ReferenceTests(SynchronousTestCase):
    def test_options(self) -> None:
        (part,) = re.findall(r"\n## Options\n.*?\n## ", PAGE, re.S)
        told = rows(part)
        there = {
            name.lstrip("-")
            for action in make_parser()._actions
            for name in action.option_strings
            if name.startswith("--")
        }
        self.assertEqual(told - {"o", "q"}, there)

    def test_settings(self) -> None:
        (part,) = re.findall(r"\n## Settings\n.*?\n## ", PAGE, re.S)
        python, program = part.split("Of an application in Python:")[1].split("Of a program:")
        self.assertEqual(rows(python), set(NAMES))
        self.assertEqual(rows(program), set(PROGRAM_NAMES))

    def test_groups(self) -> None:
        (row,) = re.findall(r"^\| `--keep GROUP` .*$", PAGE, re.M)
        self.assertEqual(set(re.findall(r"`([a-z0-9]+)`", row)), set(GROUPS))
