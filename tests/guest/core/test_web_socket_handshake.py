"""Tests for L{guest.core.web_socket_handshake}."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from guest.core.web_socket_handshake import agreed_deflate, offered_subprotocols


class HandshakeTests(SynchronousTestCase):
    def test_subprotocols(self) -> None:
        headers = [(b"Sec-WebSocket-Protocol", b"a, b,"), (b"sec-websocket-protocol", b" c")]
        self.assertEqual(offered_subprotocols(headers), ["a", "b", "c"])

    def test_deflate(self) -> None:
        """What is agreed upon is said in the grammar of RFC 7692; what is odd is declined."""
        for offer, said in (
            (b"permessage-deflate", b"permessage-deflate"),
            (
                b"permessage-deflate; client_max_window_bits",
                b"permessage-deflate; client_max_window_bits=15",
            ),
            (
                b"permessage-deflate;server_max_window_bits=10; server_no_context_takeover",
                b"permessage-deflate; server_no_context_takeover; server_max_window_bits=10",
            ),
            (b"x-other, permessage-deflate; x=1, permessage-deflate", b"permessage-deflate"),
            (b"permessage-deflate; server_max_window_bits=8", None),
            (b"permessage-deflate; server_max_window_bits=x", None),
            (b"permessage-deflate; x-unknown", None),
            (b"permessage-deflate; client_max_window_bits; client_max_window_bits=9", None),
            (b"permessage-deflated", None),
        ):
            agreed = agreed_deflate([(b"Sec-WebSocket-Extensions", offer)])
            self.assertEqual(agreed and agreed[1], said, offer)
        self.assertIsNone(agreed_deflate([(b"Host", b"permessage-deflate")]))
