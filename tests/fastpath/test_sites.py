"""The rules of sites on HTTP/1.1, by raw requests, on both paths: what they say, and to whom."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from subproxy.fastpath.install import unavailable
from subproxy.frontend.limits import HttpLimits
from subproxy.wire import messages as m
from subproxy.wire.frames import decode
from tests.rigs import fastpath_inputs as inputs
from tests.rigs.conversation_case import ConversationCase
from tests.rigs.examples import examples
from tests.rigs.fastpath_rig import Pair, response

skip = unavailable()


def get(target: bytes = b"/", host: bytes = b"a.example", *fields: bytes) -> bytes:
    lines = (b"GET " + target + b" HTTP/1.1", b"Host: " + host, *fields, b"", b"")
    return b"\r\n".join(lines)


def post(size: int, host: bytes = b"a.example", *fields: bytes) -> bytes:
    return get(b"/", host, b"Content-Length: %d" % size, *fields).replace(b"GET", b"POST")


class SiteCase(ConversationCase):
    def serve(self, sites: str, **options: object) -> Pair:
        return self.pair(sites=sites, **options)

    def ask(self, pair: Pair, *pieces: bytes) -> bytes:
        """What the client gets at once; empty if it waits for a guest."""
        told = b""
        self.asked = b""
        for piece in pieces:
            pair.client(piece)
            told += pair.last["client"]  # type: ignore[operator]
            self.asked += pair.last["guest"]  # type: ignore[operator]
        return told

    def answer(self, pair: Pair, *pieces: bytes) -> bytes:
        pair.guest(*pieces)
        told: bytes = pair.last["client"]  # type: ignore[assignment]
        return told

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Those of the request that the guest was given."""
        return [(name, value) for name, value in decode(self.asked)[4]]

    def assert_paths(self, pair: Pair, *, compiled: int, python: int) -> None:
        stats = pair.stats
        self.assertEqual((stats["requests"], stats["declined_requests"]), (compiled, python))


class CompiledTests(SiteCase):
    def test_rules_that_are_numbers_stay_there(self) -> None:
        """So does a request without a site, where there are others."""
        pair = self.serve(
            '[[site]]\nhosts = "a.example"\nmax-body = 10\nresponse-timeout = 5\nhold = 9\n'
            'queue-timeout = 1\n[[site]]\nhosts = "c.example"\nhost = "x"\n'
        )
        for number, asked in enumerate((get(), get(b"/", b"b.example"), post(10) + b"x" * 10), 1):
            self.assertEqual(self.ask(pair, asked), b"")
            self.assertIn(b" 200 ", self.answer(pair, response(number)))
        self.assert_paths(pair, compiled=3, python=0)

    def test_rules_that_are_asked_leave_it(self) -> None:
        """Each time, and only for that host and path; the connection comes back."""
        pair = self.serve('[[site]]\nhosts = "a.example"\npaths = "/x"\nnetworks = "192.0.2.7"\n')
        for number, target in enumerate((b"/x", b"/", b"/x/y?z", b"/%78", b"/xy"), 1):
            self.assertEqual(self.ask(pair, get(target)), b"")
            self.assertIn(b" 200 ", self.answer(pair, response(number)))
        self.assert_paths(pair, compiled=2, python=3)

    def test_a_response_timeout_of_its_own(self) -> None:
        pair = self.serve(
            '[[site]]\nhosts = "a.example"\nresponse-timeout = 5\n'
            '[[site]]\nhosts = "b.example"\nresponse-timeout = 100\n'
        )
        for host, early, late in (b"a.example", 4.0, 2.0), (b"b.example", 65.0, 40.0):
            pair.connect()
            self.assertEqual(self.ask(pair, get(b"/", host)), b"")
            pair.wait(early)
            self.assertFalse(pair.sides[1].transport.disconnecting)
            told = b""
            for _ in range(int(late)):
                pair.wait(1.0)
                told += pair.last["client"]  # type: ignore[operator]
            self.assertIn(b"HTTP/1.1 504 ", told)

    def test_of_a_streamed_body_too(self) -> None:
        """The time is from the whole request on."""
        pair = self.serve('[[site]]\nhosts = "a.example"\nresponse-timeout = 5\n')
        self.ask(pair, post(70_000), b"x" * 60_000)
        pair.guest(m.Credit(1, 100_000).encode())
        pair.wait(8.0)
        self.assertEqual(pair.last["client"], b"")
        pair.client(b"x" * 10_000)
        told = b""
        for _ in range(7):
            pair.wait(1.0)
            told += pair.last["client"]  # type: ignore[operator]
        self.assertIn(b"HTTP/1.1 504 ", told)

    def test_a_change_of_sites(self) -> None:
        """Both caches know at once, also for what a client sends next on its connection."""
        pair = self.serve("")
        self.assertEqual(self.ask(pair, get()), b"")
        self.answer(pair, response(1))
        networks = Pair(sites='[[site]]\nhosts = "a.example"\nnetworks = "10.0.0.0/8"\n')
        for side, other in zip(pair.sides, networks.sides, strict=True):
            sites = other.world.router.sites
            assert sites is not None
            side.world.router.set_sites(sites)
        networks.close()
        self.assertIn(b" 403 ", self.ask(pair, get()))
        for side in pair.sides:
            sites = side.world.router.sites
            assert sites is not None
            side.world.router.set_sites(type(sites)(()))
        self.assertEqual(self.ask(pair, get()), b"")
        self.answer(pair, response(2))
        self.assert_paths(pair, compiled=2, python=1)


