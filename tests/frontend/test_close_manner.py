"""How a connection is closed, by the reason."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.close_manner import MANNERS, CloseManner
from subproxy.telemetry.close_reason import CloseReason


class MannerTests(SynchronousTestCase):
    def test_every_reason_has_its_manner(self) -> None:
        self.assertEqual(set(MANNERS), set(CloseReason))

    def test_who_lingers(self) -> None:
        """Only who has been told that an answer is the last may still be sending by right."""
        lingering = {reason for reason, how in MANNERS.items() if how is CloseManner.LINGER}
        self.assertEqual(lingering, {CloseReason.LAST_ANSWER, CloseReason.HTTP2_ERROR})
