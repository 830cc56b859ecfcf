"""The reference of the proxy's options says what there is."""

import re

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli.main import parser
from subproxy.config.options import Options
from subproxy.config.setting import Flag
from subproxy.config.settings import HTTP_LIMITS, TABLE
from tests.rigs.paths import ROOT

DOCS = ROOT / "docs" / "reference"


class ReferenceTests(SynchronousTestCase):
    def test_every_option_is_there(self) -> None:
        """Each option is in docs/reference, and nothing is that does not exist."""
        told = set()
        for page in ("proxy.md", "http.md"):
            text = (DOCS / page).read_text()
            told |= set(re.findall(r"`--([a-z][a-z0-9-]*)", text))
        there = {option.rstrip("=") for option in Options().longOpt} - {"help", "version"}
        self.assertEqual(there - told, set())
        self.assertEqual(told - there - {"proxy"}, set())

    def test_tables(self) -> None:
        """Each setting has one row under the heading of its group, with its default."""
        found: dict[str, list[tuple[str, str]]] = {}
        for part in (DOCS / "proxy.md").read_text().split("\n## ")[1:]:
            heading = part.partition("\n")[0]
            rows = re.findall(r"^\| `--([a-z0-9-]+)` \| ?([^|]*?) ?\|", part, re.M)
            if rows:
                found[heading] = rows
        expected: dict[str, list[tuple[str, str]]] = {}
        for each in TABLE:
            if each.group != HTTP_LIMITS:
                default = each.otherwise if each.default is None else each.default
                shown = "" if isinstance(each.kind, Flag) else default
                expected.setdefault(each.group, []).append((each.option, shown))
        self.assertEqual(list(found), list(expected))
        for heading, rows in expected.items():
            self.assertEqual(sorted(found[heading]), sorted(rows))

    def test_commands(self) -> None:
        """Each of the subproxy command has a row."""
        part = (DOCS / "proxy.md").read_text().partition("\n## The subproxy command\n")[2]
        rows = re.findall(r"^\| (`[^|]*`) \|", part, re.M)
        told = {word for row in rows for word in re.findall(r"`([a-z]+)", row)}
        choices = next(each for each in parser()._actions if each.dest == "command").choices
        assert choices is not None
        self.assertEqual(set(choices) - told, set())


class ReadmeTests(SynchronousTestCase):
    def test_the_block_that_a_vm_runs(self) -> None:
        """README's QEMU block is the one that tests/integration/test_vm_docs.py runs."""
        root = DOCS.parent.parent
        block = re.compile(r"<!-- run by (\S+) -->\n```console\n.*?```\n", re.S)
        page = block.search((root / "docs" / "howto" / "three-terminals.md").read_text())
        assert page is not None
        found = list(block.finditer((root / "README.md").read_text()))
        for each in found:
            self.assertTrue((root / each.group(1)).exists(), each.group(1))
        demo, machine = (each.group(0) for each in found)
        self.assertEqual(machine, page.group(0))
        self.assertIn("$ make demo\n", demo)
        self.assertIn("make demo", (root / ".ci" / "clean-root").read_text())
