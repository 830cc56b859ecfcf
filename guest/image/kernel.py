"""A Linux kernel for guests: the image that boots, and the modules it needs in order.

The order comes from the modules' own notes, as depmod's does: a package that was only
unpacked has no modules.dep.
"""

from __future__ import annotations

import gzip
import lzma
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from guest.image.debian import PackageError, Packages
from guest.image.elf import modinfo

CLOUD_KERNEL = "linux-image-cloud-amd64"

MODULES = (
    "virtio_pci",
    "virtio_mmio",
    "vmw_vsock_virtio_transport",
    "vsock_loopback",
    "virtio_rng",
    "button",
    "evdev",
)
"""What a guest asks for: vsock on a PCI bus (QEMU, cloud-hypervisor) or none (Firecracker), vsock
to itself, the host's randomness, and the power button (with evdev, to read it)."""

REQUIRED = frozenset({"vmw_vsock_virtio_transport"})
"""Without these no guest reaches its proxy; a kernel that lacks another one does without."""


class KernelError(Exception):
    """A kernel that can't be used."""


@dataclass(frozen=True)
class Module:
    """A module as the guest loads it: its file name without folder, and its bytes uncompressed."""

    name: str
    data: bytes


@dataclass(frozen=True)
class Kernel:
    """A kernel image, and the folder of its modules (C{lib/modules/VERSION})."""

    version: str
    image: Path
    modules: Path

    def load_order(self, wanted: Iterable[str] = MODULES) -> list[Module]:
        """The wanted modules and what they depend on, dependencies first.

        What the kernel has built in is left out. Raises C{KernelError} if a module of
        C{REQUIRED}, or a dependency, is neither there nor built in.
        """
        files = {_plain(path): path for path in sorted(self.modules.rglob("*.ko*"))}
        builtin_list = self.modules / "modules.builtin"
        builtin = (
            {_plain(Path(line)) for line in builtin_list.read_text().split()}
            if builtin_list.exists()
            else set()
        )
        loaded: dict[str, bytes] = {}

        def depends(name: str) -> list[str]:
            if name in builtin:
                return []
            if name not in files:
                raise KernelError(f"kernel {self.version} has no module {name}")
            loaded[name] = uncompressed(files[name])
            return [
                _underscored(n) for n in modinfo(loaded[name]).get("depends", "").split(",") if n
            ]

        names = [
            name
            for name in map(_underscored, wanted)
            if name in REQUIRED or name in files or name in builtin
        ]
        return [
            Module(name, loaded[name]) for name in load_order(names, depends) if name not in builtin
        ]


def load_order(wanted: Iterable[str], depends: Callable[[str], Iterable[str]]) -> list[str]:
    """Each wanted name and all that it depends on, once, dependencies first.

    C{depends} is asked once a name. Raises C{KernelError} for a dependency on itself,
    however long the way round.
    """
    order: list[str] = []
    done: set[str] = set()
    open_names: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        if name in open_names:
            raise KernelError(f"modules depend on each other: {', '.join(open_names)}")
        open_names[name] = None
        for dependency in depends(name):
            visit(dependency)
        del open_names[name]
        done.add(name)
        order.append(name)

    for name in wanted:
        visit(name)
    return order


def find(kernel: str | None, packages: Packages, root: Path = Path("/")) -> Kernel:
    """The kernel that C{kernel} names.

    None is Debian's cloud kernel. A path is a kernel image, with its modules in
    C{lib/modules} beside or above it. Anything else is the version of a kernel
    installed here. Raises C{KernelError} or C{PackageError}.
    """
    if kernel is None:
        return debian(packages)
    if "/" in kernel or Path(kernel).is_file():
        return from_image(Path(kernel))
    image = root / "boot" / f"vmlinuz-{kernel}"
    if not image.is_file():
        raise KernelError(f"no kernel {image}; give --kernel a path or an installed version")
    modules = root / "lib" / "modules" / kernel
    if not modules.is_dir():
        raise KernelError(f"kernel {kernel} has no modules in {modules}")
    return Kernel(kernel, image, modules)


def debian(packages: Packages) -> Kernel:
    """Debian's kernel for clouds: small, with virtio and vsock as modules."""
    names = [name for name in packages.depends([CLOUD_KERNEL]) if name.startswith("linux-image-")]
    if not names:
        raise PackageError(f"{CLOUD_KERNEL} depends on no kernel image")
    (found,) = packages.fetch(names[:1])
    images = sorted(found.root.glob("boot/vmlinuz-*"))
    if len(images) != 1:
        raise KernelError(f"package {found.name} holds {len(images)} kernel images, not one")
    return from_image(images[0])


def from_image(image: Path) -> Kernel:
    """The kernel of an image named C{vmlinuz-VERSION} or C{vmlinux-VERSION}, and its modules.

    They are looked for in C{lib/modules/VERSION} and C{usr/lib/modules/VERSION}, in the
    image's folder and each one above.
    """
    if not image.is_file():
        raise KernelError(f"no kernel image {image}")
    image = image.resolve()
    version = image.name.partition("-")[2]
    for above in image.parents:
        for place in ("lib/modules", "usr/lib/modules"):
            if version and (above / place / version).is_dir():
                return Kernel(version, image, above / place / version)
    raise KernelError(f"no lib/modules/{version or 'VERSION'} beside or above {image}")


def uncompressed(path: Path) -> bytes:
    """The content of a module's file, whatever it was compressed with."""
    data = path.read_bytes()
    if path.suffix == ".zst":
        tool = ["zstd", "--decompress", "--stdout", "--quiet"]
        return subprocess.run(tool, input=data, capture_output=True, check=True).stdout
    plain: Mapping[str, Callable[[bytes], bytes]] = {".xz": lzma.decompress, ".gz": gzip.decompress}
    return plain.get(path.suffix, bytes)(data)


def _plain(path: Path) -> str:
    """C{kernel/x/virtio-rng.ko.xz} is the module C{virtio_rng}."""
    return _underscored(path.name.partition(".")[0])


def _underscored(name: str) -> str:
    return name.replace("-", "_")
