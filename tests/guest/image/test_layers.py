"""Layers, applied: what the OCI image specification says, and what tools really write."""

from __future__ import annotations

import io
import stat
import tarfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image.layers import Layer, LayerError, apply, read_layer
from guest.image.rootfs import Rootfs
from tests.rigs.container_archives import Member, hard_link, layer, link


def root_of(*layers: bytes) -> Rootfs:
    root = Rootfs()
    for each in layers:
        apply(read_layer(io.BytesIO(each)), root)
    return root


def shown(root: Rootfs) -> dict[str, object]:
    """What each name is: the content of a file, C{-> TARGET}, or C{/} for a folder."""
    found: dict[str, object] = {}
    for path, inode in root.walk():
        if path and inode.is_link:
            found[path] = f"-> {inode.data.decode()}"
        elif path:
            found[path] = "/" if inode.is_folder else inode.data
    return found


class LayerTests(SynchronousTestCase):
    def check(self, expected: dict[str, object], *layers: bytes) -> None:
        self.assertEqual(shown(root_of(*layers)), expected)

    def refused(self, reason: str, *layers: bytes) -> None:
        with self.assertRaisesRegex(LayerError, reason):
            root_of(*layers)

    def test_files_of_every_kind(self) -> None:
        root = root_of(
            layer(
                ("d/", {"mode": 0o1777, "uid": 5, "gid": 6}),
                ("d/file", b"content"),
                link("d/link", "/etc/../x"),
                ("d/null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3, "mode": 0o666}),
                ("d/sda", {"type": tarfile.BLKTYPE, "devmajor": 8, "devminor": 0}),
                ("d/fifo", {"type": tarfile.FIFOTYPE, "mode": 0o600}),
            )
        )
        found = dict(root.walk())
        self.assertEqual((found["d"].mode, found["d"].owner), (0o41777, (5, 6)))
        self.assertEqual(found["d/link"].data, b"/etc/../x")
        self.assertEqual((found["d/null"].mode, found["d/null"].device), (0o20666, (1, 3)))
        self.assertTrue(stat.S_ISBLK(found["d/sda"].mode))
        self.assertEqual((found["d/fifo"].mode, found["d/fifo"].device), (0o10600, (0, 0)))

    def test_modes_owners_and_dates(self) -> None:
        member = tarfile.TarInfo("a")
        member.mode, member.uid, member.gid, member.mtime = 0o6755, 3_000_000, 7, 1234.9
        inode = root_of(layer(member)).top.names["a"]
        self.assertEqual((inode.mode, inode.owner, inode.date), (0o106755, (3_000_000, 7), 1234))

    def test_dates_outside_of_what_an_archive_can_hold(self) -> None:
        for wrong, kept in ((-5, 0), (2**40, 0xFFFFFFFF)):
            found = root_of(layer(("a", {"mtime": wrong}))).top.names["a"]
            self.assertEqual(found.date, kept)

    def test_long_names_of_each_format(self) -> None:
        name = "/".join(["folder" * 5] * 4) + "/" + "n" * 90
        for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
            self.assertEqual(shown(root_of(layer((name, b"x"), format=kind)))[name], b"x")

    def test_names_that_are_no_utf_8(self) -> None:
        data = layer(("a\udcff", b"x"), format=tarfile.GNU_FORMAT)
        self.check({"a\udcff": b"x"}, data)

    def test_hard_links_share_a_file(self) -> None:
        root = root_of(layer(("a", b"x"), ("d/", {}), hard_link("d/b", "a"), hard_link("c", "/a")))
        names = root.top.names
        self.assertIs(names["a"], names["d"].names["b"])
        self.assertIs(names["a"], names["c"])

    def test_a_hard_link_to_a_lower_layer(self) -> None:
        self.check({"a": b"x", "b": b"x"}, layer(("a", b"x")), layer(hard_link("b", "a")))

    def test_a_hard_link_keeps_its_file(self) -> None:
        """Whatever becomes of its first name above (C{findings/crane-hard-link.sh})."""
        below = layer(("a", b"x"), hard_link("b", "a"))
        self.check({"a": b"y", "b": b"x"}, below, layer(("a", b"y")))
        self.check({"b": b"x"}, below, layer((".wh.a", b"")))

    def test_a_hard_link_to_a_link_is_that_link(self) -> None:
        self.check({"a": "-> x", "b": "-> x"}, layer(link("a", "x"), hard_link("b", "a")))

    def test_hard_links_that_are_refused(self) -> None:
        self.refused("hard link to none", layer(hard_link("a", "none")))
        self.refused("hard link to d", layer(("d/", {}), hard_link("a", "d")))
        self.refused("leads out", layer(hard_link("a", "../x")))

    def test_a_whiteout(self) -> None:
        below = layer(("d/", {}), ("d/a", b"1"), ("d/b", b"2"), ("e/x/y", b"3"))
        self.check({"d": "/", "d/b": b"2"}, below, layer(("d/.wh.a", b""), (".wh.e", b"")))

    def test_a_whiteout_of_nothing_is_nothing(self) -> None:
        self.check({"a": b"1"}, layer(("a", b"1")), layer((".wh.b", b""), ("x/y/.wh.z", b"")))

    def test_whiteouts_count_for_lower_layers_only(self) -> None:
        below = layer(("d/a", b"old"), ("d/b", b"old"))
        for order in (0, 1):
            members: list[Member] = [("d/a", b"new"), ("d/.wh.a", b"")]
            if order:
                members.reverse()
            self.check({"d": "/", "d/a": b"new", "d/b": b"old"}, below, layer(*members))

    def test_an_opaque_whiteout(self) -> None:
        below = layer(("d/a", b"1"), ("d/e/f", b"2"), ("g", b"3"))
        members: list[Member] = [("d/new", b"4"), ("d/.wh..wh..opq", b"")]
        for order in (1, -1):
            expected = {"d": "/", "d/new": b"4", "g": b"3"}
            self.check(expected, below, layer(*members[::order]))

    def test_a_folder_that_became_a_link(self) -> None:
        # umoci writes the link, and then a whiteout of what the folder held behind it.
        below = layer(("srv/x", b"kept"), ("srv/dir/x", b"1"), ("srv/dir/y", b"2"))
        above = layer(link("srv/dir", "/srv"), ("srv/dir/.wh.x", b""), ("srv/dir/.wh.y", b""))
        self.check({"srv": "/", "srv/x": b"kept", "srv/dir": "-> /srv"}, below, above)

    def test_whiteouts_follow_no_link_of_a_lower_layer(self) -> None:
        below = layer(("real/a", b"1"), link("link", "real"))
        self.check(
            {"real": "/", "real/a": b"1", "link": "-> real"},
            below,
            layer(("link/.wh.a", b""), ("link/.wh..wh..opq", b"")),
        )

    def test_files_of_aufs_are_left_out(self) -> None:
        self.check({"a": b"1"}, layer(("a", b"1"), (".wh..wh.aufs", b""), (".wh..wh.plnk/", {})))

    def test_whiteouts_that_are_refused(self) -> None:
        for name in (".wh.", ".wh..", "d/.wh..."):
            self.refused("whiteout of nothing", layer((name, b"")))

    def test_a_folder_of_a_lower_layer_becomes_a_file_and_back(self) -> None:
        below = layer(("a/b", b"1"))
        self.check({"a": b"2"}, below, layer(("a", b"2")))
        self.check(
            {"a": "/", "a/c": b"3"}, below, layer(("a", b"2")), layer(("a/", {}), ("a/c", b"3"))
        )

    def test_what_leads_out_is_refused(self) -> None:
        for name in ("../a", "a/../../b", "..", "/../a", "x/.."):
            self.refused("leads out", layer((name, b"")))

    def test_through_a_link_nothing_leaves_the_root(self) -> None:
        self.check(
            {"out": "-> ../../../tmp", "tmp": "/", "tmp/x": b"1"},
            layer(link("out", "../../../tmp"), ("out/x", b"1")),
        )

    def test_below_a_file_is_refused(self) -> None:
        self.refused("a is no folder, or below a file", layer(("a", b"1")), layer(("a/b", b"2")))

    def test_a_last_block_that_is_not_filled_up(self) -> None:
        whole = layer(("a", b"x" * 600))
        self.check({"a": b"x" * 600}, whole[: 512 + 600])

    def test_broken_tars_are_refused(self) -> None:
        whole = layer(("a", b"x" * 600), ("b", b"y"))
        self.refused("", b"")
        self.refused("", b"no tar" * 200)
        self.refused("unexpected end", whole[:700])
        spoilt = bytearray(whole)
        spoilt[512 + 1024 + 150] ^= 1  # the checksum of the second header
        self.refused("a broken tar, at byte 1536", bytes(spoilt))

    def test_an_unknown_type_is_refused(self) -> None:
        self.refused("unknown type", layer(("a", {"type": b"Z"})))

    def test_an_empty_layer(self) -> None:
        self.check({}, layer())

    def test_capabilities_are_told(self) -> None:
        member = tarfile.TarInfo("bin/ping")
        member.pax_headers = {"SCHILY.xattr.security.capability": "x"}
        self.assertEqual(read_layer(io.BytesIO(layer(member))).capable, ["bin/ping"])


# A model: a tree is a dictionary of paths, and what differs from one to the next is a layer.

NAMES = st.sampled_from("abc")
CONTENTS = st.one_of(st.binary(max_size=3), st.sampled_from("abc").map(lambda name: f"-> {name}"))
TREES: st.SearchStrategy[Any] = st.recursive(
    st.dictionaries(NAMES, CONTENTS, max_size=3),
    lambda inner: st.dictionaries(NAMES, st.one_of(CONTENTS, inner), max_size=3),
    max_leaves=12,
)


def difference(old: Any, new: Any, opaque: bool, prefix: str = "") -> list[Member]:
    """The members of a layer that makes C{new} of C{old}."""
    members: list[Member] = []
    if opaque and old:
        members.append((f"{prefix}.wh..wh..opq", b""))
        old = {}
    for name in sorted(set(old) - set(new)):
        members.append((f"{prefix}.wh.{name}", b""))
    for name, what in sorted(new.items()):
        path = f"{prefix}{name}"
        before = old.get(name)
        if isinstance(what, dict):
            members.append((f"{path}/", {}))
            inner = before if isinstance(before, dict) else {}
            members += difference(inner, what, opaque, f"{path}/")
        elif what != before:
            members.append(link(path, what[3:]) if isinstance(what, str) else (path, what))
    return members


def flat(tree: Any, prefix: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, what in tree.items():
        found[prefix + name] = "/" if isinstance(what, dict) else what
        if isinstance(what, dict):
            found |= flat(what, f"{prefix}{name}/")
    return found


class ModelTests(SynchronousTestCase):
    @given(st.lists(TREES, min_size=1, max_size=4), st.booleans())
    def test_layers_of_differences_give_the_last_tree(self, trees: list[Any], opaque: bool) -> None:
        root, before = Rootfs(), {}
        for tree in trees:
            apply(read_layer(io.BytesIO(layer(*difference(before, tree, opaque)))), root)
            self.assertEqual(shown(root), flat(tree))
            before = tree

    @given(st.binary(max_size=1500))
    def test_whatever_is_no_tar_is_refused(self, data: bytes) -> None:
        try:
            found = read_layer(io.BytesIO(data))
        except LayerError:
            return
        self.assertIsInstance(found, Layer)
