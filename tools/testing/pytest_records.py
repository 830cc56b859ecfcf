"""A plugin of pytest that tells of each test as it ends: C{-p tools.testing.pytest_records}."""

from __future__ import annotations

import pytest

from tools.testing.garbage import keep_what_is_loaded
from tools.testing.records import FAILED, SKIPPED, Recorder

_recorder = Recorder()


def pytest_collection_finish() -> None:
    """All tests are loaded."""
    keep_what_is_loaded()


def pytest_runtest_logstart(nodeid: str) -> None:
    """A test begins."""
    _recorder.start(nodeid)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """It was set up, called or torn down."""
    if report.failed:
        _recorder.found(FAILED, f"({report.when})\n{report.longreprtext}")
    elif report.skipped:
        _recorder.found(SKIPPED, report.longreprtext)


def pytest_runtest_logfinish(nodeid: str) -> None:
    """It ends."""
    _recorder.stop(nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """A module that cannot be imported is a test that failed."""
    if report.failed:
        _recorder.start(report.nodeid)
        _recorder.found(FAILED, report.longreprtext)
        _recorder.stop(report.nodeid)
