"""docs/howto/flask.md, django.md and fastapi.md, as a reader types them: every block, in order."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.harness import ROOT, free_port

FENCE = re.compile(r"^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
FILE = re.compile(r"`(?P<name>[\w/]+\.py)`")


def run_readme() -> Any:
    """The module tools/run_readme.py."""
    spec = importlib.util.spec_from_file_location("run_readme", ROOT / "tools" / "run_readme.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ApplicationPageTests(SynchronousTestCase):
    def follow(self, name: str) -> None:
        """Do what the blocks of a page say; a block of Python goes to the file named before it."""
        text = (ROOT / "docs" / "howto" / name).read_text()
        tool = run_readme()
        with TemporaryDirectory(prefix="subproxy-howto-") as folder:
            runner = tool.Runner(Path(folder))
            runner.environment["PYTHONPATH"] = str(ROOT)
            port, socket = str(free_port()), f"{folder}/cid10.sock"
            try:
                for block in FENCE.finditer(text):
                    if block["kind"] == "python":
                        name = FILE.findall(text[: block.start()])[-1]
                        with (Path(folder) / name).open("a") as file:
                            file.write(block["text"])
                        continue
                    self.assertEqual(block["kind"], "console")
                    here = block["text"].replace("8888", port).replace("/tmp/cid10.sock", socket)
                    for command, expected in tool.steps(here):
                        self.assertIsNone(runner.run(command, expected), command)
            finally:
                runner.close()

    def test_flask(self) -> None:
        self.follow("flask.md")

    def test_django(self) -> None:
        self.follow("django.md")

    def test_fastapi(self) -> None:
        self.follow("fastapi.md")
