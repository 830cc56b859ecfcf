"""What whoever starts the proxy is told."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr

from twisted.logger import Logger, LoggingFile
from twisted.trial.unittest import SynchronousTestCase

from subproxy.process import startup


class StoppingReactor:
    """It counts how often it was stopped."""

    stopped = 0

    def stop(self) -> None:
        self.stopped += 1


class StartupTests(SynchronousTestCase):
    def test_the_log_is_no_terminal(self) -> None:
        """Where standard error has become a part of the log, the real one is taken."""
        real = io.StringIO()
        self.patch(sys, "__stderr__", real)
        with redirect_stderr(LoggingFile(Logger())):  # type: ignore[type-var]
            error = self.assertRaises(SystemExit, startup.fail, "no")
        self.assertEqual((error.code, real.getvalue()), (1, "subproxy: no\n"))

    def test_without_standard_error(self) -> None:
        """Nobody can be told."""
        self.patch(sys, "stderr", None)
        self.assertRaises(SystemExit, startup.fail, "no")

    def test_late(self) -> None:
        """The reactor is stopped, and the process ends with status 1 whatever twistd returns."""
        ends: list[object] = []
        self.patch(startup.atexit, "register", ends.append)
        reactor = StoppingReactor()
        said = io.StringIO()
        with redirect_stderr(said):
            startup.fail_running(reactor, "no")
        self.assertEqual((reactor.stopped, said.getvalue()), (1, "subproxy: no\n"))
        self.assertEqual(ends, [startup._end])

    def test_no_daemon(self) -> None:
        """In the foreground, and where twistd is not, nothing happens."""
        config = {"nodaemon": True, "umask": None}
        for each in (None, config):
            startup.detach(each)
            startup.started(each)
        self.assertEqual(config, {"nodaemon": True, "umask": None})
