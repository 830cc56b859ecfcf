"""The floors of pyproject.toml, as they are tested."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT
from tools.floors import floors

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class FloorTests(SynchronousTestCase):
    def test_each_requirement_at_its_floor(self) -> None:
        project = {
            "dependencies": ["httptools>=0.6.4", "tomli>=2; python_version < '3.11'"],
            "optional-dependencies": {"tls": ["pyOpenSSL>=26.0"], "test": ["pytest>=8"]},
        }
        self.assertEqual(
            floors(project, ["tls"]),
            ["httptools==0.6.4", "tomli==2; python_version < '3.11'", "pyOpenSSL==26.0"],
        )

    def test_what_has_no_floor_is_refused(self) -> None:
        for requirement in ("Twisted", "Twisted<27", "Twisted>=26,<27"):
            with self.assertRaises(ValueError):
                floors({"dependencies": [requirement]}, [])

    def test_ours(self) -> None:
        """All that users get has one, and Twisted's is that of the last security release."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        found = floors(project, ["tls", "image"])
        self.assertIn("Twisted==26.10", found)
        self.assertEqual(len(found), len(set(found)))