class AccessTests(SiteCase):
    NETWORKS = '[[site]]\nhosts = "a.example"\nnetworks = ["10.0.0.0/8", "2001:db8::/32"]\n'

    def test_networks(self) -> None:
        for address, good in (
            ("10.1.2.3", True),
            ("::ffff:10.1.2.3", True),
            ("2001:db8::7", True),
            ("192.0.2.7", False),
            ("2001:db9::7", False),
        ):
            pair = self.serve(self.NETWORKS, address=address)
            told = self.ask(pair, get())
            if good:
                self.assertEqual(told, b"")
                told = self.answer(pair, response(1))
            self.assertIn(b"HTTP/1.1 200 " if good else b"HTTP/1.1 403 Forbidden\r\n", told)
            # The connection stays, and other hosts are served on it.
            self.assertEqual(self.ask(pair, get(b"/", b"b.example")), b"")

    def test_by_the_word_of_a_trusted_proxy(self) -> None:
        """And not of another."""
        pair = self.serve(self.NETWORKS, trust=["192.0.2.7"])
        self.assertEqual(self.ask(pair, get(b"/", b"a.example", b"X-Forwarded-For: 10.0.0.1")), b"")
        self.answer(pair, response(1))
        told = self.ask(pair, get(b"/", b"a.example", b"X-Forwarded-For: 10.0.0.1, 198.51.100.1"))
        self.assertIn(b" 403 ", told)
        pair = self.serve(self.NETWORKS)
        told = self.ask(pair, get(b"/", b"a.example", b"X-Forwarded-For: 10.0.0.1"))
        self.assertIn(b" 403 ", told)

    def test_before_the_body_is_here(self) -> None:
        """It is neither waited for nor taken for a request; and nobody is asked."""
        for body in (post(100), post(10_000_000), post(5, b"a.example", b"Expect: 100-continue")):
            pair = self.serve(self.NETWORKS)
            told = self.ask(pair, body)
            self.assertTrue(told.startswith(b"HTTP/1.1 403 "), told)
            self.assertIn(b"\r\nConnection: close\r\n", told)
            self.assertEqual(self.ask(pair, get(b"/", b"b.example")), b"")
            self.assertEqual(self.asked, b"")

    def test_before_anybody_waits(self) -> None:
        """A forbidden request does not wait for a guest that is gone, nor for one that is busy."""
        pair = self.serve(self.NETWORKS, concurrency=1)
        self.assertEqual(self.ask(pair, get(b"/", b"b.example")), b"")
        pair.connect()
        self.assertIn(b" 403 ", self.ask(pair, get()))
        pair.lose_guest()
        # What the guest had waits for it to return, and nothing else does.
        self.assertIn(b" 403 ", self.ask(pair, get()))
        self.assertEqual(pair.sides[1].world.admission.waiting, 1)

    def test_what_a_route_is_not(self) -> None:
        """Who may not ask does not learn whether there is a route."""
        pair = self.serve('[[site]]\nhosts = "nobody.example"\nnetworks = "10.0.0.0/8"\n')
        self.assertIn(b" 403 ", self.ask(pair, get(b"/", b"nobody.example")))
        self.assertIn(b" 404 ", self.ask(pair, get(b"/", b"nothing.example")))

    def test_in_the_log(self) -> None:
        pair = self.serve(self.NETWORKS)
        self.ask(pair, get())
        line: bytes = pair.last["log"][0]  # type: ignore[index]
        self.assertIn(b'"GET / HTTP/1.1" 403 ', line)
        self.assertTrue(line.endswith(b" forbidden\n"))


