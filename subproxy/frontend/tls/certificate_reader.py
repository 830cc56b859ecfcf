"""
What the files of certificates hold: each is read when it has changed, the last good one is kept.

It may be read in a process that others are forked from: these go on from there, with what was good
although its file is not any longer.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from subproxy.files.regular_file import open_regular
from subproxy.frontend.tls.certificate import (
    MAX_FILE,
    Certificate,
    CertificateError,
    read_certificate,
)
from subproxy.frontend.tls.certificate_files import CertificateFiles, find_certificates
from subproxy.frontend.tls.certificate_store import CertificateStore


def read_files(files: CertificateFiles) -> Certificate | CertificateError:
    """What the files hold, or why that is of no use."""
    try:
        pem = _read(files.path)
        key = _read(files.key) if files.key and os.path.exists(files.key) else b""
        return read_certificate(pem, key)
    except CertificateError as error:
        return error
    except OSError as error:
        return CertificateError(f"{error.filename}: {error.strerror}")


def _read(path: str) -> bytes:
    with open_regular(path) as file:
        text = file.read(MAX_FILE + 1)
    if len(text) > MAX_FILE:
        raise CertificateError(f"{path} is longer than {MAX_FILE} bytes")
    return text


@dataclass(frozen=True, slots=True)
class NamedFileUnusable(Exception):
    """A file that was asked for by name can't be had: C{path}, and C{why}."""

    path: str
    why: str


class CertificateReader:
    """
    Reads the certificates of some folders and files. It says nothing, and watches nothing.

    @param paths: the folders and files, as an operator wrote them.
    @ivar paths: the same, absolute.
    @ivar store: what is in force, and what is known of each file.
    @ivar unread: folders that could not be looked into, and why; what was there stays in force.
    @ivar now: the time of day, in seconds since the epoch.
    """

    def __init__(self, paths: Sequence[str], now: Callable[[], float]) -> None:
        self.paths = [os.path.abspath(each) for each in paths]
        self.store = CertificateStore()
        self.now = now
        self._stamps: dict[str, tuple[int, ...]] = {}
        self.unread: dict[str, str] = {}

    def read(self) -> int:
        """Look at all at once; how many good ones were read."""
        look = self.steps()
        while True:
            try:
                next(look)
            except StopIteration as end:
                count: int = end.value
                return count

    def check(self, paths: Sequence[str]) -> None:
        """
        Look whether those of C{paths} that are files hold certificates, and whether the others can
        be looked into.

        @raise NamedFileUnusable: one does not, or can't.
        """
        for path in paths:
            full = os.path.abspath(path)
            held = self.store.held.get(full)
            if (held is not None and held.certificate is not None) or self._held_below(full):
                continue
            if full in self.unread:
                raise NamedFileUnusable(path, self.unread[full])
            if not os.path.exists(path):
                raise NamedFileUnusable(path, "there is no such file or folder")
            if held is not None:
                raise NamedFileUnusable(path, held.problem)

    def steps(
        self, found_all: Callable[[list[CertificateFiles]], object] | None = None
    ) -> Generator[None, None, int]:
        """
        Bring what is in force in line with the files; it may pause at each C{yield}.

        @param found_all: called with which files there are, before any of them is looked at.
        @return: the value of the generator is how many good ones were read.
        """
        named: dict[str, CertificateFiles] = {}
        unread: dict[str, str] = {}
        for files in find_certificates(self.paths, unread):
            # One in a folder may also be named by itself, as the default.
            if files.path not in named or files.is_default:
                named[files.path] = files
            yield
        self.unread = unread
        found = list(named.values())
        if found_all is not None:
            found_all(found)
        read: dict[str, Certificate | CertificateError] = {}
        there: dict[str, CertificateFiles] = {}
        stamps = {}
        for files in found:
            try:
                stamps[files.path] = stamp = files.stamp()
            except OSError as error:
                stamp = ()
                if not isinstance(error, FileNotFoundError):
                    if self._held_below(files.path):
                        continue  # it was a folder, and is one that can't be seen now
                    read[files.path] = CertificateError(str(error.strerror))
                else:
                    held = self.store.held.get(files.path)
                    if held is not None and held.certificate is not None:
                        continue  # the store keeps it, as one whose file is gone
                    read[files.path] = CertificateError("there is no such file")
            there[files.path] = files
            if stamp and self._stamps.get(files.path) != stamp:
                read[files.path] = read_files(files)
            yield
        for path, why in self._out_of_sight():
            if path not in there:
                there[path] = self.store.held[path].files
                read[path] = CertificateError(why)
        # What stood in the way of one need not have been the file: the next look reads it again.
        self._stamps = {
            path: stamps[path]
            for path in stamps
            if not isinstance(read.get(path), CertificateError)
        }
        self.store.update(list(there.values()), read, self.now())
        return sum(isinstance(each, Certificate) for each in read.values())

    def _held_below(self, folder: str) -> bool:
        """Whether some of what is in force was in C{folder}."""
        begin = os.path.join(folder, "")
        return any(path.startswith(begin) for path in self.store.held)

    def _out_of_sight(self) -> Iterator[tuple[str, str]]:
        """What is in force, and may be in a folder that can't be looked into, and why it can't."""
        for folder, why in self.unread.items():
            begin = os.path.join(folder, "")
            for path, held in self.store.held.items():
                if path.startswith(begin) and not held.removed:
                    yield path, f"{folder}: {why}"
