"""What is said of extensions that are not there."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.compiled import missing, shortfall


class ShortfallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.package = Path(self.mktemp())
        (self.package / "relay").mkdir(parents=True)
        (self.package / "_ring.pyx").touch()
        (self.package / "relay" / "_flow.pyx").touch()

    def compile(self, name: str) -> None:
        (self.package / f"{name}{EXTENSION_SUFFIXES[0]}").touch()

    def test_nothing(self) -> None:
        self.assertEqual(missing(self.package), ["_ring", "relay._flow"])
        self.assertIn("nothing is compiled here", shortfall(self.package) or "")

    def test_one_of_two(self) -> None:
        self.compile("_ring")
        self.assertEqual(
            shortfall(self.package), "not all is compiled here: relay._flow is missing"
        )

    def test_all(self) -> None:
        self.compile("_ring")
        self.compile("relay/_flow")
        self.assertIsNone(shortfall(self.package))

    def test_an_extension_for_another_python_does_not_count(self) -> None:
        (self.package / "_ring.cpython-27-x86_64-linux-gnu.so").touch()
        self.assertEqual(missing(self.package), ["_ring", "relay._flow"])
