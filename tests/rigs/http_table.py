"""What the tests of the table of docs/reference/http.md share."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.rigs.fake_dispatcher import Client, FakeGuest

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def ok(guest: FakeGuest) -> None:
    guest.respond(200, [], b"hello")


def get(*fields: bytes, target: bytes = b"/", host: bytes = b"a.example") -> bytes:
    lines = [b"GET " + target + b" HTTP/1.1", b"Host: " + host, *fields, b"", b""]
    return b"\r\n".join(lines)


def status(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


class HttpTableCase(SynchronousTestCase):
    """One request, and what becomes of it."""

    def refused(self, request: bytes, expected: int) -> bytes:
        """C{request} is answered with C{expected} and the connection closes; no guest sees it."""
        client = Client(ok)
        client.send(request)
        received = client.received()
        self.assertEqual(status(received), expected, received)
        self.assertIn(b"\r\nConnection: close\r\n", received)
        self.assertTrue(client.closed)
        self.assertEqual(client.dispatcher.guests, [])
        return received

    def passed(self, request: bytes, **settings: object) -> Client:
        """C{request} is answered with 200."""
        client = Client(ok, **settings)  # type: ignore[arg-type]
        client.send(request)
        self.assertEqual(len(client.dispatcher.guests), 1)
        return client

    def fields(self, client: Client) -> dict[bytes, list[bytes]]:
        """What the guest got, by lower-case name."""
        found: dict[bytes, list[bytes]] = {}
        for name, value in client.guest.exchange.request.headers:
            found.setdefault(name.lower(), []).append(value)
        return found
