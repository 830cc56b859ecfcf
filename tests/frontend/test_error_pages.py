"""What a client is told when there is no answer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy import errors
from subproxy.frontend.error_pages import error_page


class ErrorPageTests(SynchronousTestCase):
    def test_it_is_short_plain_text_with_the_request_id(self) -> None:
        head, body = error_page(errors.NoRoute(), b"GET", b"some-id")
        self.assertEqual(
            body, b"404 Not Found\nNo application serves this host and path.\nrequest id: some-id\n"
        )
        self.assertIn((b"Content-Type", b"text/plain; charset=utf-8"), head.headers)
        self.assertEqual((head.status, head.length), (404, len(body)))

    def test_a_client_learns_its_fault_and_not_a_guests(self) -> None:
        _, body = error_page(errors.BadRequest("no Host"), b"GET", b"")
        self.assertIn(b"no Host", body)
        _, body = error_page(errors.GuestMisbehaved("secret of a guest"), b"GET", b"")
        self.assertNotIn(b"secret", body)
        self.assertIn(b"The application sent an invalid response.", body)

    def test_retry_after(self) -> None:
        head, _ = error_page(errors.QueueFull(), b"GET", b"")
        self.assertEqual(head.status, 503)
        self.assertIn((b"Retry-After", b"1"), head.headers)

    def test_405_says_what_is_allowed(self) -> None:
        head, _ = error_page(errors.ClientError("no", 405), b"TRACE", b"")
        self.assertIn(b"GET", dict(head.headers)[b"Allow"])

    def test_401_says_what_is_asked_for(self) -> None:
        """RFC 7617 section 2; no cache keeps the answer for who has said his name."""
        head, body = error_page(errors.Unauthorized(), b"GET", b"some-id")
        fields = dict(head.headers)
        self.assertEqual(head.status, 401)
        self.assertEqual(fields[b"WWW-Authenticate"], b'Basic realm="private", charset="UTF-8"')
        self.assertEqual(fields[b"Cache-Control"], b"no-store")
        self.assertIn(b"A name and a password are needed.\nrequest id: some-id\n", body)

    def test_every_error_of_the_tree_has_a_page(self) -> None:
        kinds = [errors.ProxyError]
        for kind in kinds:
            kinds.extend(kind.__subclasses__())
            head, body = error_page(kind("w\u00f6rd\r\n"), b"GET", b"id")
            self.assertTrue(400 <= head.status <= 599)
            self.assertTrue(body.isascii())
        self.assertGreater(len(kinds), 10)

    def test_its_address_is_told_to_nobody(self) -> None:
        """It may have the token of a link, and a browser asks for an icon of its own accord."""
        for error in errors.LinkRefused(), errors.TooManyRequests(), errors.MachineStarting():
            head, _ = error_page(error, b"GET", b"id")
            self.assertIn((b"Referrer-Policy", b"no-referrer"), head.headers)

    def test_head_gets_no_body(self) -> None:
        head, _ = error_page(errors.NoRoute(), b"HEAD", b"id")
        self.assertTrue(head.bodiless)

    def test_a_machine_that_starts(self) -> None:
        """A page for browsers, which asks again by itself."""
        head, body = error_page(errors.MachineStarting(), b"GET", b"some-id")
        fields = dict(head.headers)
        self.assertEqual(head.status, 503)
        self.assertEqual((fields[b"Refresh"], fields[b"Retry-After"]), (b"2", b"2"))
        self.assertEqual(fields[b"Content-Type"], b"text/html; charset=utf-8")
        self.assertEqual(fields[b"Cache-Control"], b"no-store")
        self.assertEqual(head.length, len(body))
        self.assertIn(b"request id: some-id<", body)
        self.assertNotIn(b"<script", body)
