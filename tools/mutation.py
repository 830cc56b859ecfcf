"""
A mutation score: C{python tools/mutation.py subproxy/core
subproxy/frontend/http1/framing.py}.

Each mutant changes one operator, constant, condition or statement of one module, and is run in a
forked process against the unit tests that import the module, the one that is named after it first,
and then against those that are named with C{--tests}: the first failure ends it. Mutants of
strings for people and of annotations are not made. Prints those that survive, then the score;
C{--again} takes such a report, and makes the survivors alone.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import importlib.abc
import importlib.util
import itertools
import os
import random
import re
import signal
import sys
import time
import unittest
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

WAITING = 20
"""How much longer than its time of the processor a mutant may take by the clock."""

COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


def changes(node: ast.AST) -> Iterator[ast.AST]:
    """What could stand in place of C{node}."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in COMPARE:
            yield ast.Compare(node.left, [COMPARE[type(op)]()], node.comparators)
        case ast.Compare():
            for index, op in enumerate(node.ops):
                ops = list(node.ops)
                ops[index] = COMPARE[type(op)]()
                yield ast.Compare(node.left, ops, node.comparators)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
            for index in range(len(node.values)):
                rest = [*node.values[:index], *node.values[index + 1 :]]
                yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield node.operand
        case ast.BinOp() if type(node.op) in ARITHMETIC:
            yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
        case ast.AugAssign() if type(node.op) in ARITHMETIC:
            yield ast.AugAssign(node.target, ARITHMETIC[type(node.op)](), node.value)
            yield ast.Assign([node.target], node.value)
        case ast.Constant(value=bool()):
            yield ast.Constant(not node.value)
        case ast.Constant(value=int()):
            yield ast.Constant(node.value + 1)
            if node.value > 1:
                yield ast.Constant(node.value - 1)
        case ast.Constant(value=bytes()):
            yield ast.Constant(b"XX" + node.value)
        case ast.IfExp():
            yield ast.IfExp(node.test, node.orelse, node.body)
        case ast.If(test=ast.Name(id="TYPE_CHECKING")):
            pass  # it runs nowhere
        case ast.If(test=ast.Name() | ast.Attribute() | ast.Call()):
            yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
        case ast.Return(value=ast.expr()) if not _is_none(node.value):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Attribute()]):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None]]:
    """Every place in which a node hangs, but for annotations and text."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "op", "ops", "ctx", "type_params"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                yield tree, name, index
                yield from places(child)


def mutants(source: str) -> Iterator[tuple[str, ast.Module]]:
    """Each mutant, which is gone when the next one is asked for, and a line that tells of it."""
    tree = ast.parse(source)
    lines = source.splitlines()
    for parent, name, index in list(places(tree)):
        held = getattr(parent, name)
        node = held if index is None else held[index]
        for change in changes(node):
            new = ast.fix_missing_locations(ast.copy_location(change, node))
            if index is None:
                setattr(parent, name, new)
            else:
                held[index] = new
            row = getattr(node, "lineno", 0)
            before = ast.unparse(node).splitlines()[0]
            after = ast.unparse(new).splitlines()[0]
            yield f"{row}: {before} -> {after}   | {lines[row - 1].strip()}", tree
            if index is None:
                setattr(parent, name, node)
            else:
                held[index] = node


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Gives the mutant in place of its module."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self.name, self.path, self.tree = name, path, tree

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The mutant, for its name alone."""
        if name == self.name:
            return importlib.util.spec_from_file_location(name, self.path, loader=self)
        return None

    def create_module(self, spec: Any) -> None:
        """An ordinary module will do."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the mutant."""
        exec(compile(self.tree, str(self.path), "exec"), module.__dict__)


def passes(finder: Finder | None, tests: list[str]) -> bool:
    """Run the tests, in this process."""
    if finder is not None:
        sys.meta_path.insert(0, finder)
    from hypothesis import Phase, settings

    try:
        importlib.import_module("tests")
        phases = [Phase.explicit, Phase.generate]
        settings.register_profile(
            "mutation",
            settings.get_profile("subproxy"),
            max_examples=60,
            phases=phases,
            database=None,
            derandomize=True,
        )
        settings.load_profile("mutation")
        for name in tests:
            suite = unittest.defaultTestLoader.loadTestsFromName(name)
            result = unittest.TestResult()
            result.failfast = True
            suite.run(result)
            if not result.wasSuccessful():
                return False
    except Exception:
        return False
    return True


