"""The newc archive: round trips, order, reproducibility, and what is refused."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from guest.image.cpio import CpioError, Entry, Tree, pack, unpack

NAMES = st.text("abc-_.ü", min_size=1, max_size=6).filter(lambda name: name not in {".", ".."})
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=50), max_size=12)


def tree_of(files: dict[str, bytes]) -> Tree:
    """A tree of those files that don't stand where another's folder must be."""
    tree = Tree()
    for path, data in files.items():
        try:
            tree.file(path, data)
        except CpioError:
            continue
    return tree


class PackTests(SynchronousTestCase):
    @given(FILES)
    def test_unpacks_to_what_was_packed(self, files: dict[str, bytes]) -> None:
        tree = tree_of(files)
        self.assertEqual(list(unpack(pack(tree))), list(tree))

    @given(FILES, st.randoms())
    def test_the_order_of_adding_changes_nothing(self, files: dict[str, bytes], random) -> None:
        kept = {e.path: e.data for e in tree_of(files) if stat.S_ISREG(e.mode)}
        shuffled = list(kept.items())
        random.shuffle(shuffled)
        self.assertEqual(pack(tree_of(kept)), pack(tree_of(dict(shuffled))))

    @given(FILES)
    def test_folders_come_before_what_they_hold(self, files: dict[str, bytes]) -> None:
        seen = {"."}
        for entry in unpack(pack(tree_of(files))):
            self.assertIn(entry.path.rpartition("/")[0] or ".", seen)
            seen.add(entry.path)

    @given(FILES, st.data())
    def test_an_archive_cut_short_is_refused(self, files: dict[str, bytes], data) -> None:
        archive = pack(tree_of(files)).rstrip(b"\0")
        end = data.draw(st.integers(0, len(archive) - len(b"TRAILER!!!")))
        with self.assertRaises(CpioError):
            list(unpack(archive[:end]))

    def test_a_node_and_a_link_keep_their_kind(self) -> None:
        tree = Tree()
        tree.character_device("dev/console", 5, 1)
        tree.link("bin/python3", "python3.11")
        entries = {entry.path: entry for entry in unpack(pack(tree))}
        self.assertTrue(stat.S_ISCHR(entries["dev/console"].mode))
        self.assertEqual(entries["dev/console"].device, (5, 1))
        self.assertEqual(entries["bin/python3"].data, b"python3.11")

    def test_the_epoch_is_every_files_date(self) -> None:
        tree = tree_of({"a": b"1"})
        self.assertIn(b"%08X" % 1700000000, pack(tree, 1700000000))
        for epoch in (-1, 1 << 32):
            with self.assertRaises(CpioError):
                pack(tree, epoch)

    def test_owners_and_dates_of_their_own(self) -> None:
        entry = Entry("a", stat.S_IFREG | 0o4755, b"x", owner=(1000, 7), date=1234)
        archive = pack([entry], 99)
        self.assertEqual([each.owner for each in unpack(archive)], [(1000, 7)])
        self.assertIn(b"%08X%08X%08X%08X" % (1000, 7, 1, 1234), archive)
        self.assertNotIn(b"%08X" % 99, archive)

    def test_a_file_with_several_names_has_its_content_once(self) -> None:
        entries = [Entry(path, stat.S_IFREG | 0o644, b"content", file=5) for path in "abc"]
        entries.insert(1, Entry("aa", stat.S_IFREG | 0o644, b"other"))
        archive = pack(entries)
        self.assertEqual(archive.count(b"content"), 1)
        self.assertEqual(
            [(e.path, e.data, e.file) for e in unpack(archive)],
            [("a", b"content", 1), ("aa", b"other", 0), ("b", b"", 1), ("c", b"", 1)],
        )

    def test_the_cpio_tool_makes_the_links(self) -> None:
        if shutil.which("cpio") is None:
            raise SkipTest("the tool cpio is not installed")
        entries = [Entry(path, stat.S_IFREG | 0o644, b"content", file=5) for path in "abc"]
        folder = Path(self.mktemp())
        folder.mkdir()
        subprocess.run(["cpio", "-i", "--quiet"], input=pack(entries), cwd=folder, check=True)
        found = [(folder / name).stat() for name in "abc"]
        self.assertEqual({(each.st_ino, each.st_nlink) for each in found}, {(found[0].st_ino, 3)})
        self.assertEqual((folder / "c").read_bytes(), b"content")

    def test_the_cpio_tool_reads_it(self) -> None:
        if shutil.which("cpio") is None:
            raise SkipTest("the tool cpio is not installed")
        tree = tree_of({"a/b": b"x" * 5, "c": b""})
        done = subprocess.run(
            ["cpio", "-it", "--quiet"], input=pack(tree), capture_output=True, check=True
        )
        self.assertEqual(done.stdout.split(), [b"a", b"a/b", b"c"])


class RefusalTests(SynchronousTestCase):
    def test_what_linux_would_pass_over(self) -> None:
        Entry("a/" * 2047 + "b", stat.S_IFREG | 0o644)
        self.assertRaises(CpioError, Entry, "a/" * 2047 + "bc", stat.S_IFREG | 0o644)
        for wrong in ({"owner": (1 << 32, 0)}, {"date": -1}, {"device": (0, -1)}):
            self.assertRaises(CpioError, Entry, "a", stat.S_IFREG | 0o644, **wrong)

    def test_paths_that_leave_the_image_or_are_not_plain(self) -> None:
        for path in ("", "/etc", "../a", "a/../b", "a//b", "./a", "a/", "a\0b", "TRAILER!!!", "."):
            with self.assertRaises(CpioError, msg=path):
                Entry(path, stat.S_IFREG)

    def test_a_file_is_no_folder(self) -> None:
        tree = tree_of({"a": b""})
        with self.assertRaises(CpioError):
            tree.file("a/b", b"")
        tree.file("c/d", b"")
        with self.assertRaises(CpioError):
            tree.file("c", b"")

    def test_only_files_and_links_have_content(self) -> None:
        with self.assertRaises(CpioError):
            Entry("a", stat.S_IFDIR, b"x")

    @given(st.binary(max_size=200))
    def test_other_bytes_are_no_archive(self, data: bytes) -> None:
        with self.assertRaises(CpioError):
            list(unpack(data))
