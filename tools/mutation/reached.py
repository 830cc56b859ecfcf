"""
Which lines each unit test reaches, and how long it takes: recorded once for the same files.

What runs while modules are imported belongs to no test, and is kept apart: a change of it shows
only in a process that imports the module anew.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import pickle
import sys
import tempfile
import time
import unittest
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

APART = frozenset({"integration", "fuzz"})
"""Folders of tests whose tests are no unit tests."""
EXAMPLES = 30
"""How many examples hypothesis tries, the same ones each time."""
IMPORTED = ""
"""The name of no test."""


@dataclass
class Reached:
    """
    What was recorded.

    C{seconds}: of the processor, for each test that passed. C{lines}: for each file and line, the
    numbers of the tests that reach it, by the order of C{seconds}; -1 while it was imported.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, dict[int, list[int]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def tests(self, path: Path, first: int, last: int) -> set[str]:
        """The tests that reach any of these lines."""
        names = list(self.seconds)
        found = self.lines.get(str(path), {})
        return {names[at] for row in range(first, last + 1) for at in found.get(row, ()) if at >= 0}

    def of_module(self, path: Path) -> set[str]:
        """The tests that reach any line of it."""
        rows = self.lines.get(str(path), {})
        return self.tests(path, min(rows), max(rows)) if rows else set()

    def imported(self, path: Path, first: int, last: int) -> bool:
        """Whether any of these lines runs while the module is imported."""
        found = self.lines.get(str(path), {})
        return any(-1 in found.get(row, ()) for row in range(first, last + 1))


def unit_modules(root: Path) -> list[str]:
    """The modules of the unit tests."""
    files = sorted((root / "tests").rglob("test_*.py"))
    parts = [file.relative_to(root).with_suffix("").parts for file in files]
    return [".".join(each) for each in parts if each[1] not in APART]


def cases(modules: Iterable[str]) -> dict[str, unittest.TestCase]:
    """
    The tests of these modules, by their names: a module that holds it, its class, its method.

    Hypothesis makes the class of a state machine's test, and names it after no module of ours.
    """
    found: dict[str, unittest.TestCase] = {}

    def take(suite: Any, module: str) -> None:
        if isinstance(suite, unittest.TestCase):
            name = suite.id()
            if not name.startswith("tests."):
                *_, machine, _, method = name.split(".")
                name = f"{module}.{machine}.{method}"
            found.setdefault(name, suite)
        else:
            for each in suite:
                take(each, module)

    for module in modules:
        take(unittest.defaultTestLoader.loadTestsFromName(module), module)
    return found


def settle() -> None:
    """The same examples each time, and few; to be called before tests are imported."""
    from hypothesis import Phase, settings

    import tests

    assert tests.__file__
    settings.register_profile(
        "mutation",
        settings.get_profile("subproxy"),
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        database=None,
        derandomize=True,
    )
    settings.load_profile("mutation")


def passes(test: unittest.TestCase) -> bool:
    """Run it, in this process."""
    result = unittest.TestResult()
    unittest.TestSuite([test]).run(result)
    return result.wasSuccessful()


def record(root: Path, paths: list[Path], jobs: int, store: Path) -> Reached:
    """What tests reach of C{paths}: from C{store}, or by running them all."""
    modules = unit_modules(root)
    file = store / f"reached-{_digest(root, paths)}.json"
    if file.exists():
        read = json.loads(file.read_text())
        lines = {
            path: {int(row): tests for row, tests in rows.items()}
            for path, rows in read.pop("lines").items()
        }
        return Reached(lines=lines, **read)
    whole = joined(_at_once(root, paths, [modules[at::jobs] for at in range(jobs)], store))
    file.write_text(json.dumps(asdict(whole)))
    return whole


def _at_once(root: Path, paths: list[Path], parts: list[list[str]], store: Path) -> list[Reached]:
    """What each part reaches, each run in a process of its own."""
    store.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("fork")
    running = []
    for at, modules in enumerate(parts):
        came = store / f"part-{at}.pickle"
        came.unlink(missing_ok=True)
        process = context.Process(target=_run, args=(root, paths, modules, came))
        process.start()
        running.append((process, came))
    for process, came in running:
        process.join()
        if not came.exists():
            log = came.with_suffix(".log").read_text().splitlines()
            raise RuntimeError(f"{log[-1]} ended the process that ran it: {process.exitcode}")
    return [pickle.loads(came.read_bytes()) for _, came in running]


def joined(parts: list[Reached]) -> Reached:
    """One of all. A case that several modules import is one test, which more than one has run."""
    whole = Reached()
    lines: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
    for part in parts:
        whole.seconds = part.seconds | whole.seconds
        whole.failed += part.failed
    numbers = {name: at for at, name in enumerate(whole.seconds)}
    for part in parts:
        names = [numbers[name] for name in part.seconds]
        for path, rows in part.lines.items():
            for row, tests in rows.items():
                lines[path][row] |= {at if at < 0 else names[at] for at in tests}
    whole.lines = {
        path: {row: sorted(tests) for row, tests in rows.items()} for path, rows in lines.items()
    }
    return whole


def _run(root: Path, paths: list[Path], modules: list[str], came: Path) -> None:
    """Run them in this process, and count the lines of each; C{came} gets what was found."""
    import coverage

    os.chdir(tempfile.mkdtemp(prefix="mutation-"))
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115  # till the end
    include = [str(root / path) for path in paths]
    counter = coverage.Coverage(data_file=None, config_file=False, include=include, messages=False)
    counter.start()
    settle()
    reached = Reached()
    log = came.with_suffix(".log").open("w", buffering=1)
    for name, test in cases(modules).items():
        log.write(f"{name}\n")
        counter.switch_context(name)
        began = time.process_time()
        good = passes(test)
        took = time.process_time() - began
        counter.switch_context(IMPORTED)
        if good:
            reached.seconds[name] = round(took, 4)
        else:
            reached.failed.append(name)
    counter.stop()
    data = counter.get_data()
    numbers = {name: at for at, name in enumerate(reached.seconds)}
    numbers[IMPORTED] = -1
    for path in paths:
        rows = data.contexts_by_lineno(str(root / path))
        reached.lines[str(path)] = {
            row: [numbers[name] for name in names if name in numbers] for row, names in rows.items()
        }
    came.write_bytes(pickle.dumps(reached))
    log.close()


def _digest(root: Path, paths: list[Path]) -> str:
    """Of all files that tests may read, and of what is asked."""
    digest = hashlib.sha256(repr((paths, EXAMPLES, sys.version)).encode())
    for folder in ("subproxy", "guest", "tests"):
        for file in sorted((root / folder).rglob("*.py")):
            if APART.intersection(file.relative_to(root).parts):
                continue
            digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
    return digest.hexdigest()[:16]
