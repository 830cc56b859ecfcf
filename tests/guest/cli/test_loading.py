"""Tests for L{guest.cli.loading}."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from guest.cli.loading import BadImport, load
from guest.twisted.factory import SubscriberFactory
from guest.twisted.subscriber import SubscriberProtocol

clock = Clock()


class Application(SubscriberProtocol):
    """One to be found."""

    class Inner(SubscriberProtocol):
        """One that is further in."""


factory = SubscriberFactory(Application, "named", clock=clock)
nonsense = object()


def make() -> SubscriberFactory:
    """Makes one."""
    return factory


def fail() -> None:
    """Makes none."""
    raise RuntimeError("no database")


def wsgi(environ: object, start_response: object) -> None:
    """An application."""


HERE = __name__


class LoadTests(SynchronousTestCase):
    """What C{module:attr} finds."""

    def test_a_class(self) -> None:
        self.assertIs(load(f"{HERE}:Application"), Application)
        self.assertIs(load(f"{HERE}:Application.Inner"), Application.Inner)

    def test_a_factory(self) -> None:
        self.assertIs(load(f"{HERE}:factory"), factory)

    def test_what_a_function_makes(self) -> None:
        self.assertIs(load(f"{HERE}:make()"), factory)
        self.assertIn("with () behind it", self.refused(f"{HERE}:make"))
        self.assertIn("RuntimeError: no database", self.refused(f"{HERE}:fail()"))
        self.assertIn("test_loading.py, line", self.refused(f"{HERE}:fail()"))
        self.assertIn("that is no function", self.refused(f"{HERE}:nonsense()"))
        self.assertIn("is called without arguments", self.refused(f"{HERE}:make(1)"))

    def test_a_callable(self) -> None:
        self.assertIs(load(f"{HERE}:wsgi"), wsgi)
        text = str(self.assertRaises(BadImport, load, f"{HERE}:factory", "wsgi"))
        self.assertIn("runs on Twisted", text)

    def refused(self, name: str) -> str:
        text = str(self.assertRaises(BadImport, load, name))
        self.assertNotIn("\n", text)
        return text

    def test_something_else(self) -> None:
        self.assertIn("neither a subclass", self.refused(f"{HERE}:nonsense"))
        self.assertIn("neither a subclass", self.refused(f"{HERE}:Path"))

    def test_not_an_import_string(self) -> None:
        for name in ("hello", "hello:", ":Hello", ""):
            self.assertIn("is not module:attribute", self.refused(name))

    def test_a_file(self) -> None:
        self.assertEqual(
            self.refused("blog.py:Blog"), "blog.py is a file, and a module is wanted: blog:Blog"
        )
        self.assertTrue(self.refused("./shop/web.py:Web").endswith(": shop.web:Web"))

    def test_no_such_module(self) -> None:
        self.assertIn(
            "cannot import no_such_module: ModuleNotFoundError", self.refused("no_such_module:A")
        )

    def test_no_such_attribute(self) -> None:
        self.assertEqual(self.refused(f"{HERE}:Nope"), f"{HERE} has no Nope")
        self.assertEqual(
            self.refused(f"{HERE}:Aplication"),
            f"{HERE} has no Aplication; did you mean Application?",
        )
        self.assertEqual(
            self.refused(f"{HERE}:Application.Iner"),
            f"{HERE} has no Application.Iner; did you mean Inner?",
        )

    def here(self, **modules: str) -> None:
        """Be in a folder with these modules."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text)
            self.addCleanup(sys.modules.pop, name, None)
        before, path = os.getcwd(), list(sys.path)
        os.chdir(folder)
        self.addCleanup(os.chdir, before)
        self.patch(sys, "path", [each for each in path if each])

    def test_where_it_fails(self) -> None:
        """The line is the application's, also where a library that it calls raises."""
        self.here(
            deep_settings="import json\n\nCONFIG = json.loads('{oops')\n",
            deep_application="import deep_settings\n",
            wrong_syntax="\ndef app(:\n",
        )
        error = self.assertRaises(BadImport, load, "deep_application:app")
        self.assertRegex(str(error), r"JSONDecodeError: .* \(.*/deep_settings\.py, line 3\)$")
        lines = error.trace.splitlines()
        self.assertEqual(lines[0], "Traceback (most recent call last):")
        self.assertIn("deep_application.py", lines[1])
        self.assertIn("json/decoder.py", error.trace)
        self.assertNotIn("importlib", error.trace)
        self.assertNotIn("loading.py", error.trace)
        error = self.assertRaises(BadImport, load, "wrong_syntax:app")
        self.assertIn('wrong_syntax.py", line 2', error.trace)
        self.assertEqual(self.assertRaises(BadImport, load, "no_such_module:A").trace, "")

    def test_the_current_directory_is_searched(self) -> None:
        self.here(broken_application="\n\nraise RuntimeError('on\\npurpose')\n")
        text = self.refused("broken_application:A")
        self.assertIn("RuntimeError: on purpose", text)
        self.assertIn("broken_application.py, line 3", text)
