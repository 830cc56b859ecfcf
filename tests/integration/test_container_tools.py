"""Container images as real tools write them: what we make of their layers is what umoci makes."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
from collections import defaultdict
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from guest.image.container import read_container
from guest.image.folder import read_folder
from guest.image.rootfs import Rootfs
from tests.integration.containers import Layout, crane, need, run
from tests.integration.qemu import scratch


def described(root: Rootfs) -> dict[str, object]:
    """Each name with all that is known of it, and the other names of the same file."""
    names: dict[int, list[str]] = defaultdict(list)
    for path, inode in root.walk():
        names[id(inode)].append(path)
    return {
        path: (
            oct(inode.mode),
            inode.data if not inode.is_folder else b"",
            inode.owner,
            inode.device,
            None if inode.is_folder else inode.date,
            sorted(names[id(inode)]),
        )
        for path, inode in root.walk()
        if path
    }


def put(path: Path, data: str = "x") -> None:
    """A file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(data)


class UmociTests(SynchronousTestCase):
    def test_the_same_files_as_umoci(self) -> None:
        with scratch() as folder:
            layout = Layout(folder)
            for round, change in enumerate((self.first, self.second, self.third)):
                change(layout.root)
                layout.commit()
                found = described(read_container(layout.path).root)
                expected = described(read_folder(layout.root))
                self.assertEqual(found, expected, f"layer {round}")
                self.assertGreater(len(found), 12)

    def first(self, root: Path) -> None:
        for name in ("srv/a", "srv/dir/x", "srv/dir/y", "srv/deep/1/2/3", "etc/conf", "gone/a"):
            put(root / name, name)
        put(root / "/".join(["long" * 10] * 6) / ("n" * 120))
        os.link(root / "srv/a", root / "srv/dir/linked")
        (root / "lib").symlink_to("srv/deep")
        (root / "srv/a").chmod(0o4750)
        (root / "tmp").mkdir()
        (root / "tmp").chmod(0o1777)
        if os.getuid() == 0:
            os.chown(root / "etc/conf", 1000, 70000)
            os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        for path in root.rglob("*"):
            os.utime(path, (1e9, 1e9), follow_symlinks=False)

    def second(self, root: Path) -> None:
        shutil.rmtree(root / "srv/dir")  # a folder becomes a link
        (root / "srv/dir").symlink_to("/srv")
        shutil.rmtree(root / "gone")  # a folder becomes a file
        put(root / "gone")
        (root / "etc/conf").unlink()  # a file becomes a folder
        put(root / "etc/conf/part")
        (root / "lib").unlink()  # a link becomes a folder
        put(root / "lib/new")
        (root / "srv/deep/1/2/3").unlink()
        (root / "srv/deep").chmod(0o700)
        put(root / "srv/new/file")
        os.link(root / "srv/new/file", root / "srv/new/other")

    def third(self, root: Path) -> None:
        (root / "srv/dir").unlink()  # and the link a folder again
        put(root / "srv/dir/again")
        shutil.rmtree(root / "lib")
        shutil.rmtree(root / "etc")
        put(root / "etc/fresh")


class SkopeoTests(SynchronousTestCase):
    def test_every_way_to_write_an_image(self) -> None:
        need("skopeo")
        with scratch() as folder:
            layout = Layout(folder)
            put(layout.root / "a", "1")
            put(layout.root / "b", "2")
            layout.commit()
            (layout.root / "a").unlink()
            layout.commit()
            expected = described(read_container(layout.path).root)
            self.assertEqual(list(expected), ["b"])
            source = f"oci:{layout.path}:{layout.tag}"
            for target, more in (
                ("docker-archive:docker.tar:shop:1", ()),
                ("oci-archive:oci.tar:shop:1", ()),
                ("oci:zstd:1", ("--dest-compress-format=zstd",)),
                ("oci:plain:1", ("--dest-decompress",)),
            ):
                run(folder, "skopeo", "--insecure-policy", "copy", *more, source, target)
                path = folder / target.split(":")[1]
                self.assertEqual(described(read_container(path).root), expected, target)
            with (folder / "docker.tar").open("rb") as tar, (folder / "tgz").open("wb") as packed:
                subprocess.run(["gzip", "-1"], stdin=tar, stdout=packed, check=True)
            self.assertEqual(described(read_container(folder / "tgz").root), expected)

    def test_a_second_copy_to_the_same_name(self) -> None:
        need("skopeo")
        with scratch() as folder:
            for content in ("old", "new"):
                layout = Layout(folder, f"{content}:1")
                put(layout.root / "file", content)
                layout.commit()
                source = f"oci:{layout.path}:1"
                run(folder, "skopeo", "--insecure-policy", "copy", source, "oci:both:latest")
            manifests = json.loads((folder / "both/index.json").read_text())["manifests"]
            self.assertEqual([bool(each.get("annotations")) for each in manifests], [False, True])
            found = read_container(folder / "both").root.lookup("file")
            self.assertEqual(found and found.data, b"new")


class CraneTests(SynchronousTestCase):
    def test_an_image_of_a_tar_alone(self) -> None:
        with scratch() as folder:
            put(folder / "root/srv/file", "content")
            run(folder, "tar", "-C", "root", "-cf", "layer.tar", ".")
            append = ["append", "--oci-empty-base", "--new_layer=layer.tar", "--new_tag=shop:1"]
            run(folder, crane(), *append, "--output=image.tar")
            image = read_container(folder / "image.tar")
            self.assertEqual(image.config.system, ("", ""))
            found = image.root.lookup("srv/file")
            self.assertEqual(found and found.data, b"content")


class BuildahTests(SynchronousTestCase):
    def test_an_image_that_buildah_builds(self) -> None:
        need("buildah")
        if os.getuid():
            self.skipTest("buildah wants root, or newuidmap")
        with scratch() as folder:
            put(folder / "context/file", "content")
            lines = ["FROM scratch", "COPY file /srv/file", "COPY file /srv/second"]
            lines += ["ENV A='b c'", "WORKDIR /srv", 'ENTRYPOINT ["/srv/file"]', 'CMD ["x", "y"]']
            lines += ["USER 1000:1000", "EXPOSE 8080/tcp", "VOLUME /data"]
            put(folder / "context/Dockerfile", "\n".join(lines))
            store = [f"--root={folder}/store", f"--runroot={folder}/run", "--storage-driver=vfs"]
            build = ["bud", "--layers", "--isolation=chroot", "--tag=shop:1", "context"]
            run(folder, "buildah", *store, *build)
            run(folder, "buildah", *store, "push", "shop:1", "docker-archive:shop.tar:shop:1")
            image = read_container(folder / "shop.tar")
            self.assertEqual(image.config.entry_point, ("/srv/file",))
            self.assertEqual(image.config.arguments, ("x", "y"))
            self.assertIn("A=b c", image.config.environment)
            self.assertEqual((image.config.folder, image.config.user), ("/srv", "1000:1000"))
            self.assertEqual((image.config.ports, image.config.volumes), ((8080,), ("/data",)))
            found = image.root.lookup("/srv/second")
            self.assertEqual(found and found.data, b"content")
