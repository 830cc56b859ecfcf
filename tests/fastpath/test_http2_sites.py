"""The rules of sites on HTTP/2, on both paths."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.rigs.http2_client import GET, POST, Headers
from tests.rigs.http2_sides import Http2Side

skip = unavailable()


class Http2SitesTests(SynchronousTestCase):
    def sides(self, said: str) -> Iterator[Http2Side]:
        """A proxy on each path, with a site of a.example that says so."""
        for fast in True, False:
            side = Http2Side(fast, sites=f'[[site]]\nhosts = "a.example"\n{said}\n')
            self.addCleanup(side.log.close)
            yield side

    def ask(self, side: Http2Side, fields: Headers = GET, ended: bool = True) -> None:
        side.client.request(1, fields, ended)
        side.say(side.client.take())

    def head(self, side: Http2Side) -> dict[bytes, bytes]:
        """The head of the answer."""
        [found] = [told[1] for told in side.client.told[1] if told[0] == "head"]
        return dict(found)

    def test_access(self) -> None:
        """Before the body is here, too; and no guest hears of it."""
        for fields, ended in (GET, True), (POST, False):
            for side in self.sides('networks = "10.0.0.0/8"'):
                self.ask(side, fields, ended)
                self.assertEqual(self.head(side)[b":status"], b"403")
                self.assertEqual(side.asked, [])

    def test_redirect(self) -> None:
        for side in self.sides('redirect = "https://{host}{uri}"'):
            self.ask(side)
            head = self.head(side)
            self.assertEqual(head[b":status"], b"307")
            self.assertEqual(head[b"location"], b"https://a.example/")

    def test_rate(self) -> None:
        for side in self.sides('rate = "1/m"\nconnections = 1'):
            self.ask(side)
            side.answer(m.Response(1, 200, [], {}, b""))
            side.client.request(3, GET, True)
            side.say(side.client.take())
            [found] = [told[1] for told in side.client.told[3] if told[0] == "head"]
            self.assertEqual(dict(found)[b":status"], b"429")
            self.assertEqual(dict(found)[b"retry-after"], b"60")

    def test_body(self) -> None:
        for side in self.sides("max-body = 10"):
            self.ask(side, [*POST, (b"content-length", b"11")], False)
            self.assertEqual(self.head(side)[b":status"], b"413")
            self.assertEqual(side.asked, [])

    def test_what_either_side_sees(self) -> None:
        said = (
            'host = "inside"\nsticky = "cookie"\nrequest-headers = { set = { X-A = "1" } }\n'
            'response-headers = { set = { X-B = "2" }, remove = "Server" }'
        )
        for side in self.sides(said):
            self.ask(side)
            [asked] = side.asked
            self.assertEqual(asked.headers[0], (b"Host", b"inside"))
            self.assertIn((b"X-A", b"1"), asked.headers)
            side.answer(m.Response(asked.exchange, 200, [(b"Server", b"x")], {}, b"ok"))
            head = self.head(side)
            self.assertEqual(head[b"x-b"], b"2")
            self.assertTrue(head[b"set-cookie"].startswith(b"subproxy_"))
            self.assertNotIn(b"server", head)

    def test_rules_that_are_numbers_stay_on_the_compiled_path(self) -> None:
        for side in self.sides("max-body = 10\nresponse-timeout = 5"):
            self.ask(side)
            side.answer(m.Response(1, 200, [], {}, b"ok"))
            self.assertEqual(self.head(side)[b":status"], b"200")
            if side.fast:
                stats = side.fastpath.stats()
                self.assertEqual(stats["declined_requests"], 0)
                self.assertEqual(stats["requests"], 1)
