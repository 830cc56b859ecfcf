"""WebSockets of a page in Chromium: over http, and over https with HTTP/2 (RFC 8441)."""

from __future__ import annotations

from tests.integration.browser import browser
from tests.integration.harness import wait_until
from tests.integration.tls_case import HOST, TlsCase


class BrowserWebSocketTests(TlsCase):
    def setUp(self) -> None:
        super().setUp()
        self.driver = browser(
            self.world.folder,
            # Its authority is one of this test alone.
            "--ignore-certificate-errors",
            f"--host-resolver-rules=MAP {HOST} 127.0.0.1",
        )
        self.addCleanup(self.driver.quit)
        self.log = self.world.folder / "access.log"
        self.serve(f"--access-log={self.log}", application=None)
        self.world.start_guest("tests.integration.web_socket_app:Page", "--host=.*")

    def visit(self, url: str) -> list[str]:
        """The lines of the log when the page has had its say, which must be a good one."""
        self.driver.get(url)
        wait_until(lambda: self.driver.title != "waiting", "the page to be done")
        self.assertEqual(
            self.driver.title,
            "true 4001 enough true permessage-deflate; client_max_window_bits=15",
            self.driver.get_log("browser"),
        )

        def lines() -> list[str]:
            return [line for line in self.log.read_text().splitlines() if "/chat " in line]

        wait_until(lines, "a line for the WebSocket")
        return lines()

    def test_http(self) -> None:
        (line,) = self.visit(f"http://{HOST}:{self.world.port}/")
        self.assertIn('"GET /chat HTTP/1.1" 101 ', line)

    def test_https(self) -> None:
        """On the connection that has brought the page: there is no other."""
        (line,) = self.visit(f"https://{HOST}:{self.https}/")
        self.assertIn('"GET /chat HTTP/2" 200 ', line)
