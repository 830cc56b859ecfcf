"""The vectors of tests/vectors, run on L{guest.subscriber}."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire.limits import Limits
from tests import vector_runner as vectors
from tests.guest_application import MemoryGuest


class SessionVectorTests(SynchronousTestCase):
    """A subscription holds every conversation."""

    def test_sessions(self) -> None:
        failed: list[Any] = []
        for each in vectors.load("sessions.json")["sessions"]:
            for split in (False, True):
                guest = MemoryGuest(limits=Limits(**each.get("guest", {})))
                try:
                    vectors.Run(each, guest, split).run()
                except AssertionError as error:
                    failed.append((each["name"], split, str(error)[:300]))
        self.flushLoggedErrors(RuntimeError)
        self.assertEqual(failed, [])
