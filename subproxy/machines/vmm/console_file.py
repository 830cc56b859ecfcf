"""A guest's console in a file that stays small, however much the guest writes.

What a VMM writes comes through a named pipe, which the VMM and this process both hold open for
reading and writing. So the VMM never finds it closed, not even while this process executes itself
anew, and nothing that a guest writes reaches the disk beyond the bound. A guest that writes faster
than L{RATE} waits at its serial port.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from subproxy.machines.rotation_record import RotationRecord
from subproxy.machines.vmm.console_lines import ConsoleLines

PIECE: Final = 1 << 16
"""Bytes that are read at once: what a pipe holds."""

RATE: Final = 1 << 20
"""Bytes a second that are read of one console."""

_FLAGS: Final = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class RotatedFile:
    """
    A file of at most so many bytes; the one before it is kept as C{<path>.1}, and a
    L{RotationRecord} beside it.

    An error of the disk loses what was to be written, and is told once; what comes next is tried
    again.

    @param path: it is begun anew; one that is there becomes the one before.
    @param limit: bytes.
    @param resume: go on with the one that is there instead.
    """

    _log = Logger()

    def __init__(self, path: Path, limit: int, *, resume: bool = False) -> None:
        self._path = path
        self._limit = limit
        self._size = 0
        self._fd = -1
        self._told = False
        self._closed = False
        self._unrecorded = False
        self._record = RotationRecord.read(path)
        if resume:
            self._open(0)
        if self._fd < 0:
            self._rotate()

    def write(self, data: bytes) -> None:
        """Append it. It may block as files do."""
        if self._closed:
            return
        data = data[-self._limit :]
        if self._fd < 0 or self._size + len(data) > self._limit:
            self._rotate()
        if self._fd < 0:
            return
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            self._tell(error)
        else:
            self._size += written

    def close(self) -> None:
        """Write no more."""
        self._closed = True
        self._release()

    def _release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _rotate(self) -> None:
        self._release()
        self._size = 0
        try:
            found = self._found()
            if found is not None:
                os.replace(self._path, f"{self._path}.1")
                begin = self._record.begin
                self._record = RotationRecord(begin, begin + found)
                self._unrecorded = True
            if self._unrecorded:
                self._record.write(self._path)
                self._unrecorded = False
        except OSError as error:
            self._tell(error)
        else:
            self._open(os.O_EXCL)

    def _found(self) -> int | None:
        """The size of what is there; None if nothing is."""
        try:
            return os.lstat(self._path).st_size
        except FileNotFoundError:
            return None

    def _open(self, how: int) -> None:
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _FLAGS
            self._fd = os.open(self._path, flags | how, 0o600)
            found = os.fstat(self._fd)
            self._size = found.st_size
            if not stat.S_ISREG(found.st_mode):
                self._release()
                raise FileExistsError(17, "no file", str(self._path))
        except OSError as error:
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            self._log.warn("console {path}: {error}", path=str(self._path), error=str(error))


@implementer(IReadDescriptor)
class ConsolePipe:
    """
    Reads a console's named pipe.

    @param path: made if it is not there; what is there and no pipe is replaced.
    @param take: called with what was read.
    """

    def __init__(self, reactor: Any, path: Path, take: Callable[[bytes], None]) -> None:
        self._reactor = reactor
        self._take = take
        self._read = 0
        self._resume: Any = None
        make_pipe(path)
        self._fd = os.open(path, os.O_RDWR | _FLAGS)
        reactor.addReader(self)

    def fileno(self) -> int:
        """The pipe."""
        return self._fd

    def logPrefix(self) -> str:
        """For the log's lines."""
        return "console"

    def doRead(self) -> None:
        """There is something to read."""
        self._read += self._piece()
        if self._resume is None:
            self._resume = self._reactor.callLater(1.0, self._next_second)
        if self._read >= RATE:
            self._reactor.removeReader(self)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends."""
        self.close()

    def close(self) -> None:
        """Take what is there, up to what a pipe holds, and read no more."""
        if self._fd < 0:
            return
        self._reactor.removeReader(self)
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        self._piece()
        os.close(self._fd)
        self._fd = -1

    def _piece(self) -> int:
        try:
            data = os.read(self._fd, PIECE)
        except BlockingIOError:
            return 0
        if data:
            self._take(data)
        return len(data)

    def _next_second(self) -> None:
        self._resume = None
        if self._read >= RATE:
            self._reactor.addReader(self)
        self._read = 0


class OutputLog:
    """
    What a process writes: in a file of bounded size, and its last lines.

    @param name: of C{<folder>/<name>.log} and of the pipe beside it.
    @param limit: bytes of the file.
    @param resume: the process was started before this process executed itself anew.
    @param on_output: called whenever there is more.
    @ivar pipe: what the process has as its output.
    @ivar lines: what it has said.
    """

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        name: str,
        limit: int,
        *,
        resume: bool = False,
        on_output: Callable[[], None] = lambda: None,
    ) -> None:
        self.pipe = folder / f"{name}.pipe"
        self.lines = ConsoleLines()
        self._on_output = on_output
        # First: it may fail, and the file is held open.
        self._reading = ConsolePipe(reactor, self.pipe, self._take)
        self._file = RotatedFile(folder / f"{name}.log", limit, resume=resume)

    def close(self) -> None:
        """Take what is there, and no more. The file stays, the pipe goes."""
        self._reading.close()
        self._file.close()
        self.pipe.unlink(missing_ok=True)

    def _take(self, data: bytes) -> None:
        self._file.write(data)
        self.lines.feed(data)
        self._on_output()


def make_pipe(path: Path) -> None:
    """Have a named pipe there, for its owner alone."""
    try:
        if stat.S_ISFIFO(os.lstat(path).st_mode):
            return
        os.unlink(path)
    except FileNotFoundError:
        pass
    os.mkfifo(path, 0o600)
