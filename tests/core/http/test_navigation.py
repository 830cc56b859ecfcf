"""Which requests are a browser that goes to a page."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.navigation import is_navigation
from subproxy.core.http.request import RequestHead

ACCEPT = (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
MODE = (b"sec-fetch-mode", b"navigate")


class NavigationTests(SynchronousTestCase):
    def ask(self, *fields: tuple[bytes, bytes], method: bytes = b"GET") -> bool:
        return is_navigation(RequestHead(method, b"/", b"a", b"/", list(fields)))

    def test_it_is(self) -> None:
        """As Chromium and Firefox send it."""
        self.assertTrue(self.ask(ACCEPT, MODE))
        self.assertTrue(self.ask(MODE, (b"accept", b"TEXT/HTML")))
        self.assertTrue(self.ask(MODE, ACCEPT, (b"Accept", b"*/*")))

    def test_it_is_not(self) -> None:
        """A script, an image, curl, a form that is sent, a browser of old."""
        for fields in (
            (ACCEPT, (b"Sec-Fetch-Mode", b"cors")),
            (MODE, (b"Accept", b"image/avif,*/*")),
            (ACCEPT,),
            (MODE,),
            # Others whose names are as long.
            (ACCEPT, (b"X-Something-14", b"navigate")),
            (MODE, (b"Origin", b"text/html")),
            (),
        ):
            self.assertFalse(self.ask(*fields))
        for method in (b"POST", b"HEAD"):
            self.assertFalse(self.ask(ACCEPT, MODE, method=method))
