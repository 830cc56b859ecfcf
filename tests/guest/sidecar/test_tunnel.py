"""Tests for L{guest.sidecar.tunnel}: requests that change the protocol, to a program in memory."""

from __future__ import annotations

from typing import Any

from guest.cli.sidecar_options import UPGRADE_TIMEOUT
from guest.core.errors import RequestFailed
from tests.rigs.program_case import Asked, ProgramCase

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
FIELDS = [(b"Sec-WebSocket-Key", KEY), (b"Origin", b"http://blog.example")]
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)


class TunnelTests(ProgramCase):
    def asked(self) -> Asked:
        return self.ask(headers=FIELDS, body=None, tunnel=b"websocket")

    def opened(self, data: bytes = b"") -> Asked:
        asked = self.asked()
        self.program(SWITCHING + data)
        return asked

    def piece(self, asked: Asked) -> Any:
        body: Any = asked.result().body
        return self.run_until(body.__anext__())

    def test_what_the_program_is_asked(self) -> None:
        self.asked()
        head = self.line.take()
        self.assertIn(b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", head)
        self.assertIn(b"\r\nSec-WebSocket-Key: " + KEY + b"\r\n", head)
        self.assertNotIn(b"Transfer-Encoding", head)

    def test_another_protocol(self) -> None:
        asked = self.ask(b"POST", body=None, tunnel=b"tcp")
        head = self.line.take()
        self.assertTrue(head.endswith(b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"), head)
        self.assertNotIn(b"Sec-WebSocket", head)
        self.program(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nhello")
        self.assertEqual((asked.result().status, asked.result().headers), (200, []))
        self.assertEqual(self.piece(asked), b"hello")

    def test_a_client_of_http2_has_no_key(self) -> None:
        self.ask(body=None, tunnel=b"websocket")
        self.assertRegex(self.line.take(), rb"\r\nSec-WebSocket-Key: [0-9A-Za-z+/]{22}==\r\n")

    def test_accepted(self) -> None:
        """The proxy makes the 101, and proves that it has read the key."""
        response = self.opened().result()
        self.assertEqual(response.status, 200)
        self.assertEqual(response.headers, [(b"Sec-WebSocket-Protocol", b"chat")])

    def test_both_ways(self) -> None:
        """What came with the head is the first piece; whole, and cut anywhere."""
        for cut in range(len(SWITCHING) + 1):
            asked = self.asked()
            self.line.take()
            data = SWITCHING + b"early"
            self.program(data[:cut], data[cut:])
            self.assertEqual(asked.result().status, 200)
            self.assertIn(self.piece(asked), (b"early"[: max(0, cut - len(SWITCHING))], b"early"))
            asked.body.received(b"\x81\x85abc")
            self.advance()
            self.assertEqual(self.line.take(), b"\x81\x85abc")
            self.program(b"HTTP/1.1 200 OK\r\n\r\n")
            self.assertEqual(self.piece(asked), b"HTTP/1.1 200 OK\r\n\r\n")

    def test_the_program_ends_first(self) -> None:
        """The client goes on; then the connection is closed, behind what was written."""
        asked = self.opened()
        protocol: Any = self.line.protocol
        self.assertTrue(protocol.eof_received())
        self.advance()
        self.assertEqual(asked.read(), b"")
        asked.body.received(b"more")
        self.advance()
        self.assertTrue(self.line.take().endswith(b"more"))
        asked.body.ended([])
        self.advance()
        self.assertTrue(self.line.is_closing())

    def test_the_client_ends_first(self) -> None:
        asked = self.opened()
        asked.result()
        asked.body.ended([])
        self.advance()
        self.assertTrue(self.line.half_closed)
        self.program(b"more", None)
        self.assertEqual(asked.read(), b"more")
        self.assertTrue(self.line.is_closing())

    def test_the_client_is_gone(self) -> None:
        asked = self.opened()
        asked.result()
        self.leave(asked)
        self.assertTrue(self.line.is_closing())

    def test_the_program_breaks(self) -> None:
        asked = self.opened()
        asked.result()
        self.line.lose(ConnectionResetError())
        self.advance()
        self.assertRaises(RequestFailed, self.piece, asked)

    def test_refused(self) -> None:
        """An answer like any other; its connection is used again."""
        asked = self.asked()
        self.program(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        self.assertEqual(asked.result().status, 403)
        self.assertEqual(asked.read(), b"no")
        self.assertEqual(len(self.pool), 1)

    def test_no_answer(self) -> None:
        asked = self.asked()
        self.advance(UPGRADE_TIMEOUT + 1)
        self.assertRaises(RequestFailed, asked.task.result)
        self.assertTrue(self.line.is_closing())

    def test_101_that_is_none(self) -> None:
        """Nobody has asked for it; or it does not say what it changes to."""
        asked = self.ask()
        self.program(SWITCHING)
        self.assertRaises(RequestFailed, asked.result)
        asked = self.asked()
        self.program(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        self.assertRaises(RequestFailed, asked.result)
