"""A reporter of trial that tells of each test as it ends: C{--reporter=records}."""

from __future__ import annotations

from typing import Any

from twisted.trial.reporter import Reporter

from tools.testing.garbage import keep_what_is_loaded
from tools.testing.records import FAILED, PASSED, SKIPPED, Recorder


class RecordingReporter(Reporter):
    """Records each test, and prints what failed at once."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.realtime = True
        self._recorder = Recorder()
        self._begun = False

    def startTest(self, test: Any) -> None:
        """A test begins."""
        super().startTest(test)
        if not self._begun:
            self._begun = True
            keep_what_is_loaded()
        self._recorder.start(test.id())

    def stopTest(self, test: Any) -> None:
        """It ends, all cleaned up."""
        super().stopTest(test)
        self._recorder.stop(test.id())

    def addError(self, test: Any, error: Any) -> None:
        """An exception that nobody expected."""
        super().addError(test, error)
        self._failed(test, error)

    def addFailure(self, test: Any, fail: Any) -> None:
        """An assertion that does not hold."""
        super().addFailure(test, fail)
        self._failed(test, fail)

    def addUnexpectedSuccess(self, test: Any, todo: Any = None) -> None:
        """It passed, and its C{todo} says that it cannot."""
        super().addUnexpectedSuccess(test, todo)
        self._recorder.found(FAILED, f"it passed, but has a todo: {todo}")

    def addSkip(self, test: Any, reason: Any) -> None:
        """It could not be run here."""
        super().addSkip(test, reason)
        self._recorder.found(SKIPPED, str(reason))

    def addExpectedFailure(self, test: Any, error: Any, todo: Any = None) -> None:
        """It failed, as its C{todo} says."""
        super().addExpectedFailure(test, error, todo)
        self._recorder.found(PASSED, "")

    def _failed(self, test: Any, error: Any) -> None:
        self._writeln(f"[{test.id()}]")
        self._recorder.found(FAILED, self._formatFailureTraceback(self._getFailure(error)))
