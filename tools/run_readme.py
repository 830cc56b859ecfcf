"""
Run the shell blocks of README.md, as written, and compare what they print.

    python tools/run_readme.py [--python PYTHON]

A block of C{console} holds commands behind C{$ } and what they print. A line that ends in a
backslash goes on in the next; one that has C{<<'END'} goes on up to that word. A command that ends
in C{ &} runs in the background, and what it prints must appear within the deadline, as whole
lines, after a time stamp perhaps; other commands must print exactly their lines. C{...} in an
expected line stands for any text. Commands run one after the other in an empty folder, with
PYTHON's virtual environment first in the path: nothing is found that is not installed there. A
block behind C{<!-- run by TEST -->} is run by that test.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"(<!-- run by (?P<test>\S+) -->\n)?```console\n(?P<text>.*?)```", re.S)
DEADLINE = 60.0


def steps(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it should print."""
    found: list[tuple[str, list[str]]] = []
    word: str | None = None
    for line in text.splitlines():
        if word is not None:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
            word = None if line == word else word
        elif line.startswith("$ "):
            found.append((line[2:], []))
            document = re.search(r"<<'(\w+)'$", line)
            word = document[1] if document else None
        elif found and found[-1][0].endswith("\\") and not found[-1][1]:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif found:
            found[-1][1].append(line)
        else:
            raise SystemExit(f"a block begins with output: {line}")
    return found


def matches(expected: str, line: str) -> bool:
    """Whether C{line} is what was expected, or ends with it behind a time stamp."""
    pattern = ".*".join(re.escape(part) for part in expected.split("..."))
    return re.fullmatch(rf"(\S+ \[[^]]*\] )?{pattern}", line) is not None


def missing(expected: list[str], output: str) -> list[str]:
    """The expected lines that have not been printed."""
    lines = output.splitlines()
    return [each for each in expected if not any(matches(each, line) for line in lines)]


class Runner:
    """Runs steps in one folder."""

    def __init__(self, folder: Path, python: str = sys.executable) -> None:
        self.folder = folder
        self.background: list[subprocess.Popen[bytes]] = []
        binaries = Path(os.path.abspath(python)).parent
        self.environment = dict(os.environ, PATH=f"{binaries}:{os.environ['PATH']}")
        self.environment.update(PYTHONUNBUFFERED="1", no_proxy="*")
        self.environment.pop("PYTHONPATH", None)

    def run(self, command: str, expected: list[str]) -> str | None:
        """Run one command; what is wrong, or None."""
        print(f"$ {command}", flush=True)
        if command.endswith(" &"):
            return self._start(command[:-2], expected)
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        printed = done.stdout.splitlines()
        wrong = len(printed) != len(expected) or missing(expected, done.stdout)
        if done.returncode or (expected and wrong):
            return f"status {done.returncode}, printed:\n{done.stdout}"
        return None

    def _start(self, command: str, expected: list[str]) -> str | None:
        log = self.folder / f"background{len(self.background)}.log"
        with log.open("wb") as output:
            self.background.append(
                subprocess.Popen(
                    ["bash", "-c", f"exec {command}"],
                    cwd=self.folder,
                    env=self.environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )
        end = time.monotonic() + DEADLINE
        while missing(expected, log.read_text()):
            if time.monotonic() > end or self.background[-1].poll() is not None:
                return f"printed:\n{log.read_text()}"
            time.sleep(0.05)
        return None

    def close(self) -> None:
        """End what runs in the background."""
        for process in reversed(self.background):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(15)


def main() -> None:
    """Run all blocks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="of the environment to run in")
    python = parser.parse_args().python
    blocks = list(BLOCK.finditer((ROOT / "README.md").read_text()))
    count = 0
    for block in blocks:
        if block["test"]:
            continue
        with tempfile.TemporaryDirectory() as name:
            runner = Runner(Path(name), python)
            try:
                for command, expected in steps(block["text"]):
                    problem = runner.run(command, expected)
                    count += 1
                    if problem is not None:
                        raise SystemExit(f"README: {command}\n{problem}")
            finally:
                runner.close()
    print(f"{count} commands of the README did what it says")
    if not count:
        raise SystemExit("the README has no commands")


if __name__ == "__main__":
    main()
