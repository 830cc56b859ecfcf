"""docs/howto/node.md, as a reader types it."""

from __future__ import annotations

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, free_port
from tests.integration.test_sidecar import need_node
from tests.integration.test_tutorial import run_readme

PAGE = ROOT / "docs" / "howto" / "node.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.M | re.S)


class NodePageTests(SynchronousTestCase):
    def test_what_is_typed(self) -> None:
        need_node()
        tool = run_readme()
        with TemporaryDirectory(prefix="subproxy-node-") as name:
            runner = tool.Runner(Path(name))
            runner.environment["PYTHONPATH"] = str(ROOT)
            self.addCleanup(runner.close)
            (block,) = BLOCK.findall(PAGE.read_text())
            for old in ("8888", "3000"):
                block = block.replace(old, str(free_port()))
            block = block.replace("/tmp/node.sock", f"{name}/node.sock")
            try:
                for command, expected in tool.steps(block):
                    self.assertIsNone(runner.run(command, expected), command)
            finally:
                runner.close()