def survives(finder: Finder | None, tests: list[str], seconds: int) -> bool:
    """
    Run the tests in a process of their own; a mutant that hangs is dead.

    What it may take is counted in time of the processor: on a busy machine a mutant that nothing
    notices must not die of the load. The alarm is for one that waits for ever.
    """
    child = os.fork()
    if not child:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(seconds * WAITING)
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        os._exit(0 if passes(finder, tests) else 1)
    _, status = os.waitpid(child, 0)
    return status == 0


def tests_of(path: Path) -> list[str]:
    """
    The unit tests that import the module at C{path}: its own, those of its room, the others, each
    time the smallest first.

    A test reaches a part of its room through the modules beside it that import the part, or one
    that does, and through rigs, so those that import any of them are among them.
    """
    imports = [_imports(path)]
    between = {
        module: module.read_text()
        for folder in (path.parent, Path("tests/rigs"))
        for module in folder.glob("*.py")
        if module != path
    }
    while reached := [
        module for module, text in between.items() if any(each.search(text) for each in imports)
    ]:
        imports += [_imports(module) for module in reached]
        for module in reached:
            del between[module]
    inside = path.with_suffix("").parts
    room = inside[1:-1] if inside[0] == "subproxy" else inside[:-1]
    own = Path("tests", *room, f"test_{inside[-1].strip('_')}.py")
    found = [
        test
        for test in Path("tests").rglob("test_*.py")
        if "integration" not in test.parts
        and (test == own or any(each.search(test.read_text()) for each in imports))
    ]
    found.sort(key=lambda test: (test != own, test.parent != own.parent, test.stat().st_size))
    return [".".join(test.with_suffix("").parts) for test in found]


def _imports(path: Path) -> re.Pattern[str]:
    """A line that imports the module at C{path}."""
    package, _, module = ".".join(path.with_suffix("").parts).rpartition(".")
    return re.compile(
        rf"^ *(from {package}\.{module} import|import {package}\.{module}$"
        rf"|from {package} import .*\b{module}\b)",
        re.MULTILINE,
    )


def _unnumbered(told: str) -> str:
    """What is told of a mutant, without its row: others may have come before it."""
    return re.sub(r":\d+:", ":", told, count=1)


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", type=Path, nargs="+", help="modules, or folders of them")
    parser.add_argument("--tests", nargs="*", default=[], help="further test modules, for each")
    parser.add_argument("--again", type=Path, help="what an earlier run printed")
    parser.add_argument("--sample", type=float, default=1.0, help="this part of the mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="2/4: every fourth one from the second on")
    parser.add_argument("--timeout", type=int, default=60, help="seconds of the processor a mutant")
    options = parser.parse_args()
    sys.path.insert(0, os.getcwd())
    import hypothesis.stateful  # noqa: F401  # once, not for each
    from twisted.trial import unittest as _  # noqa: F401

    again = options.again and {_unnumbered(line) for line in options.again.read_text().splitlines()}
    paths = [
        module
        for path in options.paths
        for module in (sorted(path.rglob("*.py")) if path.is_dir() else [path])
    ]
    rng = random.Random(options.seed)
    first, parts = map(int, options.part.split("/"))
    began, total, alive = time.monotonic(), 0, 0
    for path in paths:
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        tests = [*tests_of(path), *options.tests]
        count, left = 0, 0
        for what, tree in itertools.islice(mutants(path.read_text()), first - 1, None, parts):
            told = f"{path}:{what}"
            if rng.random() > options.sample or (
                again is not None and _unnumbered(told) not in again
            ):
                continue
            if not count and not survives(None, tests, options.timeout * 5):
                sys.exit(f"the tests of {path} fail as it is: {' '.join(tests)}")
            count += 1
            if survives(Finder(name, path, tree), tests, options.timeout):
                left += 1
                print(told, flush=True)
        if count:
            print(f"{path}: {count - left} of {count} killed", flush=True)
        total, alive = total + count, alive + left
    score = 100 * (total - alive) / max(total, 1)
    print(f"{score:.1f} % of {total} mutants killed, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
