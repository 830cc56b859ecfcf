"""What pytest needs to be told of these tests; trial never reads this."""

from __future__ import annotations

import unittest

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """
    Run test cases before functions.

    For the first coroutine of pytest's own style pytest-twisted starts the reactor for good, and
    trial's test cases start and stop it themselves.
    """
    items.sort(key=lambda item: not _is_case(item))


def _is_case(item: pytest.Item) -> bool:
    case = getattr(item, "cls", None)
    return isinstance(case, type) and issubclass(case, unittest.TestCase)
