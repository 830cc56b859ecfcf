"""Which requests go again."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from guest.sidecar.retry import may_repeat


def repeats(method: bytes, **but: Any) -> bool:
    met = {"reused": True, "written": True, "answered": False, "body": True}
    return may_repeat(method, **{**met, **but})


class RetryTests(SynchronousTestCase):
    def test_idempotent_methods(self) -> None:
        for method in (b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"):
            self.assertTrue(repeats(method))

    def test_others_only_before_anything_was_written(self) -> None:
        for method in (b"POST", b"PATCH", b"get", b"LOCK"):
            self.assertFalse(repeats(method))
            self.assertTrue(repeats(method, written=False))

    def test_never(self) -> None:
        """Not from a fresh connection, not behind some of an answer, not without the body."""
        for but in ({"reused": False}, {"answered": True}, {"body": False}):
            for written in (True, False):
                self.assertFalse(repeats(b"GET", written=written, **but), but)
