"""The server endpoint that a string describes."""

import re

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from subproxy.endpoints import server_endpoint as module
from subproxy.endpoints.openssl import PostponedOpenSSL
from subproxy.endpoints.server_endpoint import server_endpoint


class ServerEndpointTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.openssl = PostponedOpenSSL()
        self.openssl.postponed = True
        self.patch(module, "openssl", self.openssl)

    def test_plain(self) -> None:
        """Without TLS."""
        endpoint = server_endpoint(MemoryReactorClock(), "tcp:8888")
        self.assertIsInstance(endpoint, TCP4ServerEndpoint)
        self.assertTrue(self.openssl.postponed)

    def test_others(self) -> None:
        """Who may have to do with TLS finds it; also who is not known."""
        for description in ("ssl:0:privateKey=/nowhere", "txacme:0"):
            self.openssl.postponed = True
            with self.assertRaises((OSError, ValueError)):
                server_endpoint(MemoryReactorClock(), description)
            self.assertFalse(self.openssl.postponed)

    def test_what_is_wrong_is_said_in_words(self) -> None:
        """Not in those of a function of Twisted's."""
        for description, words in (
            ("tcp:8888:interface=::1", r"tcp: has too few parts, or too many; a colon within"),
            ("tcp6:8888:interface=::1", r"tcp6:8888:interface=\:\:1"),
            ("tcp:1:2:3:4:5", r"too many"),
            ("unix", r"too few"),
            ("tcp:8888:intreface=127.0.0.1", r"tcp: has no intreface="),
        ):
            with self.assertRaisesRegex(ValueError, re.escape(words)):
                server_endpoint(MemoryReactorClock(), description)
