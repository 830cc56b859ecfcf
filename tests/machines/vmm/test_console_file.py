from __future__ import annotations

import os
import tempfile
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from subproxy.machines.rotation_record import RotationRecord
from subproxy.machines.vmm.console_file import (
    PIECE,
    RATE,
    ConsolePipe,
    OutputLog,
    RotatedFile,
    make_pipe,
)


class FolderCase(SynchronousTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="sp", dir="/tmp")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.path = self.folder / "console.log"
        self.before = self.folder / "console.log.1"


class RotatedFileTests(FolderCase):
    def file(self, limit: int = 10, *, resume: bool = False) -> RotatedFile:
        """A file, closed in the end."""
        file = RotatedFile(self.path, limit, resume=resume)
        self.addCleanup(file.close)
        return file

    def test_two_files_of_bounded_size(self) -> None:
        file = self.file()
        for each in (b"12345", b"67890", b"abc"):
            file.write(each)
        self.assertEqual(self.before.read_bytes(), b"1234567890")
        self.assertEqual(self.path.read_bytes(), b"abc")
        file.write(b"x" * 50 + b"0123456789")
        self.assertEqual(self.path.read_bytes(), b"0123456789")
        self.assertEqual(self.before.read_bytes(), b"abc")

    def test_the_one_before_is_kept(self) -> None:
        self.path.write_bytes(b"before")
        self.file().write(b"now")
        self.assertEqual(self.before.read_bytes(), b"before")
        self.assertEqual(self.path.read_bytes(), b"now")

    def test_it_goes_on(self) -> None:
        self.path.write_bytes(b"before")
        file = self.file(resume=True)
        file.write(b"now")
        self.assertEqual(self.path.read_bytes(), b"beforenow")
        file.write(b"later")
        self.assertEqual(self.path.read_bytes(), b"later")

    def test_nobody_else_may_read_it(self) -> None:
        self.file()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o600)

    def test_a_link_is_not_followed(self) -> None:
        """Whoever the folder belongs to can't have us write elsewhere."""
        elsewhere = self.folder / "elsewhere"
        elsewhere.write_bytes(b"dear")
        for resume in (False, True):
            os.symlink(elsewhere, self.path)
            self.file(resume=resume).write(b"x")
            self.assertEqual(elsewhere.read_bytes(), b"dear")
            self.assertEqual(self.path.read_bytes(), b"x")
            self.path.unlink()
            self.before.unlink()
            self.flushWarnings()

    def test_the_disk_is_full(self) -> None:
        file = self.file()
        os.close(file._fd)
        file._fd = os.open("/dev/full", os.O_WRONLY)
        file.write(b"x")
        file.write(b"x")
        self.assertEqual(self.path.read_bytes(), b"")

    def test_a_disk_that_was_full(self) -> None:
        """What comes when there is room again is written, and the record tells which bytes."""
        file = self.file()
        file.write(b"1234567890")
        (blocked := self.folder / "console.log.begin.new").mkdir()
        file.write(b"lost")
        blocked.rmdir()
        file.write(b"abc")
        self.assertEqual(self.path.read_bytes(), b"abc")
        self.assertEqual(self.before.read_bytes(), b"1234567890")
        self.assertEqual(RotationRecord.read(self.path), RotationRecord(0, 10))

    def test_no_pipe_is_waited_for(self) -> None:
        """Who the folder belongs to can't have us wait for a reader of the file."""
        os.mkfifo(self.path)
        self.file(resume=True).write(b"now")
        self.assertEqual(self.path.read_bytes(), b"now")
        self.flushWarnings()

    def test_no_folder(self) -> None:
        file = RotatedFile(self.folder / "no" / "x", 10)
        file.write(b"x")
        file.close()


class ConsolePipeTests(FolderCase):
    def setUp(self) -> None:
        super().setUp()
        self.clock = MemoryReactorClock()
        self.taken: list[bytes] = []
        self.pipe = self.folder / "console.pipe"
        self.reading = ConsolePipe(self.clock, self.pipe, self.taken.append)
        self.addCleanup(self.reading.close)
        self.writer = os.open(self.pipe, os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, self.writer)

    def test_what_is_written_is_taken(self) -> None:
        os.write(self.writer, b"hello")
        self.reading.doRead()
        self.reading.doRead()
        self.assertEqual(self.taken, [b"hello"])

    def test_what_is_there_is_taken_in_the_end(self) -> None:
        os.write(self.writer, b"last words")
        self.reading.connectionLost(Failure(ConnectionError()))
        self.assertEqual(self.taken, [b"last words"])
        self.assertEqual(self.clock.getReaders(), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.reading.close()

    def test_a_flood_waits_for_the_next_second(self) -> None:
        rounds = RATE // PIECE
        for _ in range(rounds):
            self.assertIn(self.reading, self.clock.getReaders())
            os.write(self.writer, bytes(PIECE))
            self.reading.doRead()
        self.assertEqual(sum(map(len, self.taken)), RATE)
        self.assertNotIn(self.reading, self.clock.getReaders())
        self.clock.advance(1)
        self.assertIn(self.reading, self.clock.getReaders())
        self.clock.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_another_opens_it_anew(self) -> None:
        """As this process does when it has executed itself: nothing is lost between."""
        self.reading.close()
        os.write(self.writer, b"between")
        again = ConsolePipe(self.clock, self.pipe, self.taken.append)
        self.addCleanup(again.close)
        again.doRead()
        self.assertEqual(self.taken, [b"between"])

    def test_what_is_no_pipe_is_replaced(self) -> None:
        path = self.folder / "file"
        path.write_text("x")
        make_pipe(path)
        self.assertTrue(path.is_fifo())
        make_pipe(path)
        self.assertTrue(path.is_fifo())


class OutputLogTests(FolderCase):
    def test_no_pipe(self) -> None:
        """Nothing is left open where its pipe can't be made: a start may fail again and again."""
        (self.folder / "console.pipe").mkdir()
        before = set(os.listdir("/proc/self/fd"))
        for _ in range(3):
            self.assertRaises(OSError, OutputLog, MemoryReactorClock(), self.folder, "console", 100)
        self.assertEqual(set(os.listdir("/proc/self/fd")), before)

    def test_file_and_lines(self) -> None:
        calls: list[None] = []
        log = OutputLog(
            MemoryReactorClock(), self.folder, "console", 100, on_output=lambda: calls.append(None)
        )
        writer = os.open(log.pipe, os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, writer)
        os.write(writer, b"one\ntwo")
        log.close()
        self.assertEqual(log.lines.last(), ("one", "two"))
        self.assertEqual(self.path.read_bytes(), b"one\ntwo")
        self.assertEqual(len(calls), 1)
        self.assertEqual([each.name for each in self.folder.iterdir()], ["console.log"])
