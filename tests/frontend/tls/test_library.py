"""Which TLS library is used."""

from __future__ import annotations

import ssl
from unittest import SkipTest, mock

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.tls.interfaces import LibraryUnavailable
from subproxy.frontend.tls.library import choose_library
from subproxy.frontend.tls.python_engine import PythonEngine

PLACES = {name: f"subproxy.frontend.tls.{name}_engine" for name in ("system", "wheel")}


class LibraryTests(SynchronousTestCase):
    def setUp(self) -> None:
        try:
            from subproxy.frontend.tls import system_engine, wheel_engine
        except ImportError as error:
            raise SkipTest(str(error))
        self.system, self.wheel = system_engine, wheel_engine

    def test_chosen(self) -> None:
        """By its name, or the first of those that there are."""
        for asked, made in (
            ("auto", self.system.SystemEngine),
            ("system", self.system.SystemEngine),
            ("wheel", self.wheel.WheelEngine),
            ("python", PythonEngine),
        ):
            found, why = choose_library(asked)
            self.assertEqual((type(found), why), (made, ""))

    def test_one_that_fails(self) -> None:
        """It is not used if its handshake does not work."""
        for error in (ssl.SSLError("why"), AssertionError("why")):
            with mock.patch("subproxy.frontend.tls.trial_handshake.try_out", side_effect=error):
                for asked in ("system", "wheel"):
                    failure = self.assertRaises(LibraryUnavailable, choose_library, asked)
                    self.assertIn("fails:", str(failure))

    def test_the_next_one(self) -> None:
        """Where there is no better one; why is told."""
        with mock.patch.object(self.system, "load", side_effect=OSError("not there")):
            engine, why = choose_library("auto")
            self.assertIsInstance(engine, self.wheel.WheelEngine)
            self.assertIn("not there", why)
            self.assertRaises(LibraryUnavailable, choose_library, "system")
            with mock.patch.object(self.wheel, "NAMES", ("SSL_nothing",)):
                engine, why = choose_library("auto")
                self.assertIsInstance(engine, PythonEngine)
                self.assertIn("not there", why)
                self.assertIn("has no SSL_nothing", why)

    def test_not_compiled(self) -> None:
        with mock.patch.dict("sys.modules", dict.fromkeys(PLACES.values())):
            engine, why = choose_library("auto")
            self.assertIsInstance(engine, PythonEngine)
            self.assertIn("not compiled", why)
            for asked in PLACES:
                self.assertRaises(LibraryUnavailable, choose_library, asked)
        self.assertIsInstance(choose_library("python")[0], PythonEngine)
