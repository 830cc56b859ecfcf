"""CONTRIBUTING.md says where things are, and what can be run."""

from __future__ import annotations

import ast
import re
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT
from tools.testing.groups import phases

PAGE = ROOT / "CONTRIBUTING.md"


class ContributingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = PAGE.read_text(encoding="utf-8")

    def section(self, title: str) -> str:
        rest = self.text[self.text.index(f"## {title}\n") :]
        return rest.split("\n## ", maxsplit=1)[0]

    def test_where_things_live(self) -> None:
        """Every room of the house has its row, and each named place exists."""
        rows = re.findall(r"^\| (`.*?) \|", self.section("Where things live"), re.MULTILINE)
        named = {each for row in rows for each in re.findall(r"`([^`]+)`", row)}
        for each in named:
            self.assertTrue((ROOT / each).exists(), each)
        rooms = {path.parent for path in (ROOT / "subproxy").glob("*/__init__.py")}
        self.assertEqual({str(room.relative_to(ROOT)) for room in rooms} - named, set())

    def test_where_it_is_decided(self) -> None:
        """Each file has what its row says to begin at, and no question has two answers."""
        rows = re.findall(
            r"^\| (.+?) \| `(subproxy/\S+)` \| `(\w+)(?:\.(\w+))?` \|$",
            self.section("Where is it decided?"),
            re.MULTILINE,
        )
        section = self.section("Where is it decided?")
        self.assertEqual(len(rows), section.count("| `subproxy/"))
        self.assertGreater(len(rows), 12)
        self.assertEqual(len({row[0] for row in rows}), len(rows))
        for question, file, name, method in rows:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            found = {
                getattr(node, "name", None) or ast.unparse(target).partition(":")[0]
                for node in tree.body
                for target in (
                    *getattr(node, "targets", ()),
                    getattr(node, "target", ast.Constant(None)),
                )
            }
            self.assertIn(name, found, question)
            methods = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
            self.assertTrue(not method or method in methods, question)

    def test_commands_exist(self) -> None:
        """Targets of make, modules of tests, and files."""
        makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
        rules = re.findall(r"^([a-z][a-z -]*):", makefile, re.MULTILINE)
        targets = set(re.findall(r"make ([a-z]+)", self.text))
        self.assertGreater(len(targets), 6)
        self.assertEqual(targets - set(" ".join(rules).split()), set())
        modules = set(re.findall(r"\btests(?:\.[a-z_0-9]+)+", self.text))
        self.assertGreater(len(modules), 5)
        for each in modules:
            path = ROOT.joinpath(*each.split("."))
            self.assertTrue(path.is_dir() or path.with_suffix(".py").exists(), each)
        for each in re.findall(r"`((?:tests|tools|subproxy|guest)/[\w/.]+?)`", self.text):
            self.assertTrue((ROOT / each).exists(), each)

    def test_one_test_is_a_test(self) -> None:
        """The command for a single test names one that exists."""
        module, case, method = re.findall(r"(tests[\w.]+)\.(\w+Tests)\.(test_\w+)", self.text)[0]
        text = ROOT.joinpath(*module.split(".")).with_suffix(".py").read_text(encoding="utf-8")
        self.assertRegex(text, rf"class {case}\b(?s:.*?)def {method}\b")
        where, only = re.findall(r"pytest (\S+) -k (\w+)", self.text)[0]
        self.assertIn(
            f"{only}", " ".join(re.findall(r"def (test_\w+)", (ROOT / where).read_text()))
        )

    def test_times(self) -> None:
        """The minutes of the table are those that the runner tells."""
        for group in ("unit", "integration", "machines"):
            told = sum(int(each.about.split()[0]) for each in phases(ROOT, frozenset({group})))
            row = re.search(rf"^\| `make {group}` .*\| (\d+) min \|$", self.text, re.MULTILINE)
            assert row, group
            self.assertEqual(int(row[1]), told)

    def test_what_is_mutated_is_there(self) -> None:
        """The modules that `make mutation` names."""
        make = ["make", "-n", "-s", "-C", str(ROOT), "mutation"]
        shown = subprocess.run(make, check=True, capture_output=True, text=True).stdout
        named = re.findall(r"\bsubproxy/[\w/]+(?:\.py)?", shown)
        self.assertGreater(len(named), 4)
        for each in named:
            self.assertTrue((ROOT / each).exists(), each)
