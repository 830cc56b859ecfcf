"""Modules in the order in which a kernel takes them."""

from __future__ import annotations

import contextlib
import gzip
import io
import lzma
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from guest.image import cli, elf
from guest.image.debian import Package, PackageError
from guest.image.elf import ElfError, modinfo, needed
from guest.image.kernel import Kernel, KernelError, find, load_order, uncompressed


def module(**notes: str) -> bytes:
    """An ELF file with a C{.modinfo} section, as a kernel module has one."""
    info = b"".join(f"{name}={value}".encode() + b"\0" for name, value in notes.items())
    names = b"\0.modinfo\0.shstrtab\0"
    sections = [(0, 0, 0), (1, 64, len(info)), (10, 64 + len(info), len(names))]
    table_at = 64 + len(info) + len(names)
    header = b"\x7fELF\2\1\1".ljust(40, b"\0") + struct.pack("<Q", table_at)
    header = header.ljust(58, b"\0") + struct.pack("<HHH", 64, len(sections), 2)
    table = b"".join(
        struct.pack("<IIQQQQ", name, 1, 0, 0, at, size).ljust(64, b"\0")
        for name, at, size in sections
    )
    return header + info + names + table


@st.composite
def dependencies(draw) -> dict[str, list[str]]:
    """A graph without a way back: each depends only on names before it."""
    names = [f"m{i}" for i in range(draw(st.integers(1, 12)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:i]), unique=True)) if i else []
        for i, name in enumerate(names)
    }


class LoadOrderTests(SynchronousTestCase):
    @given(dependencies(), st.data())
    def test_dependencies_come_first_and_once(self, graph: dict[str, list[str]], data) -> None:
        wanted = data.draw(st.lists(st.sampled_from(sorted(graph))))
        order = load_order(wanted, graph.__getitem__)
        self.assertEqual(len(order), len(set(order)))
        self.assertLessEqual(set(wanted), set(order))
        for place, name in enumerate(order):
            self.assertLessEqual(set(graph[name]), set(order[:place]))

    def test_a_circle_is_refused(self) -> None:
        graph = {"a": ["b"], "b": ["c"], "c": ["a"]}
        with self.assertRaises(KernelError):
            load_order(["a"], graph.__getitem__)


