"""docs/howto/tls.md, as a reader types it."""

from __future__ import annotations

from tests.integration.harness import ROOT
from tests.integration.page_case import PageCase

PAGE = ROOT / "docs" / "howto" / "tls.md"


class TlsPageTests(PageCase):
    def test_the_block(self) -> None:
        """Every command of it, in order; the servers until they answer."""
        ready = ("guests on", "registered")
        told = self.follow(PAGE, "tests/integration/test_tls_docs.py", ("8443",), ready)
        self.assertIn("*.blog.example, blog.example", told)
        self.assertRegex(told, r"29\.9|30\.0")
