"""When an authority is asked again: Retry-After in seconds and as a date, in any time zone."""

from __future__ import annotations

import os
import time
from datetime import datetime
from importlib.util import find_spec

from twisted.trial.unittest import SynchronousTestCase

from subproxy.acme.authority_client import LEAST, client_class, local_time

DATE = "Sat, 01 Dec 2096 15:00:00 GMT"


class DateTests(SynchronousTestCase):
    if find_spec("acme") is None:
        skip = "the extra acme is not installed"

    def zone(self, name: str) -> None:
        """Let local time be that of C{name}, until the test is over."""
        before = os.environ.get("TZ")

        def restore() -> None:
            if before is None:
                os.environ.pop("TZ", None)
            else:
                os.environ["TZ"] = before
            time.tzset()

        self.addCleanup(restore)
        os.environ["TZ"] = name
        time.tzset()

    def answer(self, value: str | None) -> datetime:
        from requests import Response

        response = Response()
        if value is not None:
            response.headers["Retry-After"] = value
        found = client_class().retry_after(response, 5)
        assert isinstance(found, datetime)
        self.assertIsNone(found.tzinfo)
        return found

    def test_a_date_is_local(self) -> None:
        for zone, hour in (("GMT0", 15), ("EST5", 10), ("JST-9", 24)):
            self.zone(zone)
            self.assertEqual(
                (self.answer(DATE) - datetime(2096, 12, 1)).total_seconds(), hour * 3600
            )

    def test_a_date_that_is_over(self) -> None:
        """It is asked again, but not without a pause."""
        before = datetime.now()
        self.assertGreaterEqual(self.answer("Tue, 01 Dec 2026 01:00:00 GMT"), before + LEAST)

    def test_all_else_is_the_librarys(self) -> None:
        from acme.client import ClientV2

        its_own = datetime(2026, 12, 1)
        self.patch(ClientV2, "retry_after", classmethod(lambda cls, response, default: its_own))
        for value in ("3600", None, "soon"):
            self.assertEqual(self.answer(value), its_own)

    def test_no_dates(self) -> None:
        for said in ("", "3600", "soon", "Tue, 99 Dec 2026 15:00:00 GMT"):
            self.assertIsNone(local_time(said))

    def test_the_last_year(self) -> None:
        self.zone("JST-9")
        self.assertIsNone(local_time("Fri, 31 Dec 9999 23:59:59 GMT"))
