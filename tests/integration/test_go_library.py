"""guests/go: its own tests, and all vectors of the protocol, played by it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.golang import MODULE, go, run
from tests.rigs.vector_runner import VECTORS

PLAYED = ("TestFrameVectors", "TestMessageVectors", "TestSessionVectors")


class GoLibraryTests(SynchronousTestCase):
    timeout = 300

    def play(self, *arguments: str, **environment: str) -> tuple[int, list[str], list[str]]:
        """The exit status of C{go test}, which vectors have passed, and which tests have failed."""
        done = run("test", "-json", "-count=1", *arguments, "./...", **environment)
        passed, failed = [], []
        for line in done.stdout.splitlines():
            event = json.loads(line)
            name = event.get("Test", "")
            if event["Action"] == "pass" and "/" in name and name.startswith(PLAYED):
                if name.count("/") > 1 or name.startswith("TestMessageVectors"):
                    passed.append(name)
            elif event["Action"] == "fail" and name:
                failed.append(name)
        self.assertTrue(passed or failed, done.stdout + done.stderr)
        return done.returncode, passed, failed

    def test_style(self) -> None:
        """C{gofmt} changes nothing, C{go vet} finds nothing, and no library is needed but Go's."""
        gofmt = Path(run("env", "GOROOT").stdout.strip()) / "bin" / "gofmt"
        formatted = subprocess.run(
            [str(gofmt), "-l", "."], cwd=MODULE, capture_output=True, text=True, check=True
        )
        self.assertEqual(formatted.stdout, "")
        vetted = run("vet", "./...")
        self.assertEqual(vetted.returncode, 0, vetted.stderr)
        self.assertNotIn("require", (MODULE / "go.mod").read_text())

    def test_no_file_is_two_things(self) -> None:
        """As in Python: at most 500 lines."""
        go()
        long = {
            path.name: count
            for path in MODULE.rglob("*.go")
            if (count := len(path.read_text().splitlines())) > 500
        }
        self.assertEqual(long, {})

    def test_all_hold(self) -> None:
        """Each vector is played: frames and sessions whole and byte by byte."""
        status, passed, failed = self.play()
        self.assertEqual((status, failed), (0, []))
        frames, messages, sessions, data = (
            {key: len(cases) for key, cases in self.load(name).items() if key != "about"}
            for name in ("frames", "messages", "sessions", "data")
        )
        expected = 2 * sum(frames.values()) + sum(messages.values())
        expected += 2 * (sessions["sessions"] + data["sessions"])
        self.assertEqual(len(passed), expected)

    def test_it_can_fail(self) -> None:
        """One case in each file that says something else."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        wrong: dict[str, Any] = {name: self.load(name) for name in self.files()}
        wrong["frames"]["valid"][0]["value"] = ["something", "else"]
        wrong["messages"]["invalid"][0]["error"] = "state"
        wrong["sessions"]["sessions"][0]["steps"][-1] = ["expect", ["pong", "1"]]
        wrong["data"]["sessions"][0]["steps"].append(["dialled", 2])
        for name, found in wrong.items():
            (folder / f"{name}.json").write_text(json.dumps(found))
        status, _, failed = self.play("-run=Vectors", SUBPROXY_VECTORS=str(folder))
        self.assertEqual(status, 1)
        names = {name.rpartition("/")[2] for name in failed if "/" in name}
        expected = {
            wrong["frames"]["valid"][0]["name"],
            wrong["messages"]["invalid"][0]["name"],
            wrong["sessions"]["sessions"][0]["name"],
            wrong["data"]["sessions"][0]["name"],
        }
        self.assertEqual(names, {name.replace(" ", "_") for name in expected})

    @staticmethod
    def files() -> list[str]:
        return [path.stem for path in sorted(VECTORS.glob("*.json"))]

    @staticmethod
    def load(name: str) -> Any:
        """One of the files of vectors."""
        return json.loads((VECTORS / f"{name}.json").read_text())
