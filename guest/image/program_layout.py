"""What lies where in the image of a program.

================================  =============================================
C{/init}                         C{subproxy-guest}, static
C{/etc/subproxy.args}            the settings it was built with
C{/etc/modules}, C{/lib/modules}  the kernel's modules, flat, in their order
C{/rootfs}                       the program's files: init makes it the root
================================  =============================================

The program's files are apart from all else, so that whatever a container image has in C{/init},
C{/etc} or C{/lib} stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from guest.image.arguments import PROGRAM_NAMES, render
from guest.image.cpio import Tree
from guest.image.kernel import Kernel
from guest.image.layout import put_devices, put_modules
from guest.image.rootfs import Rootfs

ROOT = "rootfs"


def assemble_program(
    kernel: Kernel,
    init: bytes,
    root: Rootfs,
    settings: Mapping[str, Sequence[str]],
    files: Mapping[str, bytes],
) -> Tree:
    """
    The files of the image.

    @param init: the program C{subproxy-guest}.
    @param files: further files, by their path in the program's root.
    """
    for path, data in files.items():
        root.put_file(path, data)
    tree = Tree()
    put_devices(tree)
    tree.folder("proc")
    tree.file("init", init, 0o755)
    put_modules(tree, kernel)
    words = render({"root": [f"/{ROOT}"], **settings}, PROGRAM_NAMES)
    tree.file("etc/subproxy.args", (words + "\n").encode())
    for entry in root.entries(ROOT):
        tree.add(entry)
    return tree
