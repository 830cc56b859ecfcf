"""Tests of subproxy.core.sites.origins."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.request import RequestHead
from subproxy.core.http.upgrade import Upgrade
from subproxy.core.sites.origins import OriginError, Origins


def head(*origins: bytes, protocols: tuple[bytes, ...] = (b"websocket",)) -> RequestHead:
    fields = [(b"Host", b"A.example:81"), *((b"Origin", each) for each in origins)]
    upgrade = Upgrade(protocols) if protocols else None
    return RequestHead(b"GET", b"/", b"a.example", b"/", fields, upgrade=upgrade)


class OriginsTests(SynchronousTestCase):
    def test_who_may(self) -> None:
        found = Origins(["https://B.example", "http://c.example:81", "https://*.d.example:443"])
        for origin in (
            *(b"https://b.example", b"HTTPS://B.EXAMPLE", b"http://c.example:81"),
            *(b"https://x.d.example", b"https://x.y.d.example"),
        ):
            self.assertTrue(found.allow(head(origin)), origin)
        for origin in (
            *(b"http://b.example", b"https://b.example:444", b"http://c.example", b"null", b""),
            *(b"https://d.example", b"https://.d.example", b"https://xd.example"),
            *(b"https://evil.example/.d.example", b"https://u@x.d.example", b"https://b.example/"),
            *(b"https://a.example:81", b"https://x.d.example:444", b"https://b.example.evil"),
            *(b"http://x.d.example", b"http://xx.d.example", b"ws://xyz.d.example"),
        ):
            self.assertFalse(found.allow(head(origin)), origin)

    def test_below_a_host_at_a_port(self) -> None:
        found = Origins(["https://*.d.example:81"])
        for origin, allowed in (
            (b"https://x.d.example:81", True),
            (b"https://x.d.example", False),
            (b"https://x:1.d.example:81", False),
        ):
            self.assertIs(found.allow(head(origin)), allowed, origin)

    def test_the_host_itself(self) -> None:
        """By any scheme: it is not known what a proxy before us spoke."""
        found = Origins(["same"])
        for origin in b"https://a.example:81", b"http://a.example:81":
            self.assertTrue(found.allow(head(origin)))
        for origin in b"https://a.example", b"https://b.example:81", b"ftp://a.example:81", b"null":
            self.assertFalse(found.allow(head(origin)))
        self.assertTrue(Origins(["same", "https://c.example"]).allow(head(b"https://c.example")))

    def test_no_host_is_the_same_as_none(self) -> None:
        """Of a request without C{Host}, no page is on the host that is asked."""
        request = head(b"https://")
        del request.headers[0]
        self.assertFalse(Origins(["same"]).allow(request))

    def test_whom_it_does_not_concern(self) -> None:
        """No browser, no WebSocket; of several origins each counts."""
        found = Origins(["https://b.example"])
        self.assertTrue(found.allow(head()))
        self.assertTrue(found.allow(head(b"https://evil", protocols=())))
        self.assertTrue(found.allow(head(b"https://evil", protocols=(b"tls/1.3",))))
        self.assertFalse(found.allow(head(b"https://b.example", b"https://evil")))

    def test_what_is_none(self) -> None:
        for name in "b.example", "https://", "https://b/", "ftp://b", "https://*", "*", "null":
            self.assertRaises(OriginError, Origins, [name])

    def test_equal(self) -> None:
        self.assertEqual(Origins(["https://b"]), Origins(["https://b"]))
        self.assertEqual(hash(Origins(["same"])), hash(Origins(["same"])))
        self.assertNotEqual(Origins(["https://b"]), Origins(["https://c"]))
        self.assertNotEqual(Origins(["same"]), "same")
