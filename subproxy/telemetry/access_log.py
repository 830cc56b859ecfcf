"""
The access log: lines kept for at most a second, then written all at once.

A line is made when the last byte of its answer has left: when the transport has less waiting
than its buffer's size, which is what it tells of a client that reads; of one that does not,
when that has been written to the kernel, or the connection is gone.

Writing never stalls serving. A file on a full disk, or a pipe that nobody reads, costs lines:
they are dropped, counted, and the count is told in the program's own log.
"""

from __future__ import annotations

import os
import select
import stat
import time
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from zope.interface import implementer

from subproxy.telemetry.exchange_record import ExchangeRecord, IExchangeLog
from subproxy.telemetry.log_buffer import ILogBuffer, LogBuffer
from subproxy.telemetry.log_format import FORMATS
from subproxy.telemetry.recent_requests import Data, RecentRequests

FLUSH_AFTER = 1.0
"""Seconds that a line may wait."""

FLUSH_SIZE = 65_536
"""Bytes that may wait."""

MODE = 0o640
"""Mode of a file that is made, whatever the umask: a daemon's differs from that of its start."""

MAX_WAITING = 262_144
"""Bytes that may wait for a pipe that takes nothing now; beyond them lines are dropped."""

_ATOMIC = 4096
"""What a pipe that is ready takes without blocking."""


