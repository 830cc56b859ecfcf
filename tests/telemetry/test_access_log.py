"""The access log: when it writes, and what it does when it can't."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from subproxy.telemetry import access_log
from subproxy.telemetry.access_log import AccessLog
from subproxy.telemetry.exchange_record import IExchangeLog
from tests.rigs.paths import ROOT
from tests.telemetry.test_log_format import exchange, record


class AccessLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.path = Path(self.mktemp())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.events: list[str] = []
        globalLogPublisher.addObserver(self.observe)
        self.addCleanup(globalLogPublisher.removeObserver, self.observe)

    def observe(self, event: dict[str, object]) -> None:
        if event.get("log_namespace", "").startswith("subproxy.telemetry"):  # type: ignore[attr-defined]
            self.events.append(str(event["log_format"]).format(**event))

    def make(self, path: str | None = None, style: str = "combined") -> AccessLog:
        log = AccessLog(path or str(self.path), style, self.clock, self.clock.seconds)
        self.addCleanup(log.close)
        return log

    def write(self, log: AccessLog, count: int = 1, target: bytes = b"/") -> None:
        for _ in range(count):
            log.exchangeEnded(record(exchange(target=target)))

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def test_interface(self) -> None:
        verifyObject(IExchangeLog, self.make())

    def test_a_file_that_may_be_had_later(self) -> None:
        """Lines are lost until it can be opened; how many is told then."""
        folder = self.path.parent / "later"
        path = str(folder / "log")
        self.assertRaises(OSError, self.make, path)
        log = AccessLog(path, "combined", self.clock, self.clock.seconds, may_wait=True)
        self.addCleanup(log.close)
        self.write(log, 2)
        self.clock.advance(1)
        self.write(log, 1)
        log.reopen()
        self.clock.advance(1)
        self.assertEqual((log.lines, log.dropped), (0, 3))
        folder.mkdir()
        self.write(log, 4)
        self.clock.advance(1)
        self.assertEqual(len((folder / "log").read_text().splitlines()), 4)
        self.assertEqual((log.lines, log.dropped), (4, 3))
        self.assertEqual(
            self.events,
            [
                f"cannot open {os.path.abspath(path)}: No such file or directory",
                "the access log loses lines: No such file or directory",
                "the access log lost 3 lines",
            ],
        )

    def test_lines_are_written_within_a_second(self) -> None:
        log = self.make()
        self.write(log, 3)
        self.assertEqual(self.lines(), [])
        self.clock.advance(1)
        self.assertEqual(len(self.lines()), 3)
        self.assertEqual(log.lines, 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.write(log)
        self.clock.advance(1)
        self.assertEqual(len(self.lines()), 4)

    def test_much_is_written_at_once(self) -> None:
        log = self.make()
        self.write(log, 15, b"/" + b"x" * 4100)
        self.assertEqual(len(self.lines()), 0)
        self.write(log, 1, b"/" + b"x" * 4100)
        self.assertEqual(len(self.lines()), 16)

    def test_lines_have_the_time(self) -> None:
        log = self.make()
        self.write(log)
        self.clock.advance(60)
        self.write(log)
        log.close()
        first, second = self.lines()
        self.assertIn("[01/Jan/1970:00:00:00 +0000]", first)
        self.assertIn("[01/Jan/1970:00:01:00 +0000]", second)

    def test_json(self) -> None:
        log = self.make(style="json")
        self.write(log)
        log.close()
        self.assertTrue(self.lines()[0].startswith('{"time":"1970-01-01T00:00:00Z",'))

    def test_reopen_goes_on_in_a_new_file(self) -> None:
        log = self.make()
        self.write(log, 2)
        old = self.path.with_suffix(".1")
        self.path.rename(old)
        self.write(log)
        log.reopen()
        self.write(log)
        log.close()
        self.assertEqual(len(old.read_text().splitlines()), 3)
        self.assertEqual(len(self.lines()), 1)

    def test_one_mode_whatever_the_umask(self) -> None:
        """A file that is made is 0640, at the start and later; one that is there stays."""
        log = self.make()
        for umask in (0o077, 0o022, 0o000):
            self.path.rename(self.path.with_suffix(".1"))
            before = os.umask(umask)
            try:
                log.reopen()
            finally:
                os.umask(before)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o640)
        self.path.chmod(0o600)
        log.reopen()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_a_link_to_nothing_yet(self) -> None:
        """The file is made where the link leads."""
        target = self.path.with_suffix(".real")
        self.path.symlink_to(target.absolute())
        self.write(self.make())
        self.clock.advance(1)
        self.assertEqual(len(target.read_text().splitlines()), 1)
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o640)

    def test_reopen_that_fails_keeps_the_old_file(self) -> None:
        log = self.make()
        old = self.path.with_suffix(".1")
        self.path.rename(old)
        self.path.mkdir()
        log.reopen()
        self.write(log)
        log.close()
        self.assertEqual(len(old.read_text().splitlines()), 1)
        self.assertIn("cannot reopen", self.events[0])

    def test_a_file_that_cannot_be_opened(self) -> None:
        self.assertRaises(OSError, AccessLog, str(self.path / "no" / "x"), "combined", self.clock)

    def test_a_closed_log_forgets(self) -> None:
        log = self.make()
        log.close()
        self.write(log)
        log.reopen()
        log.close()
        self.assertEqual(self.lines(), [])

    def test_a_full_disk_costs_lines_and_is_told_once(self) -> None:
        if not os.path.exists("/dev/full"):
            self.skipTest("no /dev/full")
        log = self.make("/dev/full")
        for _ in range(3):
            self.write(log, 5)
            self.clock.advance(1)
        self.assertEqual((log.lines, log.dropped), (0, 15))
        self.assertEqual(len(self.events), 1)
        self.assertIn("loses lines: No space left", self.events[0])

    def test_a_disk_that_fills_up_in_the_middle_of_a_line(self) -> None:
        log = self.make()
        real = os.write
        room = [250]

        def write(descriptor: int, data: bytes) -> int:
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = real(descriptor, data[: room[0]])
            room[0] -= written
            return written

        self.patch(access_log.os, "write", write)
        self.write(log, 4)
        self.clock.advance(1)
        self.write(log, 2)
        self.clock.advance(1)
        room[0] = 10_000
        log.reopen()  # the same file: nothing was moved away
        self.write(log, 3)
        self.clock.advance(1)
        self.patch(access_log.os, "write", real)
        whole = [line for line in self.lines() if line.endswith(" -")]
        self.assertEqual(len(whole), log.lines)
        self.assertEqual(log.lines + log.dropped, 9)
        self.assertIn("lost", self.events[-1])

    def test_a_pipe_that_nobody_reads_does_not_stall(self) -> None:
        path = self.path.with_suffix(".pipe")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        log = self.make(str(path))
        self.write(log, 1000, b"/" + b"x" * 1000)
        self.assertGreater(log.dropped, 100)
        self.assertIn("nobody reads it", self.events[0])
        found = b""
        for _ in range(100):
            try:
                found += os.read(reader, 1 << 20)
            except BlockingIOError:
                pass
            self.clock.advance(1)
        self.assertEqual(found.count(b"\n"), log.lines)
        self.assertTrue(all(line.endswith(b" -") for line in found.splitlines()))
        self.assertEqual(log.lines + log.dropped, 1000)
        self.assertIn("lost", self.events[-1])

    def test_a_pipe_whose_reader_has_gone(self) -> None:
        path = self.path.with_suffix(".pipe")
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        log = self.make(str(path))
        os.close(reader)
        self.write(log, 3)
        self.clock.advance(1)
        self.assertEqual(log.dropped, 3)


class StandardOutputTests(SynchronousTestCase):
    """In a process of its own, whose standard output is what is tested."""

    program = (
        "from twisted.internet.task import Clock\n"
        "from subproxy.telemetry.access_log import AccessLog\n"
        "from tests.telemetry.test_log_format import exchange, record\n"
        "log = AccessLog('-', 'combined', Clock())\n"
        "print('before', flush=True)\n"
        "for _ in range({count}):\n"
        "    log.exchangeEnded(record(exchange()))\n"
        "log.close()\n"
        "open({done!r}, 'w').close()\n"
        "print('after', log.lines, log.dropped, flush=True)\n"
    )

    def setUp(self) -> None:
        self.done = Path(self.mktemp()).absolute()
        self.done.parent.mkdir(parents=True, exist_ok=True)

    def run_program(self, count: int, **output: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-c", self.program.format(count=count, done=str(self.done))],
            cwd=ROOT,
            **output,
        )

    def test_a_pipe(self) -> None:
        child = self.run_program(3, stdout=subprocess.PIPE)
        found, _ = child.communicate(timeout=60)
        lines = found.decode().splitlines()
        self.assertEqual((lines[0], len(lines), lines[-1]), ("before", 5, "after 3 0"))

    def test_a_pipe_that_nobody_reads_does_not_stall(self) -> None:
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        child = self.run_program(20_000, stdout=writer)
        os.close(writer)
        end = time.monotonic() + 60
        while not self.done.exists():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        found = b""
        while data := os.read(reader, 65536):
            found += data
        self.assertEqual(child.wait(60), 0)
        counts = found.split()[-2:]
        self.assertEqual(sum(map(int, counts)), 20_000)

    def test_a_file_is_shared(self) -> None:
        path = Path(self.mktemp())
        with path.open("wb") as out:
            self.assertEqual(self.run_program(3, stdout=out).wait(60), 0)
        lines = path.read_text().splitlines()
        self.assertEqual((lines[0], len(lines), lines[-1]), ("before", 5, "after 3 0"))
