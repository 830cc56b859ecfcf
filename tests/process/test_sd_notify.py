"""Who started us is told."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.process.sd_notify import VARIABLE, WATCHDOG, WATCHED, SupervisorNotifier


class SupervisorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def listening(self, address: str) -> socket.socket:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.settimeout(5)
        listening.bind(address)
        return listening

    def test_systemd(self) -> None:
        """It hears when we serve, who takes over, and when we stop; nothing after a hand-over."""
        path = str(self.folder / "notify")
        abstract = f"subproxy-test-{os.getpid()}"
        for given, bound in ((path, path), (f"@{abstract}", f"\0{abstract}")):
            listening = self.listening(bound)
            supervisor = SupervisorNotifier(None, {VARIABLE: given})
            supervisor.ready()
            supervisor.succeeded(7)
            supervisor.stopping()
            SupervisorNotifier(None, {VARIABLE: given}).stopping()
            said = [listening.recv(100) for _ in range(3)]
            self.assertEqual(said, [b"READY=1", b"MAINPID=7", b"STOPPING=1"])

    def test_watchdog(self) -> None:
        """It hears twice as often as it has to; of the process that it has started, alone."""
        path = str(self.folder / "notify")
        listening = self.listening(path)
        for pid in (str(os.getpid()), None):
            variables = {VARIABLE: path, WATCHDOG: "4000000"}
            if pid is not None:
                variables[WATCHED] = pid
            supervisor = SupervisorNotifier(None, variables)
            # What is forked or started from here hears of it, and is silent.
            self.assertEqual(variables[WATCHED], str(os.getpid()))
            for now in (100.0, 101.0, 101.9, 102.0, 103.0, 104.5):
                supervisor.alive(now)
            supervisor.stopping()
            said = [listening.recv(100) for _ in range(4)]
            self.assertEqual(said, [b"WATCHDOG=1"] * 3 + [b"STOPPING=1"])
        for more in ({WATCHDOG: "4000000", WATCHED: "1"}, {}, {WATCHDOG: "no"}, {WATCHDOG: "0"}):
            supervisor = SupervisorNotifier(None, {VARIABLE: path, **more})
            supervisor.alive(1.0)
            supervisor.stopping()
            self.assertEqual(listening.recv(100), b"STOPPING=1")

    def test_nobody_listens(self) -> None:
        """That is logged, and no more."""
        SupervisorNotifier(None, {VARIABLE: str(self.folder / "nobody")}).ready()
        SupervisorNotifier(None, {}).ready()
        self.assertEqual(SupervisorNotifier().pidfile, "")

    def test_pidfile(self) -> None:
        """It names who has taken over; the one that leaves does not remove it, that one does."""
        path = self.folder / "pid"
        path.write_text("1")
        path.chmod(0o604)
        old, new = {"pidfile": str(path)}, {"pidfile": ""}
        leaving, taking = SupervisorNotifier(old, {}), SupervisorNotifier(new, {})
        taking.succeed(leaving.pidfile)
        leaving.succeeded(42)
        self.assertEqual(path.read_text(), "42")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o604)
        self.assertEqual((old["pidfile"], new["pidfile"]), ("", str(path)))
        self.assertEqual(list(self.folder.iterdir()), [path])

    def test_pidfile_of_a_start_that_failed(self) -> None:
        """It is removed if the program is to end, and if it is our own."""
        path = self.folder / "pid"
        supervisor = SupervisorNotifier({"pidfile": str(path)}, {})
        for written, error, left in (
            (str(os.getpid()), SystemExit, False),
            ("1", SystemExit, True),
            (str(os.getpid()), ValueError, True),
        ):
            path.write_text(written)
            with self.assertRaises(error), supervisor.starting():
                raise error
            self.assertEqual(path.exists(), left)
        path.unlink()
        with self.assertRaises(SystemExit), supervisor.starting():
            raise SystemExit(1)

    def test_pidfile_that_cannot_be_written(self) -> None:
        """The hand-over goes on all the same."""
        config = {"pidfile": str(self.folder / "none" / "pid")}
        SupervisorNotifier(config, {}).succeeded(42)
        self.assertEqual(config["pidfile"], "")
