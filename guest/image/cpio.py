"""The newc cpio archive that a Linux kernel unpacks as its initramfs.

Sans-I/O, and reproducible: entries are written in order of their paths, owned by
root, numbered in that order and dated with one epoch, so that the same tree gives
the same bytes. No root and no cpio tool is needed, not even for device nodes.

The format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
HEADER = 6 + 13 * 8
LIMIT = 0xFFFFFFFF
"""Every number of a newc header has eight hexadecimal digits, a file's size among them."""


class CpioError(ValueError):
    """A tree that can't be an archive, or bytes that are none."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    C{mode} holds the type as well as the permissions, as C{st_mode} does. C{data}
    is a file's content or a symbolic link's target; C{device} a node's major and
    minor number.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        """Refuse what would unpack somewhere else, or not at all."""
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts or "\0" in self.path:
            raise CpioError(f"not a path inside the image: {self.path!r}")
        if str(PurePosixPath(self.path)) != self.path or self.path == TRAILER:
            raise CpioError(f"not a plain path: {self.path!r}")
        if len(self.data) > LIMIT:
            raise CpioError(f"too large for a newc archive: {self.path}")
        if self.data and not (stat.S_ISREG(self.mode) or stat.S_ISLNK(self.mode)):
            raise CpioError(f"only a file or a link has content: {self.path}")


class Tree:
    """The files of an image by path; folders appear with what is put into them."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        """Every entry, a folder before what it holds."""
        return iter(
            sorted(self._entries.values(), key=lambda entry: PurePosixPath(entry.path).parts)
        )

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def add(self, entry: Entry) -> None:
        """Put one entry in, with the folders above it; the last one of a path stays.

        Raises C{CpioError} if a folder of its path is something else, or it would
        take the place of a folder.
        """
        for parent in reversed(PurePosixPath(entry.path).parents[:-1]):
            above = self._entries.setdefault(str(parent), Entry(str(parent), stat.S_IFDIR | 0o755))
            if not stat.S_ISDIR(above.mode):
                raise CpioError(f"{entry.path}: {parent} is no folder")
        before = self._entries.get(entry.path)
        if before is not None and stat.S_ISDIR(before.mode) and not stat.S_ISDIR(entry.mode):
            raise CpioError(f"{entry.path} is a folder already")
        self._entries[entry.path] = entry

    def file(self, path: str, data: bytes, permissions: int = 0o644) -> None:
        """Put a regular file in."""
        self.add(Entry(path, stat.S_IFREG | permissions, data))

    def folder(self, path: str, permissions: int = 0o755) -> None:
        """Put an empty folder in."""
        self.add(Entry(path, stat.S_IFDIR | permissions))

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link in."""
        self.add(Entry(path, stat.S_IFLNK | 0o777, target.encode()))

    def character_device(self, path: str, major: int, minor: int, permissions: int = 0o600) -> None:
        """Put a character device in."""
        self.add(Entry(path, stat.S_IFCHR | permissions, device=(major, minor)))


def pack(entries: Iterable[Entry], epoch: int = 0) -> bytes:
    """The archive of C{entries} in the order given, each dated C{epoch} (seconds since 1970)."""
    if not 0 <= epoch <= LIMIT:
        raise CpioError(f"an epoch outside of 0 to {LIMIT}: {epoch}")
    out = bytearray()
    for inode, entry in enumerate(entries, start=1):
        _append(out, inode, entry.path, entry.mode, epoch, entry.data, entry.device)
    _append(out, 0, TRAILER, 0, 0, b"", (0, 0))
    out += b"\0" * (-len(out) % 512)
    return bytes(out)


def unpack(archive: bytes) -> Iterator[Entry]:
    """The entries of an archive that C{pack} wrote, owners and dates left out.

    Raises C{CpioError} for anything that is no whole newc archive.
    """
    at = 0
    while True:
        header = archive[at : at + HEADER]
        if len(header) < HEADER or not header.startswith(MAGIC):
            raise CpioError(f"no newc header at {at}")
        try:
            fields = [int(header[i : i + 8], 16) for i in range(6, HEADER, 8)]
            name_end = at + HEADER + fields[11]
            path = archive[at + HEADER : name_end - 1].decode()
        except ValueError as error:
            raise CpioError(f"a broken newc header at {at}") from error
        start = name_end + -name_end % 4
        end = start + fields[6]
        if end > len(archive):
            raise CpioError(f"cut short in {path}")
        if path == TRAILER:
            return
        yield Entry(path, fields[1], archive[start:end], (fields[9], fields[10]))
        at = end + -end % 4


def _append(
    out: bytearray,
    inode: int,
    path: str,
    mode: int,
    epoch: int,
    data: bytes,
    device: tuple[int, int],
) -> None:
    name = path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    numbers = (inode, mode, 0, 0, links, epoch, len(data), 0, 0, *device, len(name), 0)
    out += MAGIC + b"".join(b"%08X" % number for number in numbers) + name
    out += b"\0" * (-len(out) % 4)
    out += data
    out += b"\0" * (-len(out) % 4)
