"""A root file system in memory: links, replacing, and the entries of an archive."""

from __future__ import annotations

import stat

from twisted.trial.unittest import SynchronousTestCase

from guest.image.rootfs import Inode, Rootfs, RootfsError, folder, parts_of


def file(data: bytes = b"") -> Inode:
    return Inode(stat.S_IFREG | 0o644, data)


def link(target: str) -> Inode:
    return Inode(stat.S_IFLNK | 0o777, target.encode())


class RootfsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Rootfs()

    def names(self) -> list[str]:
        return [path for path, _ in self.root.walk()]

    def test_folders_on_the_way_are_made(self) -> None:
        self.root.put("a/b/c", file(b"x"))
        self.assertEqual(self.names(), ["", "a", "a/b", "a/b/c"])

    def test_a_leading_slash_and_dots_mean_nothing(self) -> None:
        self.root.put("/a/./b//c", file())
        self.assertEqual(self.names()[-1], "a/b/c")

    def test_what_leads_out_is_refused(self) -> None:
        for path in ("../a", "a/../../b", "a/..", "/..", "a\0b"):
            self.assertRaises(RootfsError, self.root.put, path, file())
        self.assertEqual(parts_of("a/..b/..."), ["a", "..b", "..."])

    def test_links_on_the_way_are_followed_within_the_root(self) -> None:
        self.root.put("usr/lib", folder())
        self.root.put("lib", link("usr/lib"))
        self.root.put("up", link("../../../usr"))
        self.root.put("abs", link("/usr/lib"))
        self.root.put("lib/one", file())
        self.root.put("up/two", file())
        self.root.put("abs/three", file())
        found = [path for path in self.names() if path.startswith("usr/")]
        self.assertEqual(found, ["usr/lib", "usr/lib/one", "usr/lib/three", "usr/two"])

    def test_a_link_at_the_end_is_replaced(self) -> None:
        self.root.put("a", link("b"))
        self.root.put("a", file(b"new"))
        self.assertEqual(self.names(), ["", "a"])

    def test_a_dangling_link_on_the_way_leads_to_a_new_folder(self) -> None:
        self.root.put("a", link("b/c"))
        self.root.put("a/file", file())
        self.assertEqual(self.names(), ["", "a", "b", "b/c", "b/c/file"])

    def test_a_circle_of_links_ends(self) -> None:
        self.root.put("a", link("b"))
        self.root.put("b", link("a"))
        self.assertRaises(RootfsError, self.root.put, "a/file", file())
        self.assertRaises(RootfsError, self.root.lookup, "/a")

    def test_below_a_file_nothing_can_be(self) -> None:
        self.root.put("a", file(b"x"))
        for path in ("a/b", "a/b/c"):
            self.assertRaises(RootfsError, self.root.put, path, file())
        self.assertRaises(RootfsError, self.root.put, "/", file())
        self.assertEqual(self.names(), ["", "a"])

    def test_a_folder_over_a_folder_keeps_what_it_holds(self) -> None:
        self.root.put("a/b", file())
        self.root.put("a", Inode(stat.S_IFDIR | 0o700, owner=(1, 2)))
        found = self.root.lookup("a")
        assert found is not None
        self.assertEqual((found.mode, found.owner, list(found.names)), (0o40700, (1, 2), ["b"]))

    def test_a_file_over_a_folder_takes_its_place(self) -> None:
        self.root.put("a/b", file())
        self.root.put("a", file())
        self.assertEqual(self.names(), ["", "a"])

    def test_the_root_has_a_mode_too(self) -> None:
        self.root.put("a", file())
        self.root.put(".", Inode(stat.S_IFDIR | 0o711))
        self.assertEqual((self.root.top.mode, self.names()), (0o40711, ["", "a"]))

    def test_lookup(self) -> None:
        self.root.put("usr/bin/env", file(b"x"))
        self.root.put("bin", link("usr/bin"))
        self.root.put("env", link("bin/env"))
        for path in ("/bin/env", "bin/../bin/env", "/../env", "env"):
            found = self.root.lookup(path)
            self.assertEqual(found and found.data, b"x", path)
        for path in ("/none", "bin/env/x", "usr/none/x"):
            self.assertIsNone(self.root.lookup(path), path)
        unfollowed = self.root.lookup("env", follow=False)
        assert unfollowed is not None
        self.assertTrue(unfollowed.is_link)
        self.assertIsNone(self.root.exactly(["bin", "env"]))

    def test_entries(self) -> None:
        shared = file(b"x")
        self.root.put("b", shared)
        self.root.put("a", shared)
        self.root.put("c", file(b"y"))
        found = {entry.path: entry for entry in self.root.entries("rootfs")}
        self.assertEqual(list(found), ["rootfs", "rootfs/a", "rootfs/b", "rootfs/c"])
        self.assertEqual(found["rootfs/a"].file, found["rootfs/b"].file)
        self.assertEqual((found["rootfs/c"].file, found["rootfs"].file), (0, 0))
        self.assertNotEqual(found["rootfs/a"].file, 0)
