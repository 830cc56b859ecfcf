"""Who vouches for clients."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.client_authorities import ClientAuthorities

RULE = ClientAuthorities((b"certificate",), False, b"digest", (b"revoked",))


class ClientAuthoritiesTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """By the digest, which is that of all that lets a client in."""
        self.assertEqual(RULE, ClientAuthorities((), False, b"digest"))
        self.assertNotEqual(RULE, ClientAuthorities((b"certificate",), True, b"digest"))
        other = ClientAuthorities((b"certificate",), False, b"other", (b"revoked",))
        self.assertNotEqual(RULE, other)

    def test_a_line_of_the_log(self) -> None:
        """It holds no kilobytes of certificates."""
        self.assertEqual(repr(RULE), "ClientAuthorities(optional=False)")
