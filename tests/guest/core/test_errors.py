"""Tests for L{guest.core.errors}: what people read."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.core import errors


class TextTests(SynchronousTestCase):
    """Each error says what a person needs."""

    def test_a_refused_registration_names_the_route(self) -> None:
        error = errors.RegistrationRefused(b"a(", b"/.*", "pattern-syntax", "missing )")
        self.assertEqual(str(error), "host=a( path=/.*: missing ) (pattern-syntax)")

    def test_reasons_have_their_codes(self) -> None:
        for kind in (
            errors.RequestAborted,
            errors.SubscriptionRefused,
            errors.SubscriptionReplaced,
            errors.ProxyLeft,
            errors.ProtocolBroken,
        ):
            self.assertEqual(str(kind("code", "words")), "words (code)")
            self.assertEqual(str(kind("code", "")), "code")

    def test_all_are_guest_errors(self) -> None:
        for kind in (
            errors.BodyTooLong,
            errors.RequestAborted,
            errors.RegistrationRefused,
            errors.ProxySilent,
            errors.SubscriptionReplaced,
        ):
            self.assertTrue(issubclass(kind, errors.GuestError))
