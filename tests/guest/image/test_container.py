"""Container images in archives: which is meant, and what is refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from guest.image.container import ContainerImage, read_container
from guest.image.container_archive import ContainerArchive, ContainerError
from tests.rigs.container_archives import (
    OciLayout,
    archive,
    config,
    digest,
    docker_archive,
    hard_link,
    layer,
    link,
)

LAYER = layer(("a", b"1"))
ABOVE = layer(("b", b"2"), (".wh.a", b""))


def zstd(data: bytes) -> bytes:
    if shutil.which("zstd") is None:
        raise SkipTest("no zstd here")
    return subprocess.run(["zstd", "-cq"], input=data, capture_output=True, check=True).stdout


class ContainerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def read(self, data: bytes, tag: str | None = None) -> ContainerImage:
        self.path.write_bytes(data)
        return read_container(self.path, tag)

    def names(self, data: bytes, tag: str | None = None) -> list[str]:
        return sorted(self.read(data, tag).root.top.names)

    def refused(self, reason: str, data: bytes, tag: str | None = None) -> None:
        with self.assertRaisesRegex(ContainerError, reason):
            self.read(data, tag)

    def test_docker_save(self) -> None:
        found = self.read(docker_archive([LAYER, ABOVE], Env=["A=1"], Entrypoint=["/b"]))
        self.assertEqual(sorted(found.root.top.names), ["b"])
        self.assertEqual(found.config.environment, ("A=1",))
        self.assertEqual(found.config.entry_point, ("/b",))

    def test_a_packed_archive(self) -> None:
        data = docker_archive([LAYER])
        for packed in (gzip.compress(data), bz2.compress(data), lzma.compress(data), zstd(data)):
            self.assertEqual(self.names(packed), ["a"])

    def test_layers_are_unpacked_by_what_they_are(self) -> None:
        # Names and media types say nothing of it here.
        for pack in (gzip.compress, bz2.compress, lzma.compress, zstd, bytes):
            layout = OciLayout()
            layout.named(layout.image([LAYER, ABOVE], [pack(LAYER), pack(ABOVE)]), "1")
            self.assertEqual(self.names(layout.tar()), ["b"])

    def test_a_layout_in_a_folder(self) -> None:
        layout = OciLayout()
        layout.named(layout.image([LAYER]), None)
        for name, data in layout.all().items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_bytes(data)
        self.assertEqual(list(read_container(self.path).root.top.names), ["a"])

    def test_a_layer_that_is_a_link(self) -> None:
        # docker save writes a layer that comes twice so; skopeo every one.
        document = config([LAYER, LAYER])
        manifest = [{"Config": "c.json", "Layers": ["x/layer.tar", "y/layer.tar"]}]
        files = {"manifest.json": json.dumps(manifest).encode(), "c.json": document}
        more = (link("x/layer.tar", "../z.tar"), hard_link("y/layer.tar", "z.tar"))
        self.assertEqual(self.names(archive(files | {"z.tar": LAYER}, *more)), ["a"])

    def test_a_newer_image_of_the_same_name(self) -> None:
        # skopeo leaves the older one in front, without its name.
        layout = OciLayout()
        layout.named(layout.image([LAYER]), None)
        layout.named(layout.image([LAYER, ABOVE]), "latest")
        self.assertEqual(self.names(layout.tar()), ["b"])
        self.assertEqual(self.names(layout.tar(), "latest"), ["b"])

    def test_several_images(self) -> None:
        layout = OciLayout()
        layout.named(layout.image([LAYER]), "one")
        layout.named(layout.image([LAYER, ABOVE]), "example.com/shop:two")
        data = layout.tar()
        self.assertEqual(self.names(data, "one"), ["a"])
        for name in ("two", "shop:two", "example.com/shop:two"):
            self.assertEqual(self.names(data, name), ["b"])
        self.refused("2 images are in there, --tag says which: example.com/shop:two, one", data)
        self.refused("no image three is in there: ", data, "three")

    def test_several_images_of_docker_save(self) -> None:
        documents = [config([LAYER]), config([LAYER, ABOVE])]
        manifest = [
            {"Config": "c0", "RepoTags": ["shop:1"], "Layers": ["l0"]},
            {"Config": "c1", "RepoTags": ["shop:2", "shop:latest"], "Layers": ["l0", "l1"]},
        ]
        files = {"c0": documents[0], "c1": documents[1], "l0": LAYER, "l1": ABOVE}
        data = archive(files | {"manifest.json": json.dumps(manifest).encode()})
        self.assertEqual(self.names(data, "shop:1"), ["a"])
        self.assertEqual(self.names(data, "latest"), ["b"])
        self.refused("--tag says which: shop:1, shop:2, shop:latest", data)

    def test_one_platform_of_several(self) -> None:
        layout = OciLayout()
        ours = layout.image([LAYER]) | {"platform": {"os": "linux", "architecture": "amd64"}}
        arm = {"platform": {"os": "linux", "architecture": "arm64"}}
        others = [
            layout.image([ABOVE], architecture="arm64") | arm,
            {"digest": digest(b"not here"), **arm},
            {"digest": digest(b"nor this"), "platform": {"os": "linux", "architecture": "amd64"}},
            layout.image([LAYER, LAYER])
            | {"annotations": {"vnd.docker.reference.type": "attestation-manifest"}},
        ]
        layout.named(layout.index([*others, ours]), "1")
        self.assertEqual(self.names(layout.tar(), "1"), ["a"])

    def test_system_and_architecture_may_be_empty(self) -> None:
        # crane append makes such images of nothing.
        data = docker_archive([LAYER], architecture="", os="")
        self.assertEqual(self.names(data), ["a"])

    def test_another_architecture(self) -> None:
        data = docker_archive([LAYER], architecture="arm64")
        self.refused("is for linux/arm64, not for linux/amd64", data)
        layout = OciLayout()
        platform = {"platform": {"os": "windows", "architecture": "amd64"}}
        layout.named(layout.image([LAYER]) | platform, None)
        self.refused("no image for linux/amd64 is in there", layout.tar())

    def test_indexes_without_end(self) -> None:
        layout = OciLayout()
        found = layout.image([LAYER])
        for _ in range(10):
            found = layout.index([found])
        layout.named(found, None)
        self.refused("indexes within indexes", layout.tar())

    def test_broken_layers(self) -> None:
        for broken in (gzip.compress(LAYER)[:-20], zstd(LAYER)[:-5], lzma.compress(LAYER)[:-9]):
            layout = OciLayout()
            layout.named(layout.image([LAYER], [broken]), None)
            self.refused("the layer blobs/sha256/.*: broken", layout.tar())
        layout = OciLayout()
        layout.named(layout.image([LAYER], [layer(("a", b"2"))]), None)
        self.refused("not what its digest says", layout.tar())
        layout = OciLayout()
        layout.named(layout.image([LAYER], [LAYER, LAYER]), None)
        self.refused("2 layers, and digests of 1", layout.tar())
        self.refused("layer 0/layer.tar: .*leads out", docker_archive([layer(("../a", b""))]))

    def test_broken_documents(self) -> None:
        layout = OciLayout()
        layout.named(layout.image([LAYER]), None)
        (manifest,) = (name for name, data in layout.files.items() if b"schemaVersion" in data)
        layout.files[manifest] += b" "
        self.refused("not what its name says", layout.tar())
        for document, reason in (
            (b"{", "no JSON"),
            (b"{}", "manifest.json is no array"),
            (b"[5]", "no object"),
            (b'[{"Config": 5}]', "Config is no string"),
            (b'[{"Config": "none"}]', "has no none"),
            (b'[{"Config": "../../etc/passwd"}]', "has no ../../etc/passwd"),
            (b'[{"Config": "manifest.json"}]', "configuration is no object"),
        ):
            self.refused(reason, archive({"manifest.json": document}))

    def test_digests_are_no_paths(self) -> None:
        for wrong in ("sha256:../../x", "../sha256:0", "sha256", "", ":"):
            manifest = {"manifests": [{"digest": wrong}]}
            data = archive({"index.json": json.dumps(manifest).encode()})
            self.refused("no digest", data)

    def test_what_is_no_container_image(self) -> None:
        self.refused("no tar of a container image", b"something else" * 100)
        self.refused("no tar of a container image", b"")
        self.refused("it is no container image; docker save", archive({"x": b"y"}))
        with self.assertRaises(OSError):
            read_container(self.path.with_name("none"))

    def test_capabilities_are_told(self) -> None:
        member = tarfile.TarInfo("bin/ping")
        member.pax_headers = {"SCHILY.xattr.security.capability": "x"}
        self.path.write_bytes(docker_archive([layer(member)]))
        said: list[str] = []
        read_container(self.path, None, said.append)
        self.assertEqual(len(said), 1)
        self.assertIn("/bin/ping loses its file capabilities", said[0])


class ArchiveTests(SynchronousTestCase):
    def test_links_in_an_archive(self) -> None:
        path = Path(self.mktemp())
        members = (link("a", "d/b"), ("d/", {}), link("d/b", "../c"), ("c", b"x"))
        more = (link("round", "round"), link("out", "../../../etc/passwd"), ("./dotted", b"y"))
        path.write_bytes(layer(*members, *more))
        with ContainerArchive(path) as found:
            self.assertEqual(found.read("a"), b"x")
            self.assertEqual(found.read("dotted"), b"y")
            for none in ("round", "out", "d", "none"):
                self.assertFalse(found.holds(none))
                self.assertRaises(ContainerError, found.read, none)

    def test_a_folder_is_not_left(self) -> None:
        path = Path(self.mktemp())
        path.mkdir()
        with ContainerArchive(path) as found:
            for name in ("../x", "/etc/passwd", "a/../../x"):
                self.assertRaises(ContainerError, found.read, name)

    def test_copy(self) -> None:
        path = Path(self.mktemp())
        path.write_bytes(layer(("a", b"x" * 100)))
        target = io.BytesIO()
        with ContainerArchive(path) as found:
            found.copy("a", target)
        self.assertEqual(target.getvalue(), b"x" * 100)

    def test_names_that_are_digests_are_checked(self) -> None:
        path = Path(self.mktemp())
        good = hashlib.sha256(b"x").hexdigest()
        path.write_bytes(layer((f"{good}.json", b"x"), (f"blobs/sha256/{'0' * 64}", b"x")))
        with ContainerArchive(path) as found:
            self.assertEqual(found.read(f"{good}.json"), b"x")
            self.assertRaises(ContainerError, found.read, f"blobs/sha256/{'0' * 64}")
