"""A file of what a run of tests has found, written test by test.

Whoever ends such a run, and however, all that was found before is in there: a JSON object a line,
C{{"start": test}} when a test begins, and a C{Record} when it ends.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

VARIABLE = "SUBPROXY_TEST_RECORDS"
"""The variable of the environment that names the file."""

EXAMPLES = "SUBPROXY_TEST_EXAMPLES"
"""The variable that has the part of the examples, a divisor: L{tests.rigs.examples}."""

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True)
class Record:
    """
    One test that has ended. Its text is the traceback, or why it was skipped.

    C{cpu}: the seconds of a processor that it took, with those of its processes that have ended.
    """

    test: str
    outcome: str
    seconds: float
    text: str = ""
    cpu: float = 0.0


@dataclass
class Run:
    """What a file holds."""

    records: list[Record] = field(default_factory=list)
    running: str | None = None
    """The test that has begun and not ended."""

    def count(self, outcome: str) -> int:
        """How many tests have ended so."""
        return sum(record.outcome == outcome for record in self.records)


class Recorder:
    """Writes the file that the environment names, or none."""

    def __init__(self) -> None:
        path = os.environ.get(VARIABLE)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT) if path else None
        self._began = 0.0
        self._cpu = 0.0
        self._outcome = PASSED
        self._texts: list[str] = []

    def start(self, test: str) -> None:
        """A test begins."""
        self._began, self._outcome, self._texts = time.monotonic(), PASSED, []
        self._cpu = _cpu()
        self._write({"start": test})

    def found(self, outcome: str, text: str) -> None:
        """What the test that runs has come to; it stays failed when it has failed."""
        if self._outcome != FAILED:
            self._outcome = outcome
        self._texts.append(text)

    def stop(self, test: str) -> None:
        """The test ends."""
        seconds = round(time.monotonic() - self._began, 3)
        cpu = round(_cpu() - self._cpu, 3)
        self._write(asdict(Record(test, self._outcome, seconds, "\n".join(self._texts), cpu)))

    def _write(self, line: dict[str, object]) -> None:
        if self._file is not None:
            os.write(self._file, (json.dumps(line) + "\n").encode())


def _cpu() -> float:
    """What this process has taken so far, with its children that were waited for."""
    return sum(os.times()[:4])


class Reader:
    """
    Reads a file that is being written, each line once.

    Whoever runs tests looks at it five times a second, and it has ten thousand lines at its end.

    @ivar run: what was read so far.
    """

    def __init__(self, path: Path) -> None:
        self.run = Run()
        self._path = path
        self._at = 0

    def look(self) -> Run:
        """Read on: what the file holds so far. A last line that is not whole is left out."""
        if not self._path.exists():
            return self.run
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole, newline, _ = file.read().rpartition(b"\n")
        self._at += len(whole) + len(newline)
        for line in whole.splitlines():
            entry = json.loads(line)
            if "start" in entry:
                self.run.running = entry["start"]
            else:
                self.run.records.append(Record(**entry))
                self.run.running = None
        return self.run