class SizeTests(SiteCase):
    def test_more_or_less_than_the_limit_for_all(self) -> None:
        sites = (
            '[[site]]\nhosts = "a.example"\nmax-body = 10\n'
            '[[site]]\nhosts = "b.example"\nmax-body = "2 KiB"\n'
        )
        for host, size, good in (
            (b"a.example", 10, True),
            (b"a.example", 11, False),
            (b"b.example", 2048, True),
            (b"b.example", 2049, False),
        ):
            pair = self.serve(sites, limits=HttpLimits(body=1000))
            told = self.ask(pair, post(size, host) + b"x" * size)
            if good:
                told = self.answer(pair, response(1))
            self.assertIn(b"HTTP/1.1 200 " if good else b"HTTP/1.1 413 ", told)
            pair = self.serve(sites, limits=HttpLimits(body=1000))
            head = post(0, host).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
            told = self.ask(pair, head + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
            if good:
                told = self.answer(pair, response(1))
            self.assertIn(b"HTTP/1.1 200 " if good else b"HTTP/1.1 413 ", told)

    def test_no_limit(self) -> None:
        pair = self.serve('[[site]]\nhosts = "*"\nmax-body = 0\n', limits=HttpLimits(body=10))
        self.assertEqual(self.ask(pair, post(11) + b"x" * 11), b"")
        self.assertIn(b" 200 ", self.answer(pair, response(1)))


class RateTests(SiteCase):
    def test_rate(self) -> None:
        """429 with Retry-After; the connection stays, and later it may ask again."""
        pair = self.serve('[[site]]\nhosts = "a.example"\nrate = "6/m"\nburst = 2\n')
        for number in 1, 2:
            self.assertEqual(self.ask(pair, get()), b"")
            self.answer(pair, response(number))
        told = self.ask(pair, get())
        self.assertIn(b"HTTP/1.1 429 Too Many Requests\r\n", told)
        self.assertIn(b"\r\nRetry-After: 10\r\n", told)
        self.assertNotIn(b"Connection: close", told)
        self.assertEqual(self.asked, b"")
        # Another host is not limited; another connection of the client is no other client.
        self.assertEqual(self.ask(pair, get(b"/", b"b.example")), b"")
        self.answer(pair, response(3))
        pair.connect()
        self.assertIn(b" 429 ", self.ask(pair, get()))
        pair.wait(10.0)
        self.assertEqual(self.ask(pair, get()), b"")

    def test_connections(self) -> None:
        """So many requests at a time, however they end."""
        pair = self.serve('[[site]]\nhosts = "a.example"\nconnections = 1\n')
        self.assertEqual(self.ask(pair, get()), b"")
        pair.connect()
        told = self.ask(pair, get())
        self.assertIn(b"HTTP/1.1 429 ", told)
        self.assertIn(b"\r\nRetry-After: 1\r\n", told)
        pair.guest(response(1))
        self.assertEqual(self.ask(pair, get()), b"")
        self.assertIn(b" 200 ", self.answer(pair, response(2)))
        # One that its client leaves, one that a guest loses, one that takes too long.
        for end in (pair.lose, pair.lose_guest):
            pair.connect()
            self.ask(pair, get())
            end()
        pair.wait(12.0)
        for side in pair.sides:
            self.assertEqual(side.world.dispatcher.entrance.clients.under_way, 0)


class RewriteTests(SiteCase):
    def test_what_a_guest_sees(self) -> None:
        pair = self.serve(
            '[[site]]\nhosts = "a.example"\nstrip-prefix = "/api"\nhost = "internal:81"\n'
            '[site.request-headers]\nremove = ["cookie"]\nset = { X-A = "1" }\n'
            'add = { X-B = "2" }\n'
        )
        asked = get(b"/api/x?y", b"A.example:80", b"Cookie: a=b", b"x-a: 0", b"X-B: 0")
        self.assertEqual(self.ask(pair, asked), b"")
        self.assertEqual(decode(self.asked)[3], b"/x?y")
        fields = [(name, value) for name, value in self.fields() if name != b"X-Request-Id"]
        self.assertEqual(
            fields,
            [
                (b"Host", b"internal:81"),
                (b"X-B", b"0"),
                (b"X-Forwarded-For", b"192.0.2.7"),
                (b"X-Forwarded-Proto", b"http"),
                (b"X-Forwarded-Host", b"A.example:80"),
                (b"Forwarded", b'for=192.0.2.7;host="A.example:80";proto=http'),
                (b"Via", b"1.1 subproxy"),
                (b"X-Forwarded-Prefix", b"/api"),
                (b"X-A", b"1"),
                (b"X-B", b"2"),
            ],
        )
        # The log has what the client asked for.
        self.answer(pair, response(1))
        line: bytes = pair.last["log"][0]  # type: ignore[index]
        self.assertIn(b'"GET /api/x?y HTTP/1.1" 200 ', line)

    def test_a_client_cannot_say_the_prefix(self) -> None:
        pair = self.serve('[[site]]\nhosts = "a.example"\nstrip-prefix = "/api"\n')
        self.ask(pair, get(b"/api", b"a.example", b"X-Forwarded-Prefix: /evil"))
        told = [value for name, value in self.fields() if name.lower() == b"x-forwarded-prefix"]
        self.assertEqual(told, [b"/api"])
        pair = self.serve(
            '[[site]]\nhosts = "a.example"\nstrip-prefix = "/api"\n', trust=["192.0.2.7"]
        )
        self.ask(pair, get(b"/api", b"a.example", b"X-Forwarded-Prefix: /front"))
        told = [value for name, value in self.fields() if name.lower() == b"x-forwarded-prefix"]
        self.assertEqual(told, [b"/front/api"])

    def test_what_a_client_sees(self) -> None:
        pair = self.serve(
            '[[site]]\nhosts = "a.example"\n'
            'response-headers = { remove = "Server", set = { X-A = "1" }, '
            'add = { Vary = "Cookie" } }\n'
        )
        fields = [(b"Server", b"app"), (b"x-a", b"0"), (b"Vary", b"Accept"), (b"X-C", b"3")]
        # Whole, and streamed.
        self.ask(pair, get())
        told = self.answer(pair, response(1, headers=fields))
        head = b"Vary: Accept\r\nX-C: 3\r\nX-A: 1\r\nVary: Cookie\r\n"
        self.assertTrue(told.startswith(b"HTTP/1.1 200 OK\r\n" + head), told)
        self.ask(pair, get())
        told = self.answer(pair, response(2, headers=fields, body=None))
        self.assertTrue(told.startswith(b"HTTP/1.1 200 OK\r\n" + head), told)
        pair.guest(m.Body(2, b"x").encode(), m.End(2).encode())
        # An error page is the proxy's own.
        pair.lose_guest()
        pair.wait(11.0)
        self.ask(pair, get())
        for side in pair.sides:
            self.assertNotIn(b"X-A", side.transport.value())

    def test_redirect(self) -> None:
        pair = self.serve(
            '[[site]]\nhosts = "old.example"\nredirect = "https://new.example{uri}"\n'
            'redirect-status = 308\nresponse-headers = { set = { X-A = "1" } }\n'
            '[[site]]\nhosts = "a.example"\npaths = "/old"\nredirect = "https://{host}/new{path}"\n'
        )
        told = self.ask(pair, get(b"/x?y=/z", b"old.example:80"))
        self.assertTrue(
            told.startswith(
                b"HTTP/1.1 308 Permanent Redirect\r\nLocation: https://new.example/x?y=/z\r\n"
                b"X-A: 1\r\n"
            ),
            told,
        )
        self.assertIn(b"\r\nContent-Length: 0\r\n", told)
        told = self.ask(pair, get(b"/old/x?y", b"a.example").replace(b"GET", b"HEAD"))
        self.assertIn(b"HTTP/1.1 307 ", told)
        self.assertIn(b"\r\nLocation: https://a.example/new/old/x\r\n", told)
        self.assertEqual(self.ask(pair, get(b"/new")), b"")
        self.answer(pair, response(1))
        told = self.ask(pair, post(5, b"old.example"))
        self.assertIn(b"HTTP/1.1 308 ", told)
        self.assertIn(b"\r\nConnection: close\r\n", told)

    def test_sticky_by_a_cookie(self) -> None:
        pair = self.serve('[[site]]\nhosts = "a.example"\nsticky = "cookie"\n')
        self.ask(pair, get())
        told = self.answer(pair, response(1, headers=[(b"Set-Cookie", b"theirs=1")]))
        found = re.search(rb"\r\nSet-Cookie: (subproxy_[0-9a-f]{8}=[0-9a-f]{16}); Path=/", told)
        assert found is not None
        self.assertIn(b"\r\nSet-Cookie: theirs=1\r\n", told)
        self.ask(pair, get(b"/", b"a.example", b"Cookie: " + found[1]))
        self.assertNotIn(b"Set-Cookie", self.answer(pair, response(2)))


class UpgradeTests(SiteCase):
    KEY = (
        *(b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"),
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )

    def told(self, sites: str, *fields: bytes) -> dict[bytes, object]:
        """What the guest is told of a request; empty if it is given none."""
        pair = self.serve(sites, tunnel=[b"websocket"])
        self.answered = self.ask(pair, get(b"/", b"a.example", *self.KEY, *fields))
        info: dict[bytes, object] = decode(self.asked)[5] if self.asked else {}
        return info

    def test_which(self) -> None:
        """What a site does not list, nobody hears; the request is served as any other."""
        for said, protocols, taken in (
            ("", b"websocket", True),
            ('upgrade = "any"', b"websocket", True),
            ('upgrade = ["WebSocket"]', b"x, websocket", True),
            ('upgrade = ["echo/1"]', b"websocket", False),
            ("upgrade = []", b"websocket", False),
        ):
            sites = f'[[site]]\nhosts = "a.example"\n{said}\n'
            info = self.told(sites, b"Upgrade: " + protocols)
            self.assertEqual(info.get(b"tunnel"), b"websocket" if taken else None, said)
            self.assertIn(b"id", info)

    def test_origins(self) -> None:
        """Another page gets 403, and no guest hears of it; its other requests are served."""
        sites = '[[site]]\nhosts = "a.example"\norigins = ["same", "https://app.example"]\n'
        for origin in b"http://a.example", b"https://app.example":
            info = self.told(sites, b"Upgrade: websocket", b"Origin: " + origin)
            self.assertEqual(info.get(b"tunnel"), b"websocket")
        self.assertIn(b"tunnel", self.told(sites, b"Upgrade: websocket"))
        for origin in b"https://evil.example", b"null":
            fields = b"Upgrade: websocket", b"Origin: " + origin
            self.assertEqual(self.told(sites, *fields), {})
            self.assertTrue(self.answered.startswith(b"HTTP/1.1 403 "))
        info = self.told(sites, b"Origin: https://evil.example")
        self.assertNotIn(b"tunnel", info)
        self.assertIn(b"id", info)

    def test_other_requests_stay_on_the_compiled_path(self) -> None:
        pair = self.serve('[[site]]\nhosts = "*"\nupgrade = []\norigins = "same"\n')
        self.assertEqual(self.ask(pair, get(b"/", b"a.example", b"Origin: https://x")), b"")
        self.answer(pair, response(1))
        self.assert_paths(pair, compiled=1, python=0)


RULES = (
    "",
    "max-body = 10\nresponse-timeout = 1",
    'networks = "10.0.0.0/8"',
    'networks = "192.0.2.0/24"\nconnections = 1',
    "rate = 0.5\nburst = 2",
    'strip-prefix = "/x"\nhost = "h"\nrequest-headers = { set = { Accept = "z" }, remove = ["A"] }',
    'response-headers = { set = { Server = "s" }, add = { Vary = "v" } }',
    'redirect = "https://{host}/new{uri}"',
    'sticky = "cookie"',
    "queue-timeout = 0\nhold = 0",
)


class AnyRequestTests(SiteCase):
    @settings(max_examples=examples(200), deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(RULES),
        st.sampled_from(RULES),
        st.sampled_from(["/", "/x", "/x/y"]),
        st.lists(st.binary(max_size=60), min_size=1, max_size=3),
        st.integers(0, 1),
    )
    def test_any_request_under_any_site(
        self, wide: str, narrow: str, path: str, asked: list[bytes], concurrency: int
    ) -> None:
        """Both paths do the same, whatever is asked for and answered."""
        sites = (
            f'[[site]]\nhosts = "*"\n{wide}\n'
            f'[[site]]\nhosts = "a.example"\npaths = "{path}"\n{narrow}\n'
        )
        pair = Pair(sites=sites, concurrency=concurrency)
        number = 0
        for data in asked:
            pair.client(inputs.request(inputs.Bytes(data)))
            if pair.last["guest"]:
                number += 1
                pair.guest(inputs.answer(inputs.Bytes(data[::-1]), number))
            pair.wait(1.0)
        pair.wait(4.0)
        pair.close()
        for side in pair.sides:
            self.assertEqual(side.world.dispatcher.entrance.clients.under_way, 0)
