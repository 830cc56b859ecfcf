"""Names, docstrings and lengths: what a reader of one file may expect of all others."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from twisted.application import internet as application_internet
from twisted.application import service
from twisted.internet import abstract, base, endpoints, epollreactor, posixbase, tcp, unix
from twisted.internet import interfaces as twisted_interfaces
from twisted.internet import protocol as twisted_protocol
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http, iweb, resource, server
from zope.interface.interface import InterfaceClass

from tests.rigs.import_graph import tree_of

ROOT = Path(__file__).parent.parent
HOUSE = ("subproxy", "guest")
ALL = (*HOUSE, "tests", "tools", "benchmarks", "examples", "twisted")

MINIMAL = "guest/minimal.py"
"""The guest of one file repeats what it needs, by design: it is left out here."""

MIRRORS_TWISTED = "reactor/tcp.py and reactor/unix.py have the names that Twisted's own have"
GUEST_API = "what an application writes has the plain word; the proxy's side stands elsewhere"
GUEST_ALONE = "guest imports nothing of subproxy but the wire, and has the same address family"
TWICE = {
    "Client": MIRRORS_TWISTED,
    "Connector": MIRRORS_TWISTED,
    "Port": MIRRORS_TWISTED,
    "Server": MIRRORS_TWISTED,
    "Request": GUEST_API,
    "Response": GUEST_API,
    "Route": GUEST_API,
    "Welcome": GUEST_API,
    "VsockAddress": GUEST_ALONE,
    "VsockClientEndpoint": GUEST_ALONE,
}
"""Class names that stand twice, and why."""

HOOKS = {
    # of SubscriberProtocol, which an application overrides
    *("requestReceived", "requestAborted", "subscriptionLost"),
    *("webSocketReceived", "tlsReceived", "tunnelReceived"),
    # of SubscriberProtocol and SubscriberService, which an application calls
    *("whenSubscribed", "whenLeaving", "whenLost", "whenOver"),
    # of SubscriberFactory, an attribute
    "drainTimeout",
}
"""camelCase of the guest's public API, which looks like Twisted's."""

TWISTED = (
    *(twisted_interfaces, twisted_protocol, abstract, base, posixbase, epollreactor),
    *(tcp, unix, endpoints, service, application_internet, usage),
    *(http, iweb, resource, server),
)
"""The modules of Twisted whose classes and interfaces are implemented here."""

MOST = 500
"""Lines of a file. What is longer is two things."""

CAMEL = re.compile(r"_*[a-z][a-z0-9]*[A-Z]")
CYTHON_CLASS = re.compile(r"^(?:cdef )?class (\w+)", re.M)
CYTHON_FUNCTION = re.compile(r"^[ \t]*(?:def|cdef|cpdef)\b(?! class\b)[^=(\n]*?(\w+)\(", re.M)
CYTHON_DOCSTRING = re.compile(r':\n\s*"""(.*?)"""', re.S)
RST = re.compile(r":\w+:`|`|^\s*:(?:raises?|param|returns?|r?type|ivar|var)\b.*:", re.M)


def paths(*packages: str) -> Iterator[Path]:
    """The sources of these packages, Cython included."""
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.p*")):
            if path.suffix in (".py", ".pyx", ".pxd"):
                yield path


def relative(path: Path) -> str:
    """The path as it stands in the lists here."""
    return path.relative_to(ROOT).as_posix()


def classes(path: Path) -> Iterator[str]:
    """The names of the classes of a file."""
    if path.suffix == ".py":
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                yield node.name
    elif path.suffix == ".pyx":
        yield from CYTHON_CLASS.findall(path.read_text())


def functions(path: Path) -> Iterator[str]:
    """The names of the functions and methods of a file."""
    if path.suffix == ".py":
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield node.name
    else:
        yield from CYTHON_FUNCTION.findall(path.read_text())


def docstrings(path: Path) -> Iterator[str]:
    """The docstrings of a file."""
    if path.suffix == ".py":
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""
    else:
        yield from CYTHON_DOCSTRING.findall(":\n" + path.read_text())


def names_of(module: ModuleType) -> Iterator[str]:
    """All that the classes and interfaces of a module have."""
    for value in vars(module).values():
        if isinstance(value, InterfaceClass):
            yield from value.names(all=True)
        elif isinstance(value, type):
            yield from dir(value)


def own_interfaces() -> Iterator[str]:
    """The methods of the zope interfaces that stand here."""
    for path in paths(*HOUSE):
        if path.suffix == ".py":
            for node in ast.walk(tree_of(path)):
                if isinstance(node, ast.ClassDef) and any(
                    isinstance(parent, ast.Name) and re.fullmatch(r"I[A-Z]\w+|Interface", parent.id)
                    for parent in node.bases
                ):
                    yield from (
                        each.name for each in node.body if isinstance(each, ast.FunctionDef)
                    )


class NameTests(SynchronousTestCase):
    def test_a_class_name_stands_once(self) -> None:
        """In one file; each exception has its reason, and is one."""
        where = defaultdict(set)
        for path in paths(*HOUSE):
            if relative(path) != MINIMAL:
                for name in classes(path):
                    where[name].add(relative(path))
        twice = {name: sorted(files) for name, files in where.items() if len(files) > 1}
        self.assertEqual({name: twice[name] for name in twice if name not in TWICE}, {})
        self.assertEqual(set(TWICE) - set(twice), set(), "once only: take it from the list")

    def test_camel_case(self) -> None:
        """Only where an interface of Twisted, zope or the guest's public API wants it."""
        allowed = {*own_interfaces(), *HOOKS}
        for module in TWISTED:
            allowed.update(names_of(module))
        # Of twisted.plugin and twisted.application: what a module or a set of options has.
        allowed |= {"makeService", "subCommands"}
        wrong = [
            (relative(path), name)
            for path in paths(*HOUSE)
            for name in functions(path)
            if CAMEL.match(name) and name not in allowed
        ]
        self.assertEqual(wrong, [])

    def test_one_dialect(self) -> None:
        """Docstrings are epytext: no backticks, no roles and fields of reStructuredText."""
        wrong = [
            (relative(path), found[0], text.strip().splitlines()[0])
            for path in paths(*HOUSE)
            for text in docstrings(path)
            if (found := RST.search(text))
        ]
        self.assertEqual(wrong, [])

    def test_lengths(self) -> None:
        """No file is longer than MOST but those of the list, which are."""
        lengths = {relative(path): len(path.read_text().splitlines()) for path in paths(*ALL)}
        long = {path for path, lines in lengths.items() if lines > MOST}
        self.assertEqual(sorted(long - {MINIMAL}), [])

    def test_the_checks_can_fail(self) -> None:
        """What the searches of this file look for is found in all of its forms."""
        self.assertEqual(
            [bool(CAMEL.match(name)) for name in ("aB", "_aB", "a_b", "Ab")], [1, 1, 0, 0]
        )
        cython = """cdef class Abc(D):
    '''A `b`.'''

    cdef inline int aB(self, int x) except -1:
        '''C{d}.'''
        return eF(1)

    def cD(self):
        pass
""".replace("'''", '"""')
        path = Path(self.mktemp()).with_suffix(".pyx")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(cython)
        self.assertEqual(list(classes(path)), ["Abc"])
        self.assertEqual(list(functions(path)), ["aB", "cD"])
        self.assertEqual(list(docstrings(path)), ["A `b`.", "C{d}."])
        for text in ("a `b`", ":class:`A`", "a\n  :raises E: b", ":param x: y"):
            self.assertTrue(RST.search(text), text)
        for text in ("C{b}", "vsock:CID:PORT", "@raise E: b"):
            self.assertFalse(RST.search(text), text)
