"""
The layers of a container image, applied as the OCI image specification says (layer.md, 1.1).

A layer is a tar of what has changed. C{.wh.NAME} takes C{NAME} away, C{.wh..wh..opq} all that a
folder held. Both count for the layers below only, wherever they stand in their own: some tools
write a link in the place of a folder, and what the folder has lost behind it. So they are carried
out first, and never through a link.
"""

from __future__ import annotations

import io
import stat
import tarfile
from dataclasses import dataclass, field
from typing import BinaryIO

from guest.image.cpio import LIMIT
from guest.image.rootfs import Inode, Rootfs, RootfsError, parts_of

WHITEOUT = ".wh."
OPAQUE = ".wh..wh..opq"
AUFS = ".wh..wh."
"""Files that AUFS kept for itself begin so."""

CAPABILITY = "SCHILY.xattr.security.capability"

_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


class LayerError(ValueError):
    """A layer that can't be applied."""


@dataclass
class Layer:
    """
    What a layer changes, in the order of its tar.

    @ivar gone: the paths that are taken away from the layers below.
    @ivar emptied: those of folders that lose all that they had there.
    @ivar files: each path with its file, or the path to which it is a hard link.
    @ivar capable: files that have capabilities, which no initramfs can hold.
    """

    gone: list[list[str]] = field(default_factory=list)
    emptied: list[list[str]] = field(default_factory=list)
    files: list[tuple[str, Inode | str]] = field(default_factory=list)
    capable: list[str] = field(default_factory=list)


def read_layer(file: BinaryIO) -> Layer:
    """
    Read an unpacked tar, whose digest has told that it is whole.

    @param file: can seek and be written. Its last block is filled up: umoci leaves that to others.
    @raise LayerError: it is broken, or leads out of its folder.
    """
    layer = Layer()
    file.write(b"\0" * (-file.seek(0, io.SEEK_END) % tarfile.BLOCKSIZE))
    file.seek(0)
    try:
        with tarfile.open(fileobj=file, mode="r:", encoding="utf-8") as tar:
            for member in tar:
                _read_member(layer, tar, member)
            end = tar.offset
    except (tarfile.TarError, EOFError, OSError, RootfsError) as error:
        raise LayerError(str(error)) from error
    # tarfile takes a header that it can't read for the end.
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE).strip(b"\0"):
        raise LayerError(f"a broken tar, at byte {end}")
    return layer


def apply(layer: Layer, root: Rootfs) -> None:
    """
    Put a layer over those below it.

    @raise LayerError: a hard link leads to nothing, or a file lies below what is no folder.
    """
    for parts in layer.gone:
        above = root.exactly(parts[:-1])
        if above is not None:
            above.names.pop(parts[-1], None)
    for parts in layer.emptied:
        emptied = root.exactly(parts)
        if emptied is not None:
            emptied.names.clear()
    for path, found in layer.files:
        try:
            root.put(path, found if isinstance(found, Inode) else _linked(root, path, found))
        except RootfsError as error:
            raise LayerError(str(error)) from error


def _read_member(layer: Layer, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
    parts = parts_of(member.name)
    name = parts[-1] if parts else ""
    if name == OPAQUE:
        layer.emptied.append(parts[:-1])
    elif name.startswith(AUFS):
        return
    elif name.startswith(WHITEOUT):
        gone = name[len(WHITEOUT) :]
        if gone in ("", ".", ".."):
            raise LayerError(f"a whiteout of nothing: {member.name!r}")
        layer.gone.append([*parts[:-1], gone])
    elif member.islnk():
        layer.files.append((member.name, "/".join(parts_of(member.linkname))))
    else:
        layer.files.append((member.name, _inode(tar, member)))
        if CAPABILITY in member.pax_headers:
            layer.capable.append("/".join(parts))


def _inode(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Inode:
    data, device = b"", (0, 0)
    if member.isreg():
        kind = stat.S_IFREG
        content = tar.extractfile(member)
        data = content.read() if content is not None else b""
        if len(data) != member.size:
            raise LayerError(f"cut short in {member.name!r}")
    elif member.type in _KINDS:
        kind = _KINDS[member.type]
        if kind == stat.S_IFLNK:
            data = member.linkname.encode(errors="surrogateescape")
        elif member.isdev() and not member.isfifo():
            device = (member.devmajor, member.devminor)
    else:
        raise LayerError(f"{member.name!r}: a file of unknown type {member.type!r}")
    return Inode(
        kind | (stat.S_IMODE(member.mode) if kind != stat.S_IFLNK else 0o777),
        data,
        owner=(member.uid, member.gid),
        date=min(max(int(member.mtime), 0), LIMIT),
        device=device,
    )


def _linked(root: Rootfs, path: str, target: str) -> Inode:
    found = root.lookup(target, follow=False)
    if found is None or found.is_folder:
        raise LayerError(f"{path}: a hard link to {target}, which is no file there")
    return found
