"""
The corpus of requests, smuggled ones among them, each with the handshake of a WebSocket.

What is refused without it is refused with it; a request with a body is none that changes the
protocol; and what came behind a head of which a tunnel was made has gone nowhere (RFC 9931).
"""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.upgrade import WEBSOCKET
from tests.frontend.http1.test_corpus import CORPUS, answer
from tests.rigs.fake_dispatcher import Client, FakeGuest

HANDSHAKE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


def with_handshake(request: bytes, last: bool) -> bytes | None:
    """C{request} with these fields behind its first line, or its last; None if it has none."""
    if last:
        at = request.find(b"\r\n\r\n")
        return None if at < 0 else request[: at + 2] + HANDSHAKE + request[at + 2 :]
    at = request.find(b"\r\n")
    return None if at < 0 else request[: at + 2] + HANDSHAKE + request[at + 2 :]


class CorpusUpgradeTests(SynchronousTestCase):
    def played(self, request: bytes, size: int) -> tuple[Client, list[FakeGuest]]:
        """A client that has sent it in such pieces, and the guests that were asked for tunnels."""
        tunnels: list[FakeGuest] = []

        def changes(guest: FakeGuest) -> None:
            upgrade = guest.exchange.request.upgrade
            if upgrade is None or WEBSOCKET not in upgrade.protocols or upgrade.fault is not None:
                answer(guest)
                return
            tunnels.append(guest)
            # Nothing of a body is left for a tunnel to begin with.
            self.assertEqual((b"", 0), (guest.exchange.body, guest.exchange.request.length))
            guest.exchange.tunnel_start(200, [], WEBSOCKET)
            guest.exchange.resume_request()

        client = Client(changes)
        for at in range(0, len(request), size):
            client.send(request[at : at + size])
        client.wait(1)
        return client, tunnels

    def test_what_is_refused_stays_refused(self) -> None:
        refused = tunnelled = 0
        for case in json.loads((CORPUS / "cases.json").read_text()):
            for last in (False, True):
                request = with_handshake(case["request"].encode("latin-1"), last)
                if request is None:
                    continue
                client, tunnels = self.played(request, len(request))
                first = client.received()[9:12]
                if case["status"] != 200:
                    refused += 1
                    self.assertEqual([], tunnels, case["name"])
                    self.assertNotIn(first, (b"101", b"200"), case["name"])
                elif tunnels:
                    tunnelled += 1
                    self.check_tunnel(client, tunnels, request, case["name"])
        # The corpus has both, and not by the skin of its teeth.
        self.assertGreater(refused, 200)
        self.assertGreater(tunnelled, 20)

    def check_tunnel(
        self, client: Client, tunnels: list[FakeGuest], request: bytes, name: str
    ) -> None:
        """One tunnel, of the last request that was looked at; nothing else came through."""
        self.assertEqual(1, len(tunnels), name)
        self.assertIs(client.guest, tunnels[0], name)
        self.assertEqual(b"", tunnels[0].body, name)
        head = request.find(b"\r\n\r\n") + 4
        if head < len(request) and len(client.dispatcher.guests) == 1:
            self.assertTrue(client.closed, name)

    def test_cut_anywhere(self) -> None:
        """In pieces it is the same, but that what comes behind the answer is the tunnel's."""
        for case in json.loads((CORPUS / "cases.json").read_text()):
            request = with_handshake(case["request"].encode("latin-1"), True)
            if request is None or len(request) > 1000 or case["status"] == 200:
                continue
            client, tunnels = self.played(request, 7)
            self.assertEqual([], tunnels, case["name"])
            self.assertNotIn(client.received()[9:12], (b"101", b"200"), case["name"])
