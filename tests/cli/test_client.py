"""How the commands reach a proxy, and what they say if they do not."""

import socket
import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from subproxy.cli.client import AdminClient, AdminError


class ClientTests(SynchronousTestCase):
    def test_tcp(self) -> None:
        """HOST:PORT is TCP."""
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        error = self.assertRaises(AdminError, AdminClient(f"127.0.0.1:{port}").ask, "/api/routes")
        self.assertIn("refused", str(error))

    def serve(self, status: int, body: bytes) -> tuple[str, list[str]]:
        """A listener that answers once; where, and what it was told."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        told: list[str] = []

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                told.append(connection.recv(65536).decode())
                connection.sendall(
                    b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)
                )

        thread = threading.Thread(target=answer)
        thread.start()
        self.addCleanup(thread.join)
        return f"127.0.0.1:{listener.getsockname()[1]}", told

    def test_token(self) -> None:
        """Over TCP the first token that is there is told, and over a UNIX socket none."""
        path = Path(self.mktemp())
        path.write_text("0123456789abcdef\n")
        path.chmod(0o600)
        where, told = self.serve(200, b"{}")
        AdminClient(where, ["/nonexistent", str(path)]).ask("/api/routes")
        self.assertIn("\r\nAuthorization: Bearer 0123456789abcdef\r\n", told[0])
        self.assertIn(f"\r\nHost: {where}\r\n", told[0])

    def test_a_token_is_missing(self) -> None:
        """It is said where it was looked for."""
        where, _ = self.serve(401, b'{"error": "a token is needed"}')
        client = AdminClient(where, ["/nonexistent"])
        error = self.assertRaises(AdminError, client.ask, "/api/routes")
        self.assertIn("a token is needed (looked for in /nonexistent; see", str(error))

    def test_a_token_that_everybody_can_read(self) -> None:
        """It is not sent."""
        path = Path(self.mktemp())
        path.write_text("0123456789abcdef\n")
        path.chmod(0o644)
        error = self.assertRaises(AdminError, AdminClient("127.0.0.1:1", [str(path)]).ask, "/")
        self.assertIn("chmod 600", str(error))
