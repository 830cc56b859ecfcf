"""The paths that documents have told users to import from stay what they were."""

from __future__ import annotations

import inspect
import re
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

PUBLIC = {
    "guest.errors": "guest.core.errors",
    "guest.framework": "guest.core.framework",
    "guest.request": "guest.core.request",
    "guest.response": "guest.core.response",
    "guest.vsock": "guest.twisted.vsock",
}
"""Of each public path, where its names are defined."""

OF_SHELLS = {
    "asyncio_framework": "guest.asyncio.framework",
    "twisted_framework": "guest.twisted.framework",
}
"""Names of C{guest.framework} that import a framework, when they are asked for."""


class PublicPathTests(SynchronousTestCase):
    def test_they_give_the_same_objects(self) -> None:
        """And all public classes of the module behind them."""
        for public, home in PUBLIC.items():
            path, behind = import_module(public), import_module(home)
            for name in path.__all__:
                shell = import_module(OF_SHELLS[name]) if name in OF_SHELLS else behind
                self.assertIs(getattr(path, name), getattr(shell, name), name)
            with self.assertRaises(AttributeError):
                path.nonsense  # noqa: B018
            classes = {
                name
                for name, value in vars(behind).items()
                if inspect.isclass(value) and value.__module__ == home and not name.startswith("_")
            }
            self.assertEqual(classes - set(path.__all__), set(), public)

    def test_documents_name_no_other(self) -> None:
        """Nobody is told to import from a room of the guest's, which may change."""
        pages = [ROOT / "README.md", *(ROOT / "docs" / "howto").rglob("*.md")]
        pages += [*(ROOT / "docs" / "tutorial").rglob("*.md"), ROOT / "docs/reference/guest.md"]
        told: set[str] = set()
        for page in pages:
            told |= set(re.findall(r"\bguest\.(?:core|twisted|cli)\b", page.read_text("utf-8")))
        self.assertEqual(told, set())

    def test_the_page_names_each_error(self) -> None:
        text = (ROOT / "docs" / "reference" / "guest.md").read_text("utf-8")
        for name in import_module("guest.errors").__all__:
            self.assertIn(f"`{name}`", text)
