"""A folder of this machine, on its way to be the root of another."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from guest.image.rootfs import Inode, Rootfs, RootfsError

_KINDS = (stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)


def read_folder(path: Path) -> Rootfs:
    """
    All that a folder holds, links, modes, owners and dates as they are.

    What belongs to who builds the image belongs to root in it. Sockets are left out.

    @raise RootfsError: it is no folder.
    @raise OSError: something in it can't be read.
    """
    if not path.is_dir():
        raise RootfsError(f"{path}: no such folder")
    root = Rootfs()
    known: dict[tuple[int, int], Inode] = {}
    root.put("", _inode(str(path), os.stat(path)))
    waiting = [""]
    while waiting:
        above = waiting.pop()
        for name in sorted(os.listdir(path / above)):
            relative = f"{above}/{name}" if above else name
            file = os.path.join(path, relative)
            found = os.lstat(file)
            if stat.S_IFMT(found.st_mode) not in _KINDS:
                continue
            inode = known.get((found.st_dev, found.st_ino)) or _inode(file, found)
            if found.st_nlink > 1 and not inode.is_folder:
                known[found.st_dev, found.st_ino] = inode
            root.put(relative, inode)
            if inode.is_folder:
                waiting.append(relative)
    return root


def _inode(path: str, found: os.stat_result) -> Inode:
    data = b""
    if stat.S_ISREG(found.st_mode):
        with open(path, "rb") as file:
            data = file.read()
    elif stat.S_ISLNK(found.st_mode):
        data = os.fsencode(os.readlink(path))
    node = stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode)
    return Inode(
        found.st_mode,
        data,
        owner=(
            0 if found.st_uid == os.getuid() else found.st_uid,
            0 if found.st_gid == os.getgid() else found.st_gid,
        ),
        date=max(int(found.st_mtime), 0),
        device=(os.major(found.st_rdev), os.minor(found.st_rdev)) if node else (0, 0),
    )