@implementer(IExchangeLog)
class AccessLog:
    """
    Writes finished exchanges to a file descriptor.

    @param path: a file, or C{"-"} for standard output.
    @param style: a key of L{subproxy.telemetry.log_format.FORMATS}.
    @param clock: what flushes.
    @param wall: the time of day, in seconds since the epoch.
    @param may_wait: a file that can't be opened now is tried again, whenever lines are written;
        those are lost, meanwhile.
    @ivar path: where the file is, whatever folder anybody is in; C{"-"} likewise.
    @ivar style: see above.
    @ivar wall: see above.
    @ivar spell: the time of day as the lines have it.
    @ivar waiting: what waits to be written; another holder may take its place at the start.
    @ivar recent: what keeps the newest lines in memory; None: nobody does.
    @ivar lines: lines written so far.
    @ivar dropped: lines lost so far.
    @raise OSError: the file can't be opened, and may not be later.
    """

    _log = Logger()

    def __init__(
        self,
        path: str,
        style: str,
        clock: IReactorTime,
        wall: Callable[[], float] = time.time,
        *,
        may_wait: bool = False,
    ) -> None:
        self.path = path if path == "-" else os.path.abspath(path)
        self._descriptor = -1
        self._file = (0, 0)  # device and inode
        self.style = style
        self._format, self.spell = FORMATS[style].line, FORMATS[style].date
        self._clock = clock
        self.wall = wall
        self.waiting: LogBuffer = ILogBuffer()
        self.recent: RecentRequests | None = None
        self._second = -1
        self._date = b""
        self._rest = b""  # what a pipe did not take yet
        self._call: IDelayedCall | None = None
        self._losing = 0  # lines lost since the last one that was written
        self._torn = False  # a line in the file has no end
        self.lines = 0
        self.dropped = 0
        self._missing = ""  # why there is no file yet
        try:
            self._open()
        except OSError as error:
            if not may_wait:
                raise
            self._log.error("cannot open {path}: {why}", path=self.path, why=error.strerror)
            self._missing = str(error.strerror)
            self._descriptor = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)

    def exchangeEnded(self, record: ExchangeRecord) -> None:
        """See L{IExchangeLog}. What ends after L{close} is not written."""
        if self._descriptor < 0:
            return
        now = int(self.wall())
        if now != self._second:
            self._second = now
            self._date = self.spell(now)
        line = self._format(record, self._date)
        if self.recent is not None:
            self.recent.note(record)
        self.waits(self.waiting.append(line))

    def waits(self, size: int) -> None:
        """So many bytes wait now: write them, or see that they will be written."""
        if self._descriptor < 0:
            self.waiting.take()
        elif size >= FLUSH_SIZE:
            self.flush()
        elif self._call is None:
            self._call = self._clock.callLater(FLUSH_AFTER, self._late)

    def flush(self) -> None:
        """Write what waits, as far as that does not block."""
        data, lines = self.waiting.take()
        if self.recent is not None and lines:
            self.recent.keep(data)
        if self._missing and lines:
            self.reopen()
        if self._missing:
            self._drop(lines, self._missing)
        elif self._pipe:
            self._to_pipe(data)
        elif lines:
            self._to_file(data, lines)

    def find(self, about: str) -> list[Data]:
        """See L{RecentRequests.find}; what waits to be written is written first."""
        if self.recent is None:
            return []
        self.flush()
        return self.recent.find(about)

    def reopen(self) -> None:
        """Open the file anew, after a rotation. If that fails, the old one is kept."""
        if self.path == "-" or self._descriptor < 0:
            return
        if not self._missing:
            self.flush()
        old = self._descriptor
        try:
            self._open()
        except OSError as error:
            if not self._missing:
                self._log.error("cannot reopen {path}: {error}", path=self.path, error=error)
        else:
            self._missing = ""
            os.close(old)

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._descriptor >= 0:
            self.flush()
            if self._rest:
                self._drop(self._rest.count(b"\n"), "nobody reads it")
                self._rest = b""
            if self._descriptor != 1:
                os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        if self.path == "-":
            self._descriptor = _standard_output()
        else:
            self._descriptor = _open_file(self.path)
        found = os.fstat(self._descriptor)
        file = found.st_dev, found.st_ino
        self._torn = self._torn and file == self._file
        self._file = file
        self._pipe: select.poll | None = None
        if not stat.S_ISREG(found.st_mode):
            self._pipe = select.poll()
            self._pipe.register(self._descriptor, select.POLLOUT)

    def _late(self) -> None:
        self._call = None
        self.flush()
        if self._rest:
            self._call = self._clock.callLater(FLUSH_AFTER, self._late)

    def _to_file(self, data: bytes, lines: int) -> None:
        if self._torn:
            data = b"\n" + data
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._drop(lines, error.strerror or str(error))
            return
        if written < len(data):
            # The disk is full: what was written of the next line is ended when there is room.
            self._torn = not data[:written].endswith(b"\n")
            self._drop(data[written:].count(b"\n"), "no space left")
            lines -= data[written:].count(b"\n")
        else:
            self._torn = False
            self._told()
        self.lines += lines

    def _to_pipe(self, data: bytes) -> None:
        data = self._rest + data
        at = 0
        pipe = self._pipe
        assert pipe is not None
        try:
            while at < len(data) and pipe.poll(0):
                at += os.write(self._descriptor, data[at : at + _ATOMIC])
        except BlockingIOError:
            pass
        except OSError as error:
            self._rest = b""
            self._drop(data.count(b"\n", at), error.strerror or str(error))
            return
        self.lines += data.count(b"\n", 0, at)
        rest = data[at:]
        if len(rest) > MAX_WAITING:
            # Keep the line that is half written, and drop the youngest whole ones.
            end = rest.rfind(b"\n", 0, MAX_WAITING) + 1
            self._drop(rest.count(b"\n", end), "nobody reads it")
            rest = rest[:end]
        elif not rest:
            self._told()
        self._rest = rest

    def _drop(self, lines: int, reason: str) -> None:
        if not lines:
            return
        self.dropped += lines
        if not self._losing:
            self._log.warn("the access log loses lines: {reason}", reason=reason)
        self._losing += lines

    def _told(self) -> None:
        if self._losing:
            self._log.warn("the access log lost {lines} lines", lines=self._losing)
            self._losing = 0


def _open_file(path: str) -> int:
    """
    Open C{path} to append to it; make it, of mode L{MODE}, if it is not there.

    One that is there keeps its mode: a rotation may have made it.

    @raise OSError: it can't be had.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK
    while True:
        try:
            return os.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            made = os.open(path, flags | os.O_CREAT | os.O_EXCL, MODE)
        except FileExistsError:
            # Somebody was quicker; or a link leads to where there is nothing yet.
            path = os.path.realpath(path)
            continue
        os.fchmod(made, MODE)
        return made


def _standard_output() -> int:
    """
    Standard output, so that writing to it does not block.

    A pipe or a terminal is opened anew, because the flag for that would hold for everyone who
    shares it: the shell, for one. A file is written through the descriptor that is there,
    whose offset the program's own log shares.
    """
    mode = os.fstat(1).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        try:
            return os.open("/proc/self/fd/1", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            pass
    return 1
