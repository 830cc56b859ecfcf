"""The documents lead where they say, and can be found."""

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.paths import ROOT

DOCS = ROOT / "docs"
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)]*))?\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """All documents that a reader is led to."""
    loose = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "benchmarks").glob("*.md")]
    return [*loose, *sorted(DOCS.rglob("*.md"))]


def links(page: Path) -> list[tuple[Path, str]]:
    """The file and the anchor of each relative link of a page."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    found = [match for match in LINK.findall(text) if "://" not in match[0]]
    return [((page.parent / target if target else page).resolve(), to) for target, to in found]


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = FENCED.sub("", page.read_text(encoding="utf-8"))
    kept = (re.sub(r"[^\w\- ]", "", each.lower()) for each in HEADING.findall(text))
    return {each.strip().replace(" ", "-") for each in kept}


class LinkTests(SynchronousTestCase):
    def test_relative_links(self) -> None:
        """Every relative link has its file, and its heading."""
        self.assertGreater(len(pages()), 15)
        missing = []
        count = 0
        for page in pages():
            for target, anchor in links(page):
                count += 1
                if not target.exists():
                    missing.append(f"{page.relative_to(ROOT)}: {target}")
                elif anchor and anchor not in anchors(target):
                    missing.append(f"{page.relative_to(ROOT)}: {target}#{anchor}")
        self.assertEqual(missing, [])
        self.assertGreater(count, 60)


class MentionTests(SynchronousTestCase):
    def test_pages_that_the_code_names_are_there(self) -> None:
        """C{docs/protocol.md} in a docstring, a comment or a script."""
        named = re.compile(r"(?<![\w/])(?:docs|benchmarks)/[\w/-]+\.md\b")
        files = [ROOT / "Makefile", *(ROOT / ".ci").iterdir()]
        for folder in ("subproxy", "guest", "tests", "benchmarks", "tools", "examples"):
            files += (ROOT / folder).rglob("*.py")
            files += (ROOT / folder).rglob("*.pyx")
        mentioned = {each for file in files for each in named.findall(file.read_text("utf-8"))}
        self.assertGreater(len(mentioned), 8)
        self.assertEqual({each for each in mentioned if not (ROOT / each).exists()}, set())


class IndexTests(SynchronousTestCase):
    """docs/README.md is the index, and README's table agrees with it."""

    def linked(self, page: Path) -> set[Path]:
        return {target for target, _ in links(page) if DOCS in target.parents}

    def test_every_page_is_in_the_index(self) -> None:
        index = DOCS / "README.md"
        self.assertEqual(self.linked(index) | {index}, set(DOCS.rglob("*.md")))

    def test_every_page_is_in_the_table_of_the_readme(self) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        table = text[text.index("## Documentation") : text.index("## Limits")]
        found = {(ROOT / target).resolve() for target, _ in LINK.findall(table)}
        self.assertLessEqual(set(DOCS.rglob("*.md")), found)

    def test_pages_stand_with_their_kind(self) -> None:
        """Only the normative page and the index lie at the top; the rest, by kind, in folders."""
        loose = {path.name for path in DOCS.glob("*.md")}
        self.assertEqual(loose, {"README.md", "protocol.md"})
        folders = {path.name for path in DOCS.iterdir() if path.is_dir()}
        self.assertEqual(folders, {"tutorial", "howto", "reference", "explanation"})


class WidthTests(SynchronousTestCase):
    def test_prose_is_wrapped(self) -> None:
        """At 100 columns, but for tables, code, and what can't be broken."""
        atom = re.compile(r"!?\[[^\]]*\]\([^)]*\)|`[^`]*`")
        long = []
        for page in pages():
            text = FENCED.sub("", page.read_text(encoding="utf-8"))
            for line in text.splitlines():
                if len(line) <= 100 or line.startswith(("|", "    ", "<!--")):
                    continue
                if " " in atom.sub("-", line.strip().removeprefix("- ")):
                    long.append(f"{page.relative_to(ROOT)}: {line}")
        self.assertEqual(long, [])
