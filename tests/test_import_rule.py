"""
The import rule of the house, over the whole tree.

C{wire} and C{core} import no Twisted and do no I/O; C{guest} imports nothing of C{subproxy} but
C{wire}; C{subproxy} never imports C{guest}; C{frontend} and C{subscription} meet only through
C{core} and C{interfaces}.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
PURE = ("subproxy.wire", "subproxy.core")
FRAMEWORKS = ("twisted", "txaio", "asyncio", "automat")
DOES_IO = (
    *("asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "select"),
    *("selectors", "shutil", "signal", "socket", "socketserver", "ssl", "subprocess", "sys"),
    *("tempfile", "threading", "time", "urllib"),
)
CALLS_IO = ("open", "print", "input", "exec", "eval", "breakpoint")


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and tree of each module of that package."""
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), ast.parse(path.read_text(), str(path))


def imports(module: str, tree: ast.Module) -> Iterator[str]:
    """The full names of all that a module imports, wherever in it, but for type checking alone."""
    for node in _run(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under C{if TYPE_CHECKING}, which never run."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            for each in child.orelse:
                yield each
                yield from _run(each)
            continue
        yield child
        yield from _run(child)


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether C{name} is one of those packages, or in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


class TreeTests(SynchronousTestCase):
    def _check(self, package: str, forbidden: tuple[str, ...], but: tuple[str, ...] = ()) -> None:
        seen = 0
        for module, tree in modules(package):
            seen += 1
            for name in imports(module, tree):
                wrong = within(name, forbidden) and not within(name, but)
                self.assertFalse(wrong, f"{module} imports {name}")
        self.assertGreater(seen, 1, package)

    def test_pure(self) -> None:
        """wire and core import no framework, and nothing of the house but each other's kind."""
        self._check("subproxy.wire", FRAMEWORKS)
        self._check("subproxy.wire", ("subproxy",), ("subproxy.wire",))
        self._check("subproxy.core", FRAMEWORKS)
        allowed = ("subproxy.core", "subproxy.errors", "subproxy.core.interfaces", "subproxy.wire")
        self._check("subproxy.core", ("subproxy",), allowed)

    def test_no_io(self) -> None:
        """wire and core import nothing that does I/O or reads a clock, and call nothing such."""
        for package in PURE:
            self._check(package, DOES_IO)
            for module, tree in modules(package):
                for node in ast.walk(tree):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                        self.assertNotIn(node.func.id, CALLS_IO, module)

    def test_guest(self) -> None:
        """guest imports nothing of subproxy but wire."""
        self._check("guest", ("subproxy",), ("subproxy.wire",))

    def test_subproxy(self) -> None:
        """subproxy never imports guest."""
        self._check("subproxy", ("guest",))

    def test_frontend_and_subscription(self) -> None:
        """They meet only through core and interfaces."""
        self._check("subproxy.frontend", ("subproxy.subscription",))
        self._check("subproxy.subscription", ("subproxy.frontend",))

    def test_guest_minimal(self) -> None:
        """The guest of one file uses the standard library alone."""
        path = ROOT / "guest" / "minimal.py"
        if path.exists():
            names = {
                name.split(".")[0] for name in imports("guest.minimal", ast.parse(path.read_text()))
            }
            self.assertEqual(set(), names - set(sys.stdlib_module_names))

    def test_the_checks_can_fail(self) -> None:
        """Every form of import is seen, and what is for type checking alone is not."""
        source = (
            "import a.b, c as d\nfrom e import f\nfrom . import g\nfrom .h import i\n"
            "from ..j import k\n"
            "def x():\n    import l\n"
            "if TYPE_CHECKING:\n    import m\nelse:\n    import n\n"
        )
        self.assertEqual(
            ["a.b", "c", "e", "e.f", "p.q", "p.q.g", "p.q.h", "p.q.h.i", "p.j", "p.j.k", "l", "n"],
            list(imports("p.q.r", ast.parse(source))),
        )
        self.assertTrue(within("guest.x", ("guest",)))
        self.assertFalse(within("guests", ("guest",)))
        self.assertRaises(self.failureException, self._check, "subproxy.frontend", ("twisted",))


class ImportTests(SynchronousTestCase):
    def _loaded(self, statement: str) -> set[str]:
        """What is loaded after C{statement} in a fresh interpreter."""
        # coverage.py would measure it too, and loads much for that.
        plain = {name: text for name, text in os.environ.items() if "COVERAGE" not in name}
        done = subprocess.run(
            [sys.executable, "-c", f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"],
            cwd=ROOT,
            env=plain,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return set(done.stdout.split())

    def _assert_none(self, loaded: set[str], forbidden: tuple[str, ...]) -> None:
        self.assertEqual([], sorted(name for name in loaded if within(name, forbidden)))

    def test_wire(self) -> None:
        """The wire loads no framework, and no other room."""
        loaded = self._loaded("import subproxy.wire.connection")
        self.assertIn("subproxy.wire.connection", loaded)
        self._assert_none(loaded, (*FRAMEWORKS, "guest", "socket"))
        rooms = {name for name in loaded if name.startswith("subproxy.")}
        self.assertEqual({"wire"}, {name.split(".")[1] for name in rooms})

    def test_core(self) -> None:
        """The core loads no framework, and no room that does I/O."""
        names = [module for module, _ in modules("subproxy.core")]
        loaded = self._loaded("import " + ", ".join(names))
        self.assertIn("subproxy.core", loaded)
        self._assert_none(loaded, (*FRAMEWORKS, "guest", "socket"))
        rooms = {name.split(".")[1] for name in loaded if name.startswith("subproxy.")}
        self.assertEqual(set(), rooms - {"core", "wire", "errors", "interfaces"})

    def test_guest(self) -> None:
        """The guest loads nothing of subproxy but the wire."""
        loaded = self._loaded("from guest import *\nimport guest.twisted.service, guest.testing")
        rooms = {name.split(".")[1] for name in loaded if name.startswith("subproxy.")}
        self.assertEqual({"wire"}, rooms)
