"""
Mutants tried against their tests, each in a forked process: the first test that fails ends it.

A process has all tests imported already, and forks; a mutant that shows only in a process which
imports its module anew is tried in one that has imported nothing yet.
"""

from __future__ import annotations

import ast
import contextlib
import gc
import importlib
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from tools.mutation.change import Finder, Functions, Key, module_name
from tools.mutation.mutants import Mutant
from tools.mutation.reached import cases, passes, settle

SLACK = 10
"""How many times the time of the processor that a test takes it may take with a mutant."""
LEAST = 2.0
"""Seconds of the processor that each test may take."""
WAIT = 60
"""Seconds by the clock in which a mutant's tests wait for ever, beside those they may take."""
MEMORY = 4 << 30
"""Bytes of memory a process may ask for."""


@dataclass(frozen=True)
class Trial:
    """
    A mutant and the tests it is tried against, the likeliest first, with their seconds.

    C{codes}: what its functions are changed to; None if its module has to be imported anew.
    """

    mutant: Mutant
    tests: tuple[tuple[str, float], ...]
    source: str
    """Its module, as it is run."""
    codes: dict[Key, CodeType] | None


@dataclass(frozen=True)
class Verdict:
    """C{killer}: the test that failed, or what else ended the mutant; None if nothing did."""

    number: int
    killer: str | None


def judge(root: Path, trials: list[Trial], jobs: int) -> Iterator[Verdict]:
    """What becomes of each, in any order; C{number} is its place in C{trials}."""
    context = multiprocessing.get_context("fork")
    verdicts: Any = context.SimpleQueue()
    processes = [
        context.Process(target=_work, args=(root, trials, range(at, len(trials), jobs), verdicts))
        for at in range(jobs)
    ]
    for process in processes:
        process.start()
    left = len(trials)
    while left:
        verdict = verdicts.get()
        if verdict is None:
            raise RuntimeError("a process that tries mutants has failed")
        left -= 1
        yield verdict
    for process in processes:
        process.join()


def _work(root: Path, trials: list[Trial], numbers: range, verdicts: Any) -> None:
    try:
        os.chdir(tempfile.mkdtemp(prefix="mutation-"))
        _import_others({name.rsplit(".", 2)[0] for at in numbers for name, _ in trials[at].tests})
        sound: dict[str, bool] = {}
        for number in numbers:
            if trials[number].codes is None:
                verdicts.put(Verdict(number, _try_anew(root, trials[number], sound)))
        quick = [number for number in numbers if trials[number].codes is not None]
        if not quick:
            return
        settle()
        modules = {name.rsplit(".", 2)[0] for at in quick for name, _ in trials[at].tests}
        held = cases(sorted(modules))
        functions = Functions()
        gc.collect()
        gc.freeze()
        sound = {}
        likely: dict[Path, list[str]] = {}
        for number in quick:
            trial = trials[number]
            path = trial.mutant.path
            before = likely.setdefault(path, [])
            tests = sorted(trial.tests, key=lambda each: _place(before, each[0]))
            killer = _try(root, trial, tests, held, functions, sound)
            if killer in held:
                before[:] = [killer, *(each for each in before if each != killer)][:8]
            verdicts.put(Verdict(number, killer))
    except BaseException:
        verdicts.put(None)
        raise


def _import_others(modules: set[str]) -> None:
    """Import what these modules of tests import, but for what is ours: no mutant changes that."""
    told, tell = os.pipe()
    child = os.fork()
    if not child:
        settle()
        cases(sorted(modules))
        found = [name for name, module in sys.modules.items() if _foreign(name, module)]
        with os.fdopen(tell, "w") as writer:
            writer.write("\n".join(found))
        os._exit(0)
    os.close(tell)
    with os.fdopen(told) as reader:
        names = reader.read().split()
    os.waitpid(child, 0)
    for name in names:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def _foreign(name: str, module: ModuleType) -> bool:
    """Whether it is a file of others, and no plugin, which would import ours."""
    file = getattr(module, "__file__", None) or ""
    others = "site-packages" in file or file.startswith(sys.base_prefix)
    return others and "plugins" not in name and not name.endswith("internet.reactor")


