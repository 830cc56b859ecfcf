"""A root file system in memory, as layers and folders are put into it, on its way to a machine.

Nothing is written to the disk of the machine that builds: no owner, device or link of somebody
else's image comes into being here, and no path can lead out of what is only a dictionary.
"""

from __future__ import annotations

import posixpath
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from guest.image.cpio import Entry

MOST_LINKS = 40
"""Symbolic links on one way; Linux gives up with ELOOP after as many."""


class RootfsError(ValueError):
    """What can't be put there, or isn't there."""


@dataclass(eq=False)
class Inode:
    """
    A file of any kind: what C{stat} tells of it, and its content. Hard links share one.

    @ivar mode: type and permissions.
    @ivar data: the content of a file, or where a symbolic link leads.
    @ivar owner: the numbers of a user and of a group.
    @ivar date: seconds since 1970; None: that of the image.
    @ivar device: a node's major and minor number.
    @ivar names: what a folder holds.
    """

    mode: int
    data: bytes = b""
    owner: tuple[int, int] = (0, 0)
    date: int | None = None
    device: tuple[int, int] = (0, 0)
    names: dict[str, Inode] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)


def folder(permissions: int = 0o755) -> Inode:
    """An empty folder of root's."""
    return Inode(stat.S_IFDIR | permissions)


def parts_of(path: str) -> list[str]:
    """
    The parts of a path inside of a root; of the root itself there are none.

    @raise RootfsError: it leads out, or can't be a path.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise RootfsError(f"a path that leads out of its folder: {path!r}")
    if "\0" in path:
        raise RootfsError(f"no path: {path!r}")
    return parts


class Rootfs:
    """
    The files of one machine.

    @ivar top: its root folder.
    """

    def __init__(self) -> None:
        """Begin with an empty one."""
        self.top = folder()

    def entries(self, prefix: str) -> Iterator[Entry]:
        """All of it below C{prefix}, as entries of an archive."""
        names = Counter(id(inode) for _, inode in self.walk())
        numbers: dict[int, int] = {}
        for path, inode in self.walk():
            shared = names[id(inode)] > 1
            yield Entry(
                posixpath.join(prefix, path) if path else prefix,
                inode.mode,
                inode.data,
                device=inode.device,
                owner=inode.owner,
                date=inode.date,
                file=numbers.setdefault(id(inode), len(numbers) + 1) if shared else 0,
            )

    def walk(self) -> Iterator[tuple[str, Inode]]:
        """Every name, a folder before what it holds, and what it names; the root's is empty."""
        waiting = [("", self.top)]
        while waiting:
            path, inode = waiting.pop()
            yield path, inode
            for name in sorted(inode.names, reverse=True):
                waiting.append((f"{path}/{name}" if path else name, inode.names[name]))

    def lookup(self, path: str, follow: bool = True) -> Inode | None:
        """
        What a path leads to, as the machine will see it; None: nothing.

        @param follow: whether a symbolic link at its end is followed, as those on the way are.
        @raise RootfsError: links lead in a circle.
        """
        return self._resolve(path.split("/"), follow=follow)

    def exactly(self, parts: Sequence[str]) -> Inode | None:
        """What has exactly this path: no link is followed. None: nothing."""
        inode: Inode | None = self.top
        for part in parts:
            inode = None if inode is None else inode.names.get(part)
        return inode

    def make_folders(self, path: str) -> Inode:
        """
        The folder at a path, made with all above it where it is missing; links are followed.

        @raise RootfsError: there is something else, or links lead in a circle.
        """
        found = self._resolve(path.split("/"), make=True)
        if found is None or not found.is_folder:
            raise RootfsError(f"{path} is no folder, or below a file")
        return found

    def _resolve(
        self, parts: Sequence[str], follow: bool = True, make: bool = False
    ) -> Inode | None:
        """Follow a path as the kernel does with this root: C{..} of the root is the root."""
        way = [self.top]
        waiting = list(reversed(parts))
        links = 0
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                way = way[:-1] or way
                continue
            if make and part not in way[-1].names and way[-1].is_folder:
                way[-1].names[part] = folder()
            found = way[-1].names.get(part)
            if found is None:
                return None
            last = not any(rest not in ("", ".") for rest in waiting)
            if not found.is_link or (last and not follow):
                way.append(found)
                continue
            links += 1
            if links > MOST_LINKS:
                raise RootfsError(f"links in a circle: {'/'.join(parts)}")
            target = found.data.decode(errors="surrogateescape")
            if target.startswith("/"):
                way = [self.top]
            waiting += target.split("/")[::-1]
        return way[-1]

    def put(self, path: str, inode: Inode) -> None:
        """
        Give a file a name, in the place of what has it.

        Folders on the way are made where they are missing. A folder over a folder takes its mode,
        owner and date, and what it holds stays.

        @raise RootfsError: the path leads out, or through something that is no folder.
        """
        parts = parts_of(path)
        if not parts:
            if not inode.is_folder:
                raise RootfsError("the root is a folder")
            self.top = replace(inode, names=self.top.names)
            return
        above = self.make_folders("/".join(parts[:-1]))
        before = above.names.get(parts[-1])
        if before is not None and before.is_folder and inode.is_folder:
            inode = replace(inode, names=before.names)
        above.names[parts[-1]] = inode

    def put_file(self, path: str, data: bytes, permissions: int = 0o644) -> None:
        """
        Put a regular file of root's in.

        @raise RootfsError: as for L{put}.
        """
        self.put(path, Inode(stat.S_IFREG | permissions, data))
