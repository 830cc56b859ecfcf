"""The time of day in three spellings."""

from __future__ import annotations

from email.utils import formatdate

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.telemetry.dates import http_date, iso_date, log_date


class DateTests(SynchronousTestCase):
    @given(st.integers(0, 4_000_000_000))
    def test_http_dates_are_those_of_the_standard_library(self, seconds: int) -> None:
        self.assertEqual(http_date(seconds), formatdate(seconds, usegmt=True).encode())

    def test_the_others(self) -> None:
        self.assertEqual(log_date(784111777), b"06/Nov/1994:08:49:37 +0000")
        self.assertEqual(iso_date(784111777), b"1994-11-06T08:49:37Z")
