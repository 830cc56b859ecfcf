"""The documents lead where they say."""

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")


class LinkTests(SynchronousTestCase):
    def test_relative_links(self) -> None:
        """Every relative link of README and docs has its file."""
        pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        self.assertGreater(len(pages), 10)
        missing = []
        count = 0
        for page in pages:
            for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
                if "://" in target:
                    continue
                count += 1
                if not (page.parent / target).exists():
                    missing.append(f"{page.relative_to(ROOT)}: {target}")
        self.assertEqual(missing, [])
        self.assertGreater(count, 15)
