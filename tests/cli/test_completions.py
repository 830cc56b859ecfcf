"""The completions of shells that are in the package are those of the parser."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from subproxy.cli.main import COMPLETIONS
from tools.completions import FOLDER, made

COMPLETE = """
source {script}
COMP_WORDS=({words})
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_shtab_subproxy
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


class CompletionTests(SynchronousTestCase):
    def test_they_are_made_of_the_parser(self) -> None:
        for shell, name in COMPLETIONS.items():
            self.assertEqual(
                (FOLDER / name).read_text(),
                made(shell),
                f"{sys.executable} -m tools.completions",
            )

    def complete(self, words: str) -> list[str]:
        script = COMPLETE.format(script=FOLDER / COMPLETIONS["bash"], words=words)
        done = subprocess.run(
            ["bash", "-c", script], capture_output=True, text=True, check=True, cwd=self.folder
        )
        return done.stdout.split()

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "a-file.toml").write_text("")

    def test_bash(self) -> None:
        """Commands, options, choices, files."""
        self.assertEqual(self.complete("subproxy ex"), ["explain"])
        self.assertEqual(self.complete("subproxy logs --fo"), ["--follow"])
        self.assertEqual(self.complete("subproxy completion ''"), ["bash", "zsh"])
        self.assertEqual(self.complete("subproxy check a-"), ["a-file.toml"])

    def test_zsh(self) -> None:
        """It is good zsh."""
        zsh = shutil.which("zsh")
        if zsh is None:
            raise SkipTest("no zsh: .ci/install-tools, or apt install zsh")
        done = subprocess.run(
            [zsh, "-n", str(FOLDER / COMPLETIONS["zsh"])],
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))
