"""
Who imports whom: the house as a table of floors, over the whole tree.

A module imports only of its own room or of rooms on lower floors, and those on one floor never
import each other. Imports under C{TYPE_CHECKING}, in stubs and of Cython count like all others.
No modules import each other in a circle. C{wire} and C{core} do no I/O and read no clock;
C{guest} imports nothing of C{subproxy} but C{wire}; C{subproxy} never imports C{guest}.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.import_graph import (
    Graph,
    circles,
    cython_imported,
    graph,
    imported,
    sources,
    tree_of,
)

ROOT = Path(__file__).parent.parent

FLOORS = (
    # What classes of fields are made with, in both packages.
    ("wire.values",),
    ("errors", "wire", "core.printable", "response_body", "signal_name"),
    ("core.http",),
    # One room of policies: a pool has a route, a registry has pools.
    ("core.routing core.balancing core.access core.sites",),
    ("core",),
    ("reactor",),
    ("relay", "endpoints", "files"),
    ("telemetry",),
    ("frontend", "subscription", "admin", "acme", "cluster"),
    ("fastpath", "process", "machines"),
    ("config", "workers"),
    ("app", "cli"),
    ("tap", "serve"),
    ("__main__",),
)
"""The rooms of C{subproxy}, the lowest first; names between spaces are one room."""

KNOWS_ONLY = {
    "core.http": ("errors", "wire.values"),
    "core.routing core.balancing core.access core.sites": (
        *("core.http", "core.printable", "errors", "wire.values"),
    ),
    "core": ("core", "errors", "wire.values"),
    # Both log at a limited rate, and nothing else here is about the proxy.
    "reactor": ("core.access.log_limit",),
    "endpoints": ("core.access.log_limit", "core.printable", "core.rescan"),
    "files": ("core.rescan",),
    # What tables of states are made of knows nothing of HTTP either.
    "relay": ("reactor.interfaces", "core.states", "core.fast_enum"),
    "telemetry": ("core",),
    "admin": ("core", "telemetry"),
    "acme": ("core", "files"),
    # What others serve is told to whom it concerns; how they are asked is the business of others.
    "cluster": ("core", "response_body"),
    # It hands over listeners and routes, and chooses the reactor.
    "process": ("endpoints", "core.routing", "reactor"),
    # It starts machines; what asks for them, and who passes their guests on, is not its business.
    "machines": ("core", "files", "response_body", "signal_name"),
    # It starts processes and passes guests on; what these are is the business of others.
    "workers": (
        *("core", "endpoints", "process", "signal_name", "subscription.log_limiter", "wire"),
    ),
    # Of the front it knows what files of certificates hold.
    "cli": (
        *("admin", "config", "core", "files", "telemetry"),
        *("frontend.tls.certificate_reader", "frontend.tls.certificate_store"),
    ),
    "__main__": ("cli", "serve"),
    # What it runs is named by its plugin.
    "serve": ("process",),
}
"""Rooms that know less than all that is below them, and what that is."""

UPWARDS: set[tuple[str, str]] = set()
"""Imports up a floor that still stand. One that is gone must leave this list, too."""

CIRCLES: list[list[str]] = []
"""Circles that still stand, C{UPWARDS} left out. It may only shrink, and must when one does."""

GUEST_FLOORS = (
    ("core",),
    ("twisted", "asyncio", "adapters", "image", "sidecar"),
    # The paths by which users import what now stands in rooms.
    ("errors framework request response vsock",),
    ("cli", "testing"),
    ("__main__",),
)
"""The rooms of C{guest}, as C{FLOORS}; C{minimal} stands alone."""

PURE = ("subproxy.wire", "subproxy.core")
FRAMEWORKS = ("twisted", "txaio", "asyncio", "automat")
DOES_IO = (
    *("asyncio", "http", "io", "logging", "multiprocessing", "os", "pathlib", "select"),
    *("selectors", "shutil", "signal", "socket", "socketserver", "ssl", "subprocess", "sys"),
    *("tempfile", "threading", "time", "urllib"),
)
CALLS_IO = ("open", "print", "input", "exec", "eval", "breakpoint")


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and tree of each Python module of that package."""
    for path in sorted((ROOT / package.replace(".", "/")).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        yield name.removesuffix(".__init__"), tree_of(path)


def within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether C{name} is one of those packages, or in one."""
    return any(name == package or name.startswith(package + ".") for package in packages)


def place(module: str, floors: tuple[tuple[str, ...], ...]) -> tuple[int, str]:
    """The floor and the room of a module, by its name without C{subproxy}; -1 for none."""
    best = (-1, "")
    longest = 0
    for number, floor in enumerate(floors):
        for room in floor:
            for name in room.split():
                if within(module, (name,)) and len(name) > longest:
                    best, longest = (number, room), len(name)
    return best


def wrong_imports(edges: Graph, package: str) -> Iterator[tuple[str, str]]:
    """The imports within C{package} that the floors do not allow; not those of its C{__init__}."""
    floors = FLOORS if package == "subproxy" else GUEST_FLOORS
    for module in sorted(edges):
        for other in sorted(edges[module]):
            if not (within(module, (package,)) and within(other, (package,))):
                continue
            inner, outer = module.partition(".")[2], other.partition(".")[2]
            if not inner:
                continue
            floor, room = place(inner, floors)
            below, known = place(outer, floors)
            if room == known and room:
                continue
            if (
                below >= floor
                or below < 0
                or (package == "subproxy" and not within(outer, KNOWS_ONLY.get(room, (outer,))))
            ):
                yield module, other


@cache
def house() -> Graph:
    """Who imports whom: read once."""
    return graph(sources(ROOT, "subproxy", "guest"))


class FloorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.edges = {module: set(others) for module, others in house().items()}

    def test_every_room_has_a_floor(self) -> None:
        """A new room has its place in the table; the packages themselves hold nothing."""
        for module in self.edges:
            package, _, inner = module.partition(".")
            floors = FLOORS if package == "subproxy" else GUEST_FLOORS
            if inner and module != "guest.minimal":
                self.assertGreaterEqual(place(inner, floors)[0], 0, f"{module} has no floor")
        self.assertEqual(self.edges["subproxy"], set())

    def test_subproxy(self) -> None:
        """Nothing imports up a floor, nor beside it, nor what its room is not to know."""
        wrong = set(wrong_imports(self.edges, "subproxy"))
        self.assertEqual(sorted(wrong - UPWARDS), [])
        self.assertEqual(sorted(UPWARDS - wrong), [], "gone: take it from the list")

    def test_guest(self) -> None:
        """The same in the guest."""
        self.assertEqual(list(wrong_imports(self.edges, "guest")), [])
        self.assertEqual(self.edges["guest.minimal"], set())

    def test_between_the_packages(self) -> None:
        """guest knows nothing of subproxy but the wire; subproxy knows nothing of guest."""
        for module, others in self.edges.items():
            for other in others:
                if module.startswith("guest") and other.startswith("subproxy"):
                    self.assertTrue(within(other, ("subproxy.wire",)), f"{module} imports {other}")
                if module.startswith("subproxy"):
                    self.assertFalse(within(other, ("guest",)), f"{module} imports {other}")

    def test_circles(self) -> None:
        """There is none but those of the list, and each of the list still stands as it does."""
        for module, other in UPWARDS:
            self.edges[module].discard(other)
        self.assertEqual(circles(self.edges), CIRCLES)

    def test_what_is_wrong_is_found(self) -> None:
        """Up, beside, what a room is not to know, and what has no place."""
        edges: Graph = {
            "subproxy.core.exchange": {"subproxy.frontend.factory", "subproxy.errors"},
            "subproxy.frontend.factory": {"subproxy.subscription.factory"},
            "subproxy.relay.pump": {"subproxy.reactor.tcp", "subproxy.reactor.interfaces"},
            "subproxy.core.http.fields": {"subproxy.core.exchange"},
            "subproxy.core.routing.route": {"subproxy.core.balancing.member"},
            "subproxy.tap": {"subproxy.somewhere"},
        }
        self.assertEqual(
            list(wrong_imports(edges, "subproxy")),
            [
                ("subproxy.core.exchange", "subproxy.frontend.factory"),
                ("subproxy.core.http.fields", "subproxy.core.exchange"),
                ("subproxy.frontend.factory", "subproxy.subscription.factory"),
                ("subproxy.relay.pump", "subproxy.reactor.tcp"),
                ("subproxy.tap", "subproxy.somewhere"),
            ],
        )
        self.assertEqual(
            list(wrong_imports({"guest.core.a": {"guest.twisted.b"}}, "guest")),
            [("guest.core.a", "guest.twisted.b")],
        )

    def test_every_circle_is_found(self) -> None:
        """Those through several modules, and only those."""
        edges: Graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
        self.assertEqual(circles(edges), [["a", "b", "c"]])
        self.assertEqual(circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}), [])

    def test_every_import_is_seen(self) -> None:
        """Every form of it, in functions and under TYPE_CHECKING, in Python and in Cython."""
        source = (
            "import a.b, c as d\nfrom e import f\nfrom . import g\nfrom .h import i\n"
            "from ..j import k\n"
            "def x():\n    import l\n"
            "if TYPE_CHECKING:\n    import m\nelse:\n    import n\n"
        )
        self.assertEqual(
            sorted(imported("p.q.r", ast.parse(source))),
            sorted(["a.b", "c", "e.f", "p.q.g", "p.q.h.i", "p.j.k", "l", "m", "n"]),
        )
        cython = (
            "from a.b cimport c, D as E  # and why\nfrom f import (\n    g,\n    h as i,\n)\n"
            "cimport j.k\nimport l, m.n\ncdef x():\n    from o import p\n"
        )
        self.assertEqual(
            list(cython_imported(cython)),
            ["a.b.c", "a.b.D", "f.g", "f.h", "j.k", "l", "m.n", "o.p"],
        )


class PurityTests(SynchronousTestCase):
    def _check(self, package: str, forbidden: tuple[str, ...]) -> None:
        seen = 0
        for module, tree in modules(package):
            seen += 1
            for name in imported(module, tree):
                self.assertFalse(within(name, forbidden), f"{module} imports {name}")
        self.assertGreater(seen, 1, package)

    def test_no_framework(self) -> None:
        """wire, core and the guest's core import no framework."""
        for package in PURE:
            self._check(package, FRAMEWORKS)
        # Its way to wait under asyncio names a type of that, for type checking alone.
        self._check("guest.core", tuple(name for name in FRAMEWORKS if name != "asyncio"))

    def test_no_io(self) -> None:
        """wire and core import nothing that does I/O or reads a clock, and call nothing such."""
        for package in PURE:
            self._check(package, DOES_IO)
            for module, tree in modules(package):
                for node in ast.walk(tree):
                    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                        self.assertNotIn(node.func.id, CALLS_IO, module)

    def test_guest_minimal(self) -> None:
        """The guest of one file uses the standard library alone."""
        tree = tree_of(ROOT / "guest" / "minimal.py")
        names = {name.split(".")[0] for name in imported("guest.minimal", tree)}
        self.assertEqual(set(), names - set(sys.stdlib_module_names))

    def test_the_checks_can_fail(self) -> None:
        """What imports a framework is found."""
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
