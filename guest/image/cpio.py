"""The newc cpio archive that a Linux kernel unpacks as its initramfs.

Sans-I/O, and reproducible: entries are written in order of their paths, numbered in that
order and, unless they say otherwise, owned by root and dated with one epoch, so that the same
tree gives the same bytes. No root and no cpio tool is needed, not even for device nodes.

The format: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
HEADER = 6 + 13 * 8
PATH_MAX = 4096
"""Bytes of a path, with the zero at its end; the kernel passes over an entry with a longer one."""

LIMIT = 0xFFFFFFFF
"""Every number of a newc header has eight hexadecimal digits, a file's size among them."""


class CpioError(ValueError):
    """A tree that can't be an archive, or bytes that are none."""


@dataclass(frozen=True)
class Entry:
    """One file of an archive.

    C{mode} holds the type as well as the permissions, as C{st_mode} does. C{data}
    is a file's content or a symbolic link's target; C{device} a node's major and
    minor number. C{owner} is a user's and a group's number. C{date}, in seconds since
    1970, is the archive's own epoch where it is None. Entries that have the same number
    C{file}, which is not 0, are one file under several names.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)
    owner: tuple[int, int] = (0, 0)
    date: int | None = None
    file: int = 0

    def __post_init__(self) -> None:
        """Refuse what would unpack somewhere else, or not at all."""
        parts = PurePosixPath(self.path).parts
        if not parts or self.path.startswith("/") or ".." in parts or "\0" in self.path:
            raise CpioError(f"not a path inside the image: {self.path!r}")
        if str(PurePosixPath(self.path)) != self.path or self.path == TRAILER:
            raise CpioError(f"not a plain path: {self.path!r}")
        if len(self.path.encode(errors="surrogateescape")) >= PATH_MAX:
            raise CpioError(f"a path too long for Linux: {self.path[:80]}...")
        if len(self.data) > LIMIT:
            raise CpioError(f"too large for a newc archive: {self.path}")
        if self.data and not (stat.S_ISREG(self.mode) or stat.S_ISLNK(self.mode)):
            raise CpioError(f"only a file or a link has content: {self.path}")
        numbers = (*self.device, *self.owner, self.date or 0, self.file)
        if not all(0 <= number <= LIMIT for number in numbers):
            raise CpioError(f"a number outside of 0 to {LIMIT}: {self.path}")


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
    """The archive of C{entries}, as C{pieces} gives it."""
    return b"".join(pieces(entries, epoch))


def pieces(entries: Iterable[Entry], epoch: int = 0) -> Iterator[bytes]:
    """The archive of C{entries} in the order given, one piece after the other.

    @param epoch: the date of those that have none, in seconds since 1970.
    """
    if not 0 <= epoch <= LIMIT:
        raise CpioError(f"an epoch outside of 0 to {LIMIT}: {epoch}")
    entries = list(entries)
    names = Counter(entry.file for entry in entries if entry.file)
    inodes: dict[int, int] = {}
    size = 0
    for number, entry in enumerate(entries, start=1):
        inode = inodes.setdefault(entry.file, number) if entry.file else number
        # The kernel takes the content from the first of several names, and links the others to it.
        data = entry.data if inode == number else b""
        links = names.get(entry.file) or (2 if stat.S_ISDIR(entry.mode) else 1)
        date = epoch if entry.date is None else entry.date
        for piece in _pieces(entry, inode, links, date, data):
            size += len(piece)
            yield piece
    last = b"".join(_pieces(_TRAILER, 0, 1, 0, b""))
    yield last + b"\0" * (-(size + len(last)) % 512)


def unpack(archive: bytes) -> Iterator[Entry]:
    """The entries of an archive that C{pack} wrote, dates left out.

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
            path = archive[at + HEADER : name_end - 1].decode(errors="surrogateescape")
        except ValueError as error:
            raise CpioError(f"a broken newc header at {at}") from error
        start = name_end + -name_end % 4
        end = start + fields[6]
        if end > len(archive):
            raise CpioError(f"cut short in {path}")
        if path == TRAILER:
            return
        linked = fields[0] if fields[4] > 1 and not stat.S_ISDIR(fields[1]) else 0
        yield Entry(
            path,
            fields[1],
            archive[start:end],
            device=(fields[9], fields[10]),
            owner=(fields[2], fields[3]),
            file=linked,
        )
        at = end + -end % 4


class _Trailer(Entry):
    """What ends an archive: the one entry of its name."""

    def __post_init__(self) -> None:
        """Anything goes."""


_TRAILER = _Trailer(TRAILER, 0)


def _pieces(entry: Entry, inode: int, links: int, date: int, data: bytes) -> Iterator[bytes]:
    name = entry.path.encode(errors="surrogateescape") + b"\0"
    numbers = (
        *(inode, entry.mode, *entry.owner, links, date, len(data)),
        *(0, 0, *entry.device, len(name), 0),
    )
    head = MAGIC + b"".join(b"%08X" % number for number in numbers) + name
    yield head + b"\0" * (-len(head) % 4)
    if data:
        yield data
        yield b"\0" * (-len(data) % 4)
