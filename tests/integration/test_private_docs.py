"""What docs/howto/private.md tells to do."""

from __future__ import annotations

from tests.integration.page_case import PageCase
from tests.rigs.paths import ROOT

PAGE = ROOT / "docs" / "howto" / "private.md"


class PrivateDocsTests(PageCase):
    def test_links(self) -> None:
        ready = ("admin on", "registered")
        told = self.follow(PAGE, "tests/integration/test_private_docs.py", ("8080",), ready)
        self.assertEqual(told, "403\n")
