"""
A mutation score: C{python -m tools.mutation subproxy/wire subproxy/core --sample 400}.

Each mutant changes one operator, constant, condition or statement of one module. It is tried
against the unit tests that reach its line, those of its own module first, which are recorded once
for the same files: the first that fails ends it. Prints those that survive, then the score of each
path, with what it would be for all mutants (95 % confidence, Wilson) where only some were tried.
C{--again} takes such a report, and tries the survivors alone.
"""

from __future__ import annotations

import argparse
import ast
import math
import os
import random
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tools.mutation.change import changed_functions, importers
from tools.mutation.mutants import Mutant, mutants
from tools.mutation.reached import Reached, record
from tools.mutation.trial_of_mutants import Trial, judge

STORE = Path(".cache/mutation")


@dataclass(frozen=True)
class Choice:
    """Which tests a mutant is tried against: those that take C{budget} seconds, the nearest."""

    reached: Reached
    sources: dict[Path, str]
    budget: float

    def tests(self, mutant: Mutant, imported: bool) -> tuple[tuple[str, float], ...]:
        """
        Of its own module of tests, of one with its name, of its room, and then by seconds.

        What an import does is for all that reach the module or one that imports it, and for its own
        tests, which may look at a table and reach no line.
        """
        parts = mutant.path.with_suffix("").parts
        name = parts[-1].strip("_")
        room = ".".join(("tests", *parts[1:-1], ""))
        found = self.reached.tests(mutant.path, mutant.first, mutant.last)
        if imported:
            found |= self.reached.of_module(mutant.path)
            for other in importers(mutant.path, self.sources):
                found |= self.reached.of_module(other)
            own = f"{room}test_{name}.", f"tests.test_{'_'.join((*parts[1:-1], name))}."
            found |= {test for test in self.reached.seconds if test.startswith(own)}
        seconds = self.reached.seconds

        def distance(test: str) -> tuple[bool, bool, bool, float]:
            return (
                not test.startswith(f"{room}test_{name}."),
                f"_{name}." not in test,
                not test.startswith(room),
                seconds[test],
            )

        chosen, spent = [], 0.0
        for test in sorted(found, key=lambda each: (distance(each), each)):
            if chosen and spent + seconds[test] > self.budget:
                continue
            spent += seconds[test]
            chosen.append((test, seconds[test]))
        return tuple(chosen)


def wilson(killed: int, tried: int) -> tuple[float, float]:
    """The interval of a share, with 95 % confidence."""
    if not tried:
        return 0.0, 1.0
    z, share = 1.96, killed / tried
    middle = share + z * z / (2 * tried)
    spread = z * math.sqrt(share * (1 - share) / tried + z * z / (4 * tried * tried))
    return (middle - spread) / (1 + z * z / tried), (middle + spread) / (1 + z * z / tried)


def unnumbered(told: str) -> str:
    """What is told of a mutant, without its row: others may have come before it."""
    return re.sub(r":\d+:", ":", told, count=1)


def modules_of(paths: str) -> list[Path]:
    """The modules at these paths and below, which are told as C{PATH,PATH}."""
    return [
        module
        for path in map(Path, paths.split(","))
        for module in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
    ]


def score(killed: int, tried: int, whole: int) -> str:
    """One line of a score."""
    text = f"{killed} of {tried} killed, {100 * killed / max(tried, 1):.1f} %"
    if tried < whole:
        low, high = wilson(killed, tried)
        text += f" ({100 * low:.1f} to {100 * high:.1f} % of all {whole})"
    return text


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="+", help="modules, or folders: PATH,PATH is one score")
    parser.add_argument("--again", type=Path, help="what an earlier run printed")
    parser.add_argument("--sample", type=int, default=0, help="so many of each path; 0: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--budget", type=float, default=10.0, help="seconds of tests for each")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    root = Path.cwd()
    sys.path.insert(0, str(root))
    os.environ["PYTHONPATH"] = str(root)
    again = options.again and {unnumbered(line) for line in options.again.read_text().splitlines()}

    began = time.monotonic()
    modules = [module for paths in options.paths for module in modules_of(paths)]
    reached = record(root, modules, options.jobs, root / STORE)
    print(f"{len(reached.seconds)} tests, {sum(reached.seconds.values()):.0f} s", flush=True)
    for name in reached.failed:
        print(f"left out, since it fails here: {name}", flush=True)
    sources = {path: path.read_text() for path in modules}
    choice = Choice(reached, sources, options.budget)

    trials: list[Trial] = []
    group: list[int] = []
    sizes = []
    for at, paths in enumerate(options.paths):
        found = [
            (mutant.path, mutant.number)
            for module in modules_of(paths)
            for mutant, _ in mutants(module, sources[module])
            if again is None or unnumbered(mutant.told) in again
        ]
        sizes.append(len(found))
        taken = set(found)
        if options.sample and options.sample < len(found):
            taken = set(random.Random(options.seed).sample(found, options.sample))
        for module in sorted({module for module, _ in taken}):
            trials += _trials(root, module, sources[module], taken, choice)
        group += [at] * (len(trials) - len(group))

    anew = sum(trial.codes is None for trial in trials)
    print(f"{len(trials)} mutants, {anew} of them where modules are imported anew", flush=True)
    alive, unreached = [0] * len(sizes), 0
    for verdict in judge(root, trials, options.jobs):
        if verdict.killer is None:
            trial = trials[verdict.number]
            alive[group[verdict.number]] += 1
            unreached += not trial.tests
            print(trial.mutant.told, flush=True)
    for at, paths in enumerate(options.paths):
        tried = group.count(at)
        print(f"{paths}: {score(tried - alive[at], tried, sizes[at])}")
    tried = len(trials)
    print(
        f"all: {score(tried - sum(alive), tried, sum(sizes))}; {unreached} reached by no test,"
        f" {time.monotonic() - began:.0f} s, {sum(os.times()[:4]):.0f} s of the processor"
    )


def _trials(
    root: Path, module: Path, source: str, taken: set[tuple[Path, int]], choice: Choice
) -> list[Trial]:
    file = str(root / module)
    before = compile(ast.parse(source), file, "exec")  # as the mutants are: from a tree
    found = []
    for mutant, tree in mutants(module, source):
        if (module, mutant.number) not in taken:
            continue
        imported = choice.reached.imported(module, mutant.first, mutant.last)
        codes = changed_functions(before, compile(tree, file, "exec"))
        anew = imported or not codes
        tests = choice.tests(mutant, anew)
        found.append(Trial(mutant, tests, source, None if anew else codes))
    return found


if __name__ == "__main__":
    main()
