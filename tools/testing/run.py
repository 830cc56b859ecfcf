"""Run groups of tests, and tell what came of them, whatever ends them.

    python -m tools.testing.run unit integration

Prints what failed at once, a line of progress now and then, and a summary at the end, with all
failures again and the ten slowest tests. Status 0 if every test ran and none failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from coverage import Coverage

from tools.testing.groups import PYTEST, Phase, Shard, phases
from tools.testing.measured import Combining
from tools.testing.records import EXAMPLES, FAILED, VARIABLE, Reader, Run
from tools.testing.summary import Result, failure, summary

ROOT = Path(__file__).resolve().parent.parent.parent
GROUPS = ("unit", "integration", "machines", "nightly")
PROGRESS = 20.0
"""Seconds between lines of progress."""
GRACE = 15.0
"""Seconds that a process has to say where it was, when its time is over."""
TAIL = 80
"""Lines that are shown of what a shard printed that did not end well."""


def command(shard: Shard, folder: Path) -> list[str]:
    """How a shard is run, that keeps in C{folder} what it needs."""
    if shard.runner == PYTEST:
        files = [f"{module.replace('.', '/')}.py" for module in shard.modules]
        # Asserts as they are: to rewrite those of 500 modules takes 10 s, and cases use their own.
        options = ["-q", "--assert=plain", "-p", "tools.testing.pytest_records"]
        run = ["pytest", *options, *files]
    else:
        run = ["twisted.trial", "--random=0", "--reporter=records", *shard.modules]
    if shard.measured and shard.runner == PYTEST:
        return [sys.executable, "-m", "coverage", "run", "-m", *run]
    if shard.measured:
        settings = f"--rcfile={processes_settings(folder)}"
        return [sys.executable, "-m", "coverage", "run", settings, "-m", *run]
    return [sys.executable, "-m", *run]


def processes_settings(folder: Path) -> Path:
    """
    The settings of coverage.py for tests that start many processes, in a file in C{folder}.

    Those of pyproject.toml, but each process measures what it runs, and does not look for all that
    it has not run: that would take it as long as everything else that measuring costs. The unit
    tests, which are one process, look for that.
    """
    measuring = Coverage(config_file=str(ROOT / "pyproject.toml"))
    included = [f"{ROOT / str(name)}/*" for name in _listed(measuring, "source")]
    lines = ["[run]", f"branch = {measuring.get_option('run:branch')}", "parallel = true"]
    for name, values in (
        ("patch", _listed(measuring, "patch")),
        ("plugins", _listed(measuring, "plugins")),
        ("include", included),
    ):
        lines += [f"{name} =", *(f"  {value}" for value in values)]
    file = folder / "coverage.ini"
    file.write_text("\n".join([*lines, ""]))
    return file


def _listed(measuring: Coverage, name: str) -> list[str]:
    found = measuring.get_option(f"run:{name}")
    assert isinstance(found, list), name
    return [str(value) for value in found]


def _tell(text: str) -> None:
    print(text, flush=True)


class Running:
    """One shard in a process of its own."""

    def __init__(self, shard: Shard, folder: Path, tell: Callable[[str], object] = _tell) -> None:
        self.shard = shard
        self.tell = tell
        self.records = folder / "records"
        self.log = folder / "log"
        self.records.unlink(missing_ok=True)
        self._reader = Reader(self.records)
        self.began = time.monotonic()
        self.cut = False
        self._told = 0
        paths = [str(ROOT), str(ROOT / "tools/testing/plugins"), os.environ.get("PYTHONPATH", "")]
        environment = dict(
            os.environ,
            PYTHONPATH=":".join(filter(None, paths)),
            PYTHONFAULTHANDLER="1",
            **{VARIABLE: str(self.records), EXAMPLES: str(shard.examples)},
        )
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                command(shard, folder),
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> Run:
        """What there is so far; what has failed since the last look is printed."""
        run = self._reader.look()
        for record in run.records[self._told :]:
            if record.outcome == FAILED:
                self.tell(failure(self.shard, record))
        self._told = len(run.records)
        return run

    @property
    def seen(self) -> Run:
        """What there was at the last look."""
        return self._reader.run

    def wait(self) -> Result:
        """Wait for its end, or end it at its limit."""
        while self.child.poll() is None:
            self.look()
            if time.monotonic() - self.began > self.shard.limit:
                self.cut = True
                self.end()
            time.sleep(0.2)
        run = self.look()
        result = Result(
            self.shard, run, self.child.returncode, time.monotonic() - self.began, self.cut
        )
        if result.problem is not None:
            tail = self.log.read_text(errors="replace").splitlines()[-TAIL:]
            return replace(result, tail="\n".join(tail))
        return result

    def end(self) -> None:
        """Let it say where each of its threads is, and end it and what it has started."""
        self.child.send_signal(signal.SIGABRT)
        try:
            self.child.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self.child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.child.wait()


class Lane(threading.Thread):
    """Shards that run one after the other: its own, and then what is left in C{queue}."""

    def __init__(self, shards: tuple[Shard, ...], queue: deque[Shard], folder: Path) -> None:
        super().__init__(daemon=True)
        self.shards = shards
        self.queue = queue
        self.folder = folder
        self.results: list[Result] = []
        self.current: Running | None = None
        self._lock = threading.Lock()
        self._stopped = False

    def _next(self) -> Iterator[Shard]:
        """What there is to run, as long as there is any."""
        yield from self.shards
        while True:
            try:
                yield self.queue.popleft()
            except IndexError:
                return

    def run(self) -> None:
        """Run them. One that could not be run has run no test, and others are run behind it."""
        for index, shard in enumerate(self._next()):
            folder = self.folder / str(index)
            try:
                folder.mkdir(parents=True)
                with self._lock:
                    if self._stopped:
                        break
                    current = self.current = Running(shard, folder)
                result = current.wait()
            except Exception:
                result = Result(shard, Run(), 1, 0.0, tail=traceback.format_exc())
            if not self._stopped:
                self.results.append(result)
        self.current = None

    def stop(self) -> None:
        """End what runs, of which there is no result, and begin nothing more."""
        with self._lock:
            self._stopped = True
            current = self.current
        if current is not None:
            current.end()
        self.join()

    @property
    def progress(self) -> str | None:
        """Where it is."""
        current = self.current
        if current is None:
            return None
        run = current.seen
        now = f", in {run.running.rpartition('.')[2]}" if run.running else ""
        return f"{current.shard.name}: {len(run.records)} tests{now}"


def run_phase(phase: Phase, folder: Path) -> tuple[list[Result], bool]:
    """
    Run its lanes side by side.

    @return: what came of the shards that ran to their end, and whether there was a Ctrl-C.
    """
    queue = deque(phase.queue)
    lanes = [Lane(shards, queue, folder / str(index)) for index, shards in enumerate(phase.lanes)]
    began = time.monotonic()
    for lane in lanes:
        lane.start()
    told = began
    interrupted = False
    try:
        while any(lane.is_alive() for lane in lanes):
            time.sleep(0.2)
            if time.monotonic() - told >= PROGRESS:
                told = time.monotonic()
                where = "; ".join(filter(None, (lane.progress for lane in lanes)))
                print(f"  {told - began:4.0f} s  {where}", flush=True)
    except KeyboardInterrupt:
        interrupted = True
        for lane in lanes:
            lane.stop()
    return [result for lane in lanes for result in lane.results], interrupted


def main() -> None:
    """Run what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="+", choices=GROUPS)
    arguments = parser.parse_args()
    results: list[Result] = []
    interrupted = False
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wanted = phases(ROOT, frozenset(arguments.groups))
    folder = Path(tempfile.mkdtemp(prefix="subproxy-tests-"))
    combining: list[Combining] = []
    for number, phase in enumerate(wanted, 1):
        print(f"[{number}/{len(wanted)}] {phase.name}: about {phase.about}", flush=True)
        more, interrupted = run_phase(phase, folder / str(number))
        results += more
        if interrupted:
            break
        if number < len(wanted):
            before = combining[-1] if combining else None
            combining.append(Combining(ROOT, f"{folder.name}-{number}", before))
    combined = False not in [each.wait() for each in combining]
    print(summary(results))
    if not combined:
        print("What was measured of branches could not be put together.")
    if interrupted:
        print(f"Interrupted. What ran until then is in {folder}")
        sys.exit(130)
    if not results or not combined or not all(result.good for result in results):
        print(f"The whole output is in {folder}")
        sys.exit(1)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
