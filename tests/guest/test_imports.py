"""What importing the guest pulls in: in a virtual machine, imports are the cold start."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from twisted.trial.unittest import SynchronousTestCase

from guest.image.layout import (
    ASYNCIO_REQUIREMENTS,
    GUEST_REQUIREMENTS,
    WEBSOCKET_REQUIREMENTS,
    on_asyncio,
)
from tests.rigs.paths import ROOT

MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "guest").rglob("*.py")
    if path.stem != "__init__" and "image" not in path.parts
)


INIT = f"""
import sys, types
for name in ("guest", "guest.image"):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [{str(ROOT)!r} + "/" + name.replace(".", "/")]
import guest.image.init
print(*sys.modules)
"""
"""Imports what is in C{/opt/init} of an image, where C{guest} is a bare folder."""

HIDING = """\
import sys

class Hiding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {held}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hiding())
"""
"""Hides all packages but those that are named."""


def imported(code: str) -> set[str]:
    """The modules of a fresh interpreter after C{code}. Nothing is measured there."""
    kept = os.environ.items()
    child = subprocess.run(
        [sys.executable, "-c", code + "\nimport sys; print(*sys.modules)"],
        capture_output=True,
        check=False,
        cwd=ROOT,
        env={name: value for name, value in kept if not name.startswith("COVERAGE_PROCESS")},
        text=True,
        timeout=120,
    )
    if child.returncode:
        raise AssertionError(child.stderr)
    return set(child.stdout.split())


def packages_of(distribution: str) -> set[str]:
    """The top packages of a distribution, and of all that it cannot do without."""
    wanted, known = [distribution], set[str]()
    while wanted:
        name = canonicalize_name(wanted.pop())
        if name not in known:
            known.add(name)
            needs = map(Requirement, requires(name) or ())
            wanted += [each.name for each in needs if each.marker is None or each.marker.evaluate()]
    return {
        package
        for package, owners in packages_distributions().items()
        if known & {canonicalize_name(owner) for owner in owners}
    }


class ImportTests(SynchronousTestCase):
    """The import rule of the guest."""

    def test_nothing_of_subproxy_but_the_wire(self) -> None:
        self.assertGreater(len(MODULES), 25)
        code = "from guest import *\n" + "".join(f"import {name}\n" for name in MODULES)
        others = {
            name
            for name in imported(code)
            if name.startswith("subproxy.") and not name.startswith("subproxy.wire")
        }
        self.assertEqual(others, set())

    def test_the_package_imports_nothing(self) -> None:
        found = imported("import guest")
        self.assertFalse([name for name in found if name.startswith(("twisted", "subproxy"))])

    def test_requests_and_responses_import_no_framework(self) -> None:
        found = imported("from guest import Request, Response\nimport guest.core.exchange")
        for name in ("twisted", "asyncio", "txaio", "zope.interface"):
            self.assertNotIn(name, found)

    def test_the_shell_on_asyncio_needs_no_twisted(self) -> None:
        modules = [name for name in MODULES if name.startswith("guest.asyncio.")]
        self.assertGreater(len(modules), 4)
        found = imported("".join(f"import {name}\n" for name in modules))
        self.assertFalse([name for name in found if name.partition(".")[0] in ("twisted", "zope")])

    def test_on_twisted_what_every_image_holds_is_enough(self) -> None:
        held = {"guest", "subproxy", *sys.stdlib_module_names}
        for name in GUEST_REQUIREMENTS:
            held |= packages_of(name)
        imported(
            HIDING.format(held=sorted(held))
            + "import guest.__main__, guest.cli.options, guest.cli.interface, guest.cli.loading\n"
            + "import guest.cli.worker, guest.cli.run_twisted\n"
        )

    def test_on_asyncio_what_every_image_of_wsgi_and_asgi_holds_is_enough(self) -> None:
        for requirements, more in (
            (ASYNCIO_REQUIREMENTS, ""),
            (
                ASYNCIO_REQUIREMENTS + WEBSOCKET_REQUIREMENTS,
                "import guest.adapters.asgi_websocket\n",
            ),
        ):
            held = {"guest", "subproxy", *sys.stdlib_module_names}
            for name in requirements:
                held |= packages_of(name)
            found = imported(
                HIDING.format(held=sorted(held))
                + "import guest.__main__, guest.cli.options, guest.cli.interface\n"
                + "import guest.cli.loading, guest.cli.reloading, guest.cli.worker\n"
                + "import guest.cli.run_asyncio, guest.adapters.wsgi, guest.adapters.asgi\n"
                + "import guest.adapters.lifespan\n"
                + more
            )
            own = {name for name in found if name.startswith("guest.")}
            files = {name: name.replace(".", "/") + ".py" for name in own}
            packages = {name for name in own if (ROOT / files[name][:-3]).is_dir()}
            left_out = {name for name in own - packages if not on_asyncio(files[name])}
            self.assertEqual(left_out, set())

    def test_what_the_init_of_a_machine_does_not_need_is_not_imported(self) -> None:
        """It is the first that a machine runs, and nothing else can happen meanwhile."""
        child = subprocess.run(
            [sys.executable, "-ISB", "-c", INIT],
            capture_output=True,
            check=True,
            cwd=ROOT,
            text=True,
            timeout=60,
        )
        costly = {"contextlib", "re", "selectors", "socket", "subprocess", "traceback", "typing"}
        self.assertEqual(costly & set(child.stdout.split()), set())

    def test_what_twisted_names_and_no_guest_uses_is_loaded_when_it_is_used(self) -> None:
        """It brings C{urllib.request} with it, and works when it is asked."""
        begin = (
            "from guest.cli.late_import import import_late\nimport_late()\n"
            "import guest.cli.run_twisted\nfrom twisted.internet import reactor\n"
        )
        self.assertNotIn("urllib.request", imported(begin))
        use = "from http.cookiejar import CookieJar\nassert len(CookieJar()) == 0\n"
        self.assertIn("urllib.request", imported(begin + use))
        use = "from twisted.python import compat\nassert compat.cookielib.CookieJar\n"
        self.assertIn("urllib.request", imported(begin + "import warnings\n" + use))

    def test_what_a_hello_on_asyncio_does_not_ask_for_is_not_imported(self) -> None:
        """Each of these costs milliseconds at the start of each guest."""
        common = imported("import argparse, asyncio, contextlib, dataclasses, logging, traceback")
        found = imported(
            "import guest.__main__, guest.cli.options, guest.cli.interface, guest.cli.loading\n"
            "import guest.cli.worker, guest.cli.run_asyncio, guest.adapters.asgi\n"
            "import guest.adapters.lifespan\n"
        )
        costly = {"difflib", "email", "http", "importlib.metadata", "pathlib", "tempfile", "urllib"}
        self.assertEqual((found - common) & costly, set())

    def test_the_minimal_guest_needs_the_standard_library_alone(self) -> None:
        child = subprocess.run(
            [sys.executable, "-I", "-S", str(ROOT / "guest" / "minimal.py"), "--help"],
            capture_output=True,
            check=False,
            cwd="/",
            text=True,
            timeout=60,
        )
        self.assertEqual(child.returncode, 0, child.stderr)

    def test_the_way_to_wait_imports_a_framework_for_who_asks(self) -> None:
        code = "from guest.framework import Framework, framework_of\n"
        for name in ("twisted", "asyncio", "txaio"):
            self.assertNotIn(name, imported(code))
        found = imported("from guest.framework import asyncio_framework\n")
        self.assertIn("txaio.aio", found)
        self.assertNotIn("twisted", found)
        self.assertIn("txaio.tx", imported("from guest.framework import twisted_framework\n"))

    def test_names(self) -> None:
        import guest

        for name in guest.__all__:
            self.assertEqual(getattr(guest, name).__name__, name)
        with self.assertRaises(AttributeError):
            guest.nonsense  # noqa: B018
