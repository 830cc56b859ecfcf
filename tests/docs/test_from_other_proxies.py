"""docs/howto/from-other-proxies.md names what there is."""

from __future__ import annotations

import argparse
import re

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli.main import parser
from subproxy.config.configuration import parse_configuration
from subproxy.config.options import Options
from subproxy.config.site_keys import BY_NAME
from tests.rigs.paths import ROOT

PAGE = ROOT / "docs" / "howto" / "from-other-proxies.md"
OF_FILES = {"users", "client-ca"}
"""Keys that name a file, which is read."""


class FromOtherProxiesTests(SynchronousTestCase):
    def setUp(self) -> None:
        text = PAGE.read_text(encoding="utf-8")
        #: What stands in code in the last cells of the tables, by rows.
        self.rows = [
            re.findall(r"`([^`]+)`", cell) for cell in re.findall(r"^\|.*\| (.*) \|$", text, re.M)
        ]
        self.here = [code for row in self.rows for code in row]

    def test_keys(self) -> None:
        """What is said of a site can be said of one."""
        told = set()
        for row in self.rows:
            values = dict(code.split(" = ", 1) for code in row if re.match(r"[a-z-]+ = ", code))
            told |= values.keys()
            lines = [f"{key} = {value}" for key, value in values.items() if key not in OF_FILES]
            site = "\n".join(["[[site]]", 'hosts = "blog.example"', *lines])
            self.assertEqual(len(parse_configuration(site).sites), 1)
        self.assertGreater(len(told), 12)
        self.assertEqual(told - set(BY_NAME), set())

    def test_options(self) -> None:
        """Of the proxy, but for those that say which command's they are."""
        there = {option.rstrip("=") for option in Options().longOpt} | {"path", "host", "status"}
        said = re.findall(r"--([a-z0-9-]+)", " ".join(self.here))
        self.assertGreater(len(said), 12)
        self.assertEqual(set(said) - there, set())

    def test_commands(self) -> None:
        actions = parser()._actions
        (commands,) = (each for each in actions if isinstance(each, argparse._SubParsersAction))
        said = {code.split()[1] for code in self.here if code.startswith("subproxy ")}
        self.assertGreater(len(said), 6)
        self.assertEqual(said - set(commands.choices), set())