class KernelTests(SynchronousTestCase):
    def setUp(self) -> None:
        root = Path(self.mktemp())
        self.image = root / "boot" / "vmlinuz-6.1.0-cloud"
        self.modules = root / "lib" / "modules" / "6.1.0-cloud"
        self.image.parent.mkdir(parents=True)
        (self.modules / "kernel").mkdir(parents=True)
        self.image.write_bytes(b"")
        self.root = root
        self.add("vsock.ko", module(license="GPL", depends=""))
        self.add("vmw_vsock_virtio_transport.ko", module(depends="vsock,virtio-ring", name="x"))
        self.add("virtio-ring.ko.xz", lzma.compress(module(depends="")))

    def add(self, name: str, data: bytes) -> None:
        (self.modules / "kernel" / name).write_bytes(data)

    def order(self) -> list[str]:
        kernel = Kernel("6.1.0-cloud", self.image, self.modules)
        return [loaded.name for loaded in kernel.load_order()]

    def test_reads_the_modules_own_notes(self) -> None:
        self.assertEqual(self.order(), ["vsock", "virtio_ring", "vmw_vsock_virtio_transport"])

    def test_what_is_built_in_is_not_loaded(self) -> None:
        (self.modules / "modules.builtin").write_text("kernel/drivers/virtio-ring.ko\n")
        self.assertEqual(self.order(), ["vsock", "vmw_vsock_virtio_transport"])

    def test_a_kernel_without_vsock_is_refused(self) -> None:
        (self.modules / "kernel" / "vsock.ko").unlink()
        with self.assertRaisesRegex(KernelError, "no module vsock"):
            self.order()

    def test_modules_are_found_above_the_image(self) -> None:
        found = find(str(self.image), None)
        self.assertEqual((found.version, found.modules), ("6.1.0-cloud", self.modules.resolve()))

    def test_an_installed_version(self) -> None:
        found = find("6.1.0-cloud", None, self.root)
        self.assertEqual(found.image, self.image)
        with self.assertRaisesRegex(KernelError, "no kernel"):
            find("5.0", None, self.root)

    def test_a_kernel_without_modules_is_refused(self) -> None:
        for path in sorted(self.modules.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        self.modules.rmdir()
        with self.assertRaisesRegex(KernelError, "kernel 6.1.0-cloud has no modules in"):
            find("6.1.0-cloud", None, self.root)
        with self.assertRaisesRegex(KernelError, "no lib/modules/6.1.0-cloud beside or above"):
            find(str(self.image), None)

    def test_no_image(self) -> None:
        with self.assertRaisesRegex(KernelError, "no kernel image /no/vmlinuz-1"):
            find("/no/vmlinuz-1", None)

    def test_compressed_modules(self) -> None:
        plain = module(depends="")
        self.add("a.ko", plain)
        self.add("b.ko.gz", gzip.compress(plain))
        self.add("c.ko.xz", lzma.compress(plain))
        if shutil.which("zstd") is not None:
            tool = ["zstd", "--quiet", "--stdout"]
            packed = subprocess.run(tool, input=plain, capture_output=True, check=True).stdout
            self.add("d.ko.zst", packed)
        for path in (self.modules / "kernel").glob("[a-d].ko*"):
            self.assertEqual(uncompressed(path), plain, path)


class FakePackages:
    """Debian's archive, with one kernel in it."""

    def __init__(self, root: Path, depends: list[str]) -> None:
        self.root, self.names = root, depends

    def depends(self, names: list[str]) -> list[str]:
        return self.names

    def fetch(self, names: list[str]) -> list[Package]:
        return [Package(name, "1", self.root) for name in names]


class DebianTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        (self.root / "boot").mkdir(parents=True)
        (self.root / "lib" / "modules" / "6.1.0-cloud").mkdir(parents=True)

    def find(self, *depends: str) -> Kernel:
        packages: Any = FakePackages(self.root, list(depends))
        return find(None, packages)

    def test_the_kernel_that_the_metapackage_names(self) -> None:
        (self.root / "boot" / "vmlinuz-6.1.0-cloud").touch()
        found = self.find("linux-base", "linux-image-6.1.0-cloud")
        self.assertEqual(found.version, "6.1.0-cloud")

    def test_no_kernel(self) -> None:
        with self.assertRaisesRegex(PackageError, "depends on no kernel image"):
            self.find("linux-base")
        with self.assertRaisesRegex(KernelError, "holds 0 kernel images, not one"):
            self.find("linux-image-6.1.0-cloud")


class ElfTests(SynchronousTestCase):
    @given(st.binary(max_size=300))
    def test_other_bytes_are_refused(self, data: bytes) -> None:
        for bytes_ in (data, b"\x7fELF\2\1" + data):
            for read in (needed, modinfo):
                try:
                    read(bytes_)
                except ElfError:
                    continue

    def test_what_is_not_64_bit_little_endian_is_refused(self) -> None:
        for ident in (b"\x7fELF\1\1\1", b"\x7fELF\2\2\1"):
            with self.assertRaises(ElfError):
                needed(ident + module(depends="")[7:])

    def test_a_module_without_notes_is_refused(self) -> None:
        with self.assertRaisesRegex(ElfError, "no section .modinfo"):
            modinfo(Path("/bin/ls").read_bytes())

    def test_without_pyelftools(self) -> None:
        """It is said before anything is downloaded, with the extra that brings it."""
        self.assertIsNone(elf.unavailable())
        self.patch(elf, "find_spec", lambda name: None)
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            status = cli.main(["examples/hello.py", "--host=x", "-o", self.mktemp()])
        self.assertEqual(status, 1)
        self.assertIn("pip install 'subscription-proxy-vsock[image]'", errors.getvalue())

    def test_a_program_names_its_libraries_and_its_loader(self) -> None:
        names = needed(Path("/bin/ls").read_bytes())
        self.assertIn("libc.so.6", names)
        self.assertTrue(any(name.startswith("ld-linux") for name in names))
