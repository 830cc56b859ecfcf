"""What every image holds."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from twisted.trial.unittest import SynchronousTestCase

from guest.image.layout import UTC


class TimeZoneTests(SynchronousTestCase):
    def test_utc(self) -> None:
        zone = ZoneInfo.from_file(io.BytesIO(UTC))
        for year in (1900, 2026, 2100):
            now = datetime(year, 7, 1, tzinfo=zone)
            self.assertEqual((now.utcoffset(), now.tzname()), (timedelta(0), "UTC"))
