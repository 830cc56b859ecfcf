"""Private sites on HTTP/1.1, HTTP/2 and WebSockets: who is let in, and what an application sees."""

from __future__ import annotations

from collections.abc import Callable

from subproxy.core.sites.access_question import AccessQuestion, AccessVerdict, LetIn
from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.fastpath.test_sites import SiteCase, get, post
from tests.rigs.fastpath_rig import response
from tests.rigs.http2_client import GET, Headers
from tests.rigs.http2_sides import Http2Side
from tests.rigs.http2_tunnels import CONNECT, PATHS, StreamLine, accept
from tests.rigs.private_site import key_file, token

skip = unavailable()


SITE = '[[site]]\nhosts = "a.example"\nlinks = "{}"\n'


class LinksOfHttp1Tests(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.site = SITE.format(key_file(self.mktemp()))

    def test_a_visit(self) -> None:
        """403; the link, which nobody else sees; then the application, without our cookie."""
        pair = self.serve(self.site)
        told = self.ask(pair, get(b"/docs"))
        self.assertIn(b"HTTP/1.1 403 Forbidden\r\n", told)
        self.assertIn(b"Content-Type: text/plain", told)
        self.assertIn(b"This is private, and opens by a link.", told)
        good = token("/docs")
        told = self.ask(pair, get(b"/docs?x=1&subproxy_link=" + good))
        self.assertIn(b"HTTP/1.1 303 See Other\r\n", told)
        self.assertIn(b"\r\nLocation: /docs?x=1\r\n", told)
        self.assertIn(
            b"\r\nSet-Cookie: subproxy_link=" + good + b"; Path=/docs; Max-Age=3600;", told
        )
        self.assertEqual(self.asked, b"")
        fields = b"Cookie: a=b; subproxy_link=" + good
        self.assertEqual(self.ask(pair, get(b"/docs?x=1", b"a.example", fields)), b"")
        self.assertIn((b"Cookie", b"a=b"), self.fields())
        self.assertNotIn(good, self.asked)
        self.assertIn(b" 200 ", self.answer(pair, response(1)))
        pair.wait(3600.0)
        pair.connect()
        self.assertIn(b" 403 ", self.ask(pair, get(b"/docs", b"a.example", fields)))

    def test_the_log_has_no_token(self) -> None:
        """Neither of a good link nor of a bad one; what else was asked for stands there."""
        pair = self.serve(self.site)
        for told in token(), b"bad.one":
            self.ask(pair, get(b"/docs?x=1&subproxy_link=" + told))
            line: bytes = pair.last["log"][0]  # type: ignore[index]
            self.assertIn(b'"GET /docs?x=1 HTTP/1.1"', line)
            self.assertNotIn(told, line)

    def test_public_hosts_stay_compiled(self) -> None:
        """Beside a private one, and with the same cookie."""
        pair = self.serve(self.site)
        self.assertEqual(self.ask(pair, get(b"/", b"b.example")), b"")
        self.answer(pair, response(1))
        self.ask(pair, get())
        self.assert_paths(pair, compiled=1, python=1)

    def test_a_public_path_below(self) -> None:
        """The cookie comes there too, and is taken out."""
        public = '[[site]]\nhosts = "a.example"\npaths = "/pub"\naccess = "public"\n'
        pair = self.serve(self.site + public)
        fields = b"Cookie: subproxy_link=" + token()
        self.assertEqual(self.ask(pair, get(b"/pub", b"a.example", fields)), b"")
        self.assertNotIn(b"Cookie", [name for name, _ in self.fields()])
        self.assertIn(b" 200 ", self.answer(pair, response(1)))
        self.assertIn(b" 403 ", self.ask(pair, get(b"/pubs")))

    def test_bodies(self) -> None:
        """Small, large, and of nobody who may send one."""
        pair = self.serve(self.site)
        fields = b"Cookie: subproxy_link=" + token()
        for number, size in ((1, 5), (2, 70_000)):
            pair.connect()
            self.assertEqual(self.ask(pair, post(size, b"a.example", fields), b"x" * size), b"")
            self.assertIn(b" 200 ", self.answer(pair, response(number)))
        for size in (5, 70_000):
            pair.connect()
            self.assertIn(b" 403 ", self.ask(pair, post(size), b"x" * size))

    def test_a_web_socket(self) -> None:
        pair = self.serve(self.site, tunnel=[b"websocket"])
        upgrade = (
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        )
        self.assertIn(b" 403 ", self.ask(pair, get(b"/", b"a.example", *upgrade)))
        for target, more in (
            (b"/", (b"Cookie: subproxy_link=" + token(),)),
            (b"/?subproxy_link=" + token(), ()),
        ):
            pair.connect()
            self.assertEqual(self.ask(pair, get(target, b"a.example", *upgrade, *more)), b"")
            self.assertIn(b"websocket", self.asked)
            self.assertNotIn(b"subproxy_link", self.asked)


class Later:
    """Lets in whoever is asked about, when it is told to."""

    def __init__(self) -> None:
        self.asked: list[Callable[[AccessVerdict], None]] = []

    def ask(
        self, question: AccessQuestion, told: Callable[[AccessVerdict], None]
    ) -> Callable[[], None]:
        self.asked.append(told)
        return self.asked.clear

    def let_in(self) -> None:
        self.asked.pop()(LetIn([(b"X-User", b"alice")]))


class AskedTests(SiteCase):
    SITE = '[[site]]\nhosts = "a.example"\nauth = "http://b/"\nauth-headers = "X-User"\n'

    def test_http1(self) -> None:
        """A body that comes meanwhile waits, and a client that leaves is asked about no more."""
        pair = self.serve(self.SITE)
        askers = [Later(), Later()]
        for side, asker in zip(pair.sides, askers, strict=True):
            side.world.dispatcher.entrance.asker = asker
        for number, size in ((1, 0), (2, 5), (3, 70_000)):
            self.assertEqual(self.ask(pair, post(size), b"x" * size), b"")
            self.assertEqual(self.asked, b"")
            for asker in askers:
                asker.let_in()
            pair.wait(0.0)
            pair.guest(m.Credit(number, 100_000).encode())
            self.assertIn(b" 200 ", self.answer(pair, response(number)))

    def test_http2_and_a_web_socket(self) -> None:
        for fast in PATHS:
            line = StreamLine(fast, sites=self.SITE)
            asker = line.side.world.dispatcher.entrance.asker = Later()
            for number, fields, ended in ((1, GET, True), (3, CONNECT, False)):
                line.ask(fields, ended, number)
                self.assertEqual(line.told(), [])
                asker.let_in()
                line.turn()
                [frame] = line.told()
                self.assertIn([b"X-User", b"alice"], frame[4])


class LinksOfHttp2Tests(SiteCase):
    def setUp(self) -> None:
        super().setUp()
        self.site = SITE.format(key_file(self.mktemp()))

    def with_path(self, path: bytes, *more: tuple[bytes, bytes], of: Headers = GET) -> Headers:
        return [(n, path if n == b":path" else v) for n, v in of] + [*more]

    def test_a_visit(self) -> None:
        good = token("/docs")
        for fast in True, False:
            side = Http2Side(fast, sites=self.site)
            self.addCleanup(side.log.close)
            for number, fields, status in (
                (1, self.with_path(b"/docs"), b"403"),
                (3, self.with_path(b"/docs?x=1&subproxy_link=" + good), b"303"),
                (5, self.with_path(b"/x", (b"cookie", b"subproxy_link=" + good)), b"403"),
            ):
                side.client.request(number, fields, True)
                side.say(side.client.take())
                [found] = [told[1] for told in side.client.told[number] if told[0] == "head"]
                head = dict(found)
                self.assertEqual(head[b":status"], status)
                if status == b"303":
                    self.assertEqual(head[b"location"], b"/docs?x=1")
                    self.assertIn(b"; Path=/docs; ", head[b"set-cookie"])
            self.assertEqual(side.asked, [])
            # A browser sends each cookie as a field of its own (RFC 9113 section 8.2.3).
            cookies = ((b"cookie", b"a=b"), (b"cookie", b"subproxy_link=" + good))
            side.client.request(7, self.with_path(b"/docs", *cookies), True)
            side.say(side.client.take())
            [asked] = side.asked
            told = [value for name, value in asked.headers if name.lower() == b"cookie"]
            self.assertEqual(told, [b"a=b"])
            side.answer(m.Response(asked.exchange, 200, [], {}, b"ok"))
            [found] = [told[1] for told in side.client.told[7] if told[0] == "head"]
            self.assertEqual(dict(found)[b":status"], b"200")

    def test_a_web_socket(self) -> None:
        for fast in PATHS:
            line = StreamLine(fast, sites=self.site)
            line.ask()
            self.assertEqual((line.client.status(1), line.told()), (b"403", []))
            fields = [*CONNECT, (b"cookie", b"subproxy_link=" + token())]
            line.ask(fields, False, 3)
            [frame] = line.told()
            self.assertNotIn(b"cookie", [name.lower() for name, _ in frame[4]])
            line.say(accept())
            self.assertEqual(line.client.status(3), b"200")
