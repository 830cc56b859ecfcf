"""Tests of subproxy.wire.errors."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.wire import errors


class ErrorTests(SynchronousTestCase):
    def test_tree(self) -> None:
        """Our faults and the peer's are apart, and all are errors of the wire."""
        self.assertTrue(issubclass(errors.LocalProtocolError, errors.WireError))
        self.assertTrue(issubclass(errors.TooLarge, errors.LocalProtocolError))
        self.assertTrue(issubclass(errors.RemoteProtocolError, errors.WireError))
        self.assertFalse(issubclass(errors.LocalProtocolError, errors.RemoteProtocolError))
        for kind in (
            errors.FrameError,
            errors.MessageError,
            errors.HelloError,
            errors.StateError,
            errors.ExchangeError,
        ):
            self.assertTrue(issubclass(kind, errors.RemoteProtocolError))
        self.assertTrue(issubclass(errors.HelloError, errors.MessageError))

    def test_codes(self) -> None:
        """Each knows the code that the protocol has for it."""
        self.assertEqual(b"frame", errors.FrameError.code)
        self.assertEqual(b"message", errors.MessageError.code)
        self.assertEqual(b"refused", errors.HelloError.code)
        self.assertEqual(b"state", errors.StateError.code)
        self.assertEqual(b"protocol", errors.ExchangeError.code)

    def test_what_they_know(self) -> None:
        """An error of an exchange knows which; one of hello knows its refusal."""
        error = errors.ExchangeError(7, "too much")
        self.assertEqual((7, "too much"), (error.exchange, str(error)))
        hello = errors.HelloError(b"version", "of tomorrow")
        self.assertEqual((b"version", "of tomorrow"), (hello.refusal, str(hello)))
