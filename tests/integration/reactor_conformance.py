"""Run Twisted's own tests on one reactor, and write down how each ended.

    python -m tests.integration.reactor_conformance REACTOR OUT MODULE...

REACTOR is the dotted name of a reactor class: it becomes the process's own
reactor and the only one that ReactorBuilder makes test cases for. OUT gets
a line of JSON a test: its name, the same for every reactor, how it ended, and
why. It is a program of its own because a process has one reactor, and because
a test that hangs has to be killed.
"""

from __future__ import annotations

import json
import sys
import tempfile
from typing import Any

TIMEOUT = 20.0  # seconds a test; Twisted's own default is 120

# What these are not held to, and why.
REACTORS = (
    "subproxy.reactor.ring_reactor.IOUringReactor",
    "subproxy.reactor.epoll_reactor.CompiledEpollReactor",
)
SKIPPED = {
    "twisted.internet.test.test_fdset.ReactorFDSetTestsBuilder.test_lostFileDescriptor": (
        "an epoll descriptor cannot tell that another one was closed and replaced; "
        "Twisted skips this for EPollReactor by the name of the class, and it hangs"
    ),
    "twisted.internet.test.test_unix.UNIXTestsBuilder.test_avoidLeakingFileDescriptors": (
        "descriptors that nobody asked for are closed by the kernel: they don't leak, "
        "but there is nothing to log"
    ),
}


def neutral(name: str, reactor: str) -> str:
    """The name of a test, without the reactor that it was made for."""
    return name.replace("_" + reactor.rpartition(".")[2] + "Tests", "_ReactorTests")


def specific(name: str, reactor: str) -> str:
    """The name that a test has on a reactor; the inverse of C{neutral}."""
    return name.replace("_ReactorTests", "_" + reactor.rpartition(".")[2] + "Tests")


def main(reactor: str, out: str, *modules: str) -> None:
    """Do what the module says."""
    from twisted.internet.main import installReactor
    from twisted.python.reflect import namedAny
    from twisted.trial import util

    util.DEFAULT_TIMEOUT_DURATION = TIMEOUT
    installReactor(namedAny(reactor)())

    from twisted.internet.test import reactormixins
    from twisted.trial.reporter import Reporter
    from twisted.trial.runner import TestLoader, TrialRunner

    reactormixins.DEFAULT_TIMEOUT_DURATION = TIMEOUT
    reactormixins.ReactorBuilder._reactors = [reactor]
    noted: set[str] = set()
    for name, reason in SKIPPED.items() if reactor in REACTORS else ():
        case, _, method = name.rpartition(".")
        getattr(namedAny(case), method).skip = reason

    class Recorder(Reporter):  # type: ignore[misc]
        def note(self, test: Any, how: str, why: object = "") -> None:
            # A test can fail and then be in error too: the first word counts.
            text = why.getTraceback() if hasattr(why, "getTraceback") else str(why)
            name = neutral(test.id(), reactor)
            if name not in noted:
                noted.add(name)
                with open(out, "a") as file:
                    file.write(json.dumps([name, how, text]) + "\n")

        def startTest(self, test: Any) -> None:
            super().startTest(test)
            print(test.id(), file=sys.stderr, flush=True)

        def addSuccess(self, test: Any) -> None:
            self.note(test, "pass")

        def addError(self, test: Any, error: Any) -> None:
            self.note(test, "error", error)

        def addFailure(self, test: Any, fail: Any) -> None:
            self.note(test, "fail", fail)

        def addSkip(self, test: Any, reason: object) -> None:
            self.note(test, "skip", reason)

        def addExpectedFailure(self, test: Any, error: Any, todo: Any = None) -> None:
            self.note(test, "todo")

        def addUnexpectedSuccess(self, test: Any, todo: Any = None) -> None:
            self.note(test, "pass")

        def done(self) -> None:
            pass

    with tempfile.TemporaryDirectory() as directory:
        runner = TrialRunner(Recorder, workingDirectory=directory + "/t", logfile=out + ".log")
        runner.run(TestLoader().loadByNames(modules, recurse=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
