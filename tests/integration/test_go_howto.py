"""docs/howto/go.md, as a reader types it: every block, in order."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.golang import MODULE, environment, go
from tests.integration.harness import World, free_port, wait_until
from tests.integration.test_tutorial import run_readme
from tests.rigs.paths import ROOT

PAGE = ROOT / "docs" / "howto" / "go.md"
GO = re.compile(r"^```go\n(.*?)^```$", re.M | re.S)


class GoHowToTests(SynchronousTestCase):
    timeout = 240

    def test_the_page(self) -> None:
        """The program is built as the page says, subscribes, and answers what the page shows."""
        command = go()
        world = World()
        self.addCleanup(world.close)
        world.start_proxy("--access-log=none")
        self.port = free_port()
        folder = world.folder / "blog"
        folder.mkdir()
        text = PAGE.read_text()
        program, *snippets = GO.findall(text)
        (folder / "main.go").write_text(program)
        for snippet in snippets:
            self.assertIn(snippet.strip(), self.used(), "a snippet that no test compiles")
        tool = run_readme()
        steps = [step for block in tool.BLOCK.finditer(text) for step in tool.steps(block["text"])]
        self.assertEqual(len(steps), 10)
        for typed, expected in steps:
            self.type(world, folder, command, typed, expected)

    def type(
        self, world: World, folder: Path, command: str, typed: str, expected: list[str]
    ) -> None:
        """One command of the page, and what it must print."""
        for shown, real in (
            ("../subproxy/guests/go", str(MODULE)),
            ("/tmp/vm.sock", str(world.vsock)),
            (":8888/", f":{world.port}/"),
            ("/tmp/subproxy-guest", str(world.folder / "subproxy-guest")),
            ("python3 -m http.server", f"{sys.executable} -m http.server"),
            ("127.0.0.1:3000", f"127.0.0.1:{self.port}"),
            ("127.0.0.1 3000", f"127.0.0.1 {self.port}"),
        ):
            typed = typed.replace(shown, real)
        variables = environment(PATH=f"{Path(command).parent}:/usr/bin:/bin")
        if typed.endswith(" &"):
            start = ["sh", "-c", f"cd {folder}; exec env {typed.removesuffix(' &')}"]
            process = world.start("in-go", start)
            wait_until(lambda: expected[0].lstrip(".") in process.output, "it is registered")
            return
        done = subprocess.run(
            ["sh", "-ec", typed], cwd=folder, env=variables, capture_output=True, text=True,
            timeout=200, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, 0, typed + done.stdout + done.stderr)
        if expected:
            for line in expected:
                if line != "...":
                    self.assertIn(line, done.stdout, typed)

    @staticmethod
    def used() -> str:
        """What is compiled by other tests."""
        return (MODULE / "internal" / "battery" / "main.go").read_text()
