"""
The small changes: one operator, constant, condition or statement of a module each.

Mutants of strings for people and of annotations are not made.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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


def places(
    tree: ast.AST, statement: ast.stmt | None = None
) -> Iterator[tuple[ast.AST, str, int | None, ast.stmt | None]]:
    """Every place in which a node hangs, with its statement, but for annotations and text."""
    for name, value in ast.iter_fields(tree):
        if name in ("annotation", "returns", "decorator_list", "op", "ops", "ctx", "type_params"):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                inside = child if isinstance(child, ast.stmt) else statement
                yield tree, name, index, inside
                yield from places(child, inside)


@dataclass(frozen=True)
class Mutant:
    """
    One change of the module at C{path}, the C{number}-th that can be made of it.

    C{told}: a line that tells of it. C{first}, C{last}: the lines of its statement, without the
    statements within that one.
    """

    path: Path
    number: int
    told: str
    first: int
    last: int


def mutants(path: Path, source: str) -> Iterator[tuple[Mutant, ast.Module]]:
    """Each mutant with its tree, which is gone when the next one is asked for."""
    tree = ast.parse(source)
    lines = source.splitlines()
    number = 0
    for parent, name, index, statement in list(places(tree)):
        held = getattr(parent, name)
        node = held if index is None else held[index]
        for change in changes(node):
            new = ast.fix_missing_locations(ast.copy_location(change, node))
            _hang(parent, name, index, new)
            row = getattr(node, "lineno", 0)
            before = ast.unparse(node).splitlines()[0]
            after = ast.unparse(new).splitlines()[0]
            told = f"{path}:{row}: {before} -> {after}   | {lines[row - 1].strip()}"
            first, last = _lines(statement) if statement else (row, row)
            yield Mutant(path, number, told, first, last), tree
            number += 1
            _hang(parent, name, index, node)


def _hang(parent: ast.AST, name: str, index: int | None, node: ast.AST) -> None:
    if index is None:
        setattr(parent, name, node)
    else:
        getattr(parent, name)[index] = node


def _lines(statement: ast.stmt) -> tuple[int, int]:
    """The first and the last line of a statement, without those of its body."""
    within = [
        child.lineno
        for child in ast.walk(statement)
        if isinstance(child, ast.stmt) and child is not statement
    ]
    last = statement.end_lineno or statement.lineno
    return statement.lineno, max(min([last + 1, *within]) - 1, statement.lineno)
