"""The vectors, played by tests/vectors/go: a reader in Go, written from docs/protocol.md."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

VECTORS = Path(__file__).parents[1] / "vectors"


@cache
def player() -> Path:
    """The program, built once; it goes when this process ends."""
    go = shutil.which("go")
    if go is None:
        raise SkipTest("no go: it is what tests/vectors/go is written in")
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    built = folder / "player"
    subprocess.run(
        [go, "build", "-o", str(built), "."],
        cwd=VECTORS / "go",
        env=os.environ | {"GOTOOLCHAIN": "local", "GOPROXY": "off", "GOFLAGS": "-p=1"},
        check=True,
        timeout=300,
    )
    return built


class GoTests(SynchronousTestCase):
    def play(self, folder: Path) -> tuple[int, int, int]:
        """Its exit status, and how many it has played, and how many of these failed."""
        done = subprocess.run(
            [str(player()), str(folder)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        found = re.search(r"(\d+) played, (\d+) failed", done.stdout)
        self.assertIsNotNone(found, done.stdout + done.stderr)
        assert found is not None
        return done.returncode, int(found[1]), int(found[2])

    def test_all_hold(self) -> None:
        """Frames whole and byte by byte, decoded and encoded; messages of both senders."""
        frames, messages = (
            {key: len(cases) for key, cases in self.load(name).items() if key != "about"}
            for name in ("frames", "messages")
        )
        expected = 2 * (2 * frames["valid"] + frames["invalid"] + frames["incomplete"])
        expected += 2 * messages["valid"] + messages["ignored"] + messages["invalid"]
        self.assertEqual(self.play(VECTORS), (0, expected, 0))

    def test_it_can_fail(self) -> None:
        """One case in each file that says something else."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name in ("frames", "messages"):
            found = self.load(name)
            if name == "frames":
                found["valid"][0]["value"] = ["something", "else"]
            else:
                found["invalid"][0]["error"] = "state"
            (folder / f"{name}.json").write_text(json.dumps(found))
        status, _, failed = self.play(folder)
        # A frame twice decoded and twice encoded, and a message.
        self.assertEqual((status, failed), (1, 5))

    @staticmethod
    def load(name: str) -> dict[str, list[dict[str, object]]]:
        """One of the files of vectors."""
        found: dict[str, list[dict[str, object]]] = json.loads(
            (VECTORS / f"{name}.json").read_text()
        )
        return found
