"""The files of a container image as it lies on a disk: a tar, packed or not, or a folder."""

from __future__ import annotations

import hashlib
import posixpath
import re
import shutil
import tarfile
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, BinaryIO, cast

from guest.image.compression import LONGEST, PIECE, packing, unpack_into

DOCUMENT = 16 << 20
"""Bytes of the longest manifest or configuration that is read."""

_BLOB = re.compile(r"(?:.*/)?([0-9a-f]{64})(?:\.json)?")


class ContainerError(ValueError):
    """A container image that can't be read, or can't become a machine."""


class ContainerArchive:
    """
    Gives files by their names; closes what it has opened.

    Nothing is unpacked to a path: what a name or a link leads to is looked for among the names of
    the archive.
    """

    def __init__(self, path: Path) -> None:
        """
        Open it.

        @raise ContainerError: neither a folder nor a tar, or a broken one.
        """
        self._stack = ExitStack()
        self._folder = path if path.is_dir() else None
        self._members: dict[str, tarfile.TarInfo] = {}
        if self._folder is None:
            try:
                self._open(path)
            except (tarfile.TarError, ValueError) as error:
                self.close()
                raise ContainerError(f"{path} is no tar of a container image: {error}") from error

    def _open(self, path: Path) -> None:
        file: BinaryIO = self._stack.enter_context(path.open("rb"))
        if packing(file.read(LONGEST)) is not None:
            unpacked = cast(BinaryIO, TemporaryFile(prefix="subproxy-container-"))  # noqa: SIM115
            unpack_into(file, self._stack.enter_context(unpacked))
            file = unpacked
        file.seek(0)
        tar = tarfile.open(fileobj=file, mode="r:")  # noqa: SIM115
        self._tar = self._stack.enter_context(tar)
        for member in self._tar:
            self._members[posixpath.normpath(member.name).lstrip("/")] = member

    def __enter__(self) -> ContainerArchive:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of what was opened."""
        self._stack.close()

    def holds(self, name: str) -> bool:
        """Whether there is a file of that name."""
        if self._folder is not None:
            return self._path(name).is_file()
        return self._member(name) is not None

    def read(self, name: str) -> bytes:
        """
        A manifest or a configuration.

        @raise ContainerError: there is none, it is too long, or not what its name says.
        """
        with self._opened(name) as file:
            data = file.read(DOCUMENT + 1)
        if len(data) > DOCUMENT:
            raise ContainerError(f"{name} in the container image is too long")
        named = _BLOB.fullmatch(name)
        if named is not None and hashlib.sha256(data).hexdigest() != named[1]:
            raise ContainerError(f"{name} in the container image is not what its name says: broken")
        return data

    def copy(self, name: str, target: BinaryIO) -> None:
        """
        Write a layer into a file, as it is.

        @raise ContainerError: there is none.
        """
        with self._opened(name) as file:
            shutil.copyfileobj(file, target, PIECE)

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        if ".." in name.split("/") or name.startswith("/"):
            raise ContainerError(f"a name that leads out of the container image: {name!r}")
        return self._folder / name

    def _opened(self, name: str) -> IO[bytes]:
        if self._folder is not None:
            try:
                return self._path(name).open("rb")
            except OSError as error:
                raise ContainerError(f"the container image has no {name}: {error}") from error
        member = self._member(name)
        found = None if member is None else self._tar.extractfile(member)
        if found is None:
            raise ContainerError(f"the container image has no {name}")
        return found

    def _member(self, name: str) -> tarfile.TarInfo | None:
        """A file of the tar; C{docker save} writes a layer that comes twice as a link."""
        for _ in range(8):
            member = self._members.get(posixpath.normpath(name))
            if member is None or member.isreg():
                return member
            if member.issym():
                name = posixpath.join(posixpath.dirname(member.name), member.linkname)
            elif member.islnk():
                name = member.linkname
            else:
                return None
        return None