def _place(before: list[str], name: str) -> int:
    """Those that have killed other mutants of the module go first, the last one before all."""
    return before.index(name) if name in before else len(before)


def _try(
    root: Path,
    trial: Trial,
    tests: list[tuple[str, float]],
    held: dict[str, Any],
    functions: Functions,
    sound: dict[str, bool],
) -> str | None:
    file, codes = root / trial.mutant.path, trial.codes
    assert codes is not None
    if not functions.holds(file, codes):
        raise RuntimeError(
            f"nobody holds the function; have files changed meanwhile? {trial.mutant.told}"
        )

    def change() -> None:
        functions.change(file, codes)

    return _killer(change, lambda: None, tests, held.__getitem__, sound)


def _try_anew(root: Path, trial: Trial, sound: dict[str, bool]) -> str | None:
    mutant = trial.mutant

    def change() -> None:
        settle()
        tree = mutated(mutant, trial.source)
        Finder(module_name(mutant.path), root / mutant.path, tree).install()

    def find(name: str) -> Any:
        return cases([name.rsplit(".", 2)[0]])[name]

    return _killer(change, settle, list(trial.tests), find, sound)


def _killer(
    change: Callable[[], None],
    no_change: Callable[[], None],
    tests: list[tuple[str, float]],
    find: Callable[[str], Any],
    sound: dict[str, bool],
) -> str | None:
    """The first that fails; but one that fails by itself in such a process kills nobody."""
    while True:
        tests = [each for each in tests if sound.get(each[0], True)]
        killer = _in_a_process(change, tests, find)
        alone = [each for each in tests if each[0] == killer]
        if killer is None or not alone or killer in sound:
            return killer
        sound[killer] = _in_a_process(no_change, alone, find) is None
        if sound[killer]:
            return killer


def mutated(mutant: Mutant, source: str) -> ast.Module:
    """Its tree."""
    from tools.mutation.mutants import mutants

    return next(tree for each, tree in mutants(mutant.path, source) if each == mutant)


def _in_a_process(
    change: Callable[[], None], tests: list[tuple[str, float]], find: Callable[[str], Any]
) -> str | None:
    """
    Run the tests in a process of their own until one fails.

    What a test may take is counted in time of the processor: on a busy machine a mutant that
    nothing notices must not die of the load. One that waits by the clock is tried three times,
    since whoever stops this process stops no clock.

    @return: the name of the one that failed, or a word in brackets; None if none did.
    """
    for _ in range(3):
        told, tell = os.pipe()
        child = os.fork()
        if not child:
            os.close(told)
            _child(change, tests, find, tell)
        os.close(tell)
        with os.fdopen(told) as reader:
            # Until it is over: what it has started may hold the pipe for longer.
            _, status = os.waitpid(child, 0)
            try:
                os.killpg(child, signal.SIGKILL)
            except ProcessLookupError:
                pass
            lines = reader.read().splitlines()
        if not status:
            return None
        if status != signal.SIGALRM:
            break
    if os.WIFSIGNALED(status):
        return "(time)" if status in (signal.SIGALRM, signal.SIGPROF) else f"(signal {status})"
    return lines[-1] if lines else "(not imported)"


def _child(
    change: Callable[[], None],
    tests: list[tuple[str, float]],
    find: Callable[[str], Any],
    tell: int,
) -> None:
    status = 1
    try:
        os.setpgid(0, 0)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, 30)
        change()
        for name, seconds in tests:
            os.write(tell, f"{name}\n".encode())
            allowed = seconds * SLACK + LEAST
            signal.setitimer(signal.ITIMER_PROF, allowed)
            signal.alarm(int(allowed * 4) + WAIT)
            if not passes(find(name)):
                break
        else:
            status = 0
    finally:
        os._exit(status)
