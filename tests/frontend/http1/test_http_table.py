"""
One test for each row of the table of HTTP behaviours in docs/reference/http.md, by its name.

Written as a client sees it: bytes in, bytes out, and what the guest got in between.
"""

from __future__ import annotations

from subproxy.errors import GuestGone
from tests.rigs.fake_dispatcher import Client
from tests.rigs.http_table import CONTINUE, HttpTableCase, get, ok, status


class HttpTableTests(HttpTableCase):
    def test_hop_by_hop_fields(self) -> None:
        client = self.passed(
            get(
                b"Connection: keep-alive, X-Mine,\tx-more",
                b"Keep-Alive: 5",
                b"Proxy-Connection: keep-alive",
                b"Proxy-Authorization: Basic eDp5",
                b"TE: trailers",
                b"Upgrade: h2c",
                b"X-Mine: 1",
                b"X-More: 2",
                b"X-Kept: 3",
            )
        )
        self.assertEqual(
            set(self.fields(client)),
            {
                b"host",
                b"x-kept",
                b"x-forwarded-for",
                b"x-forwarded-proto",
                b"x-forwarded-host",
                b"forwarded",
                b"via",
                b"x-request-id",
            },
        )
        client = Client()
        client.send(get())
        client.guest.respond(
            200,
            [
                (b"Connection", b"close, X-Mine"),
                (b"Keep-Alive", b"5"),
                (b"Transfer-Encoding", b"chunked"),
                (b"Upgrade", b"h2c"),
                (b"X-Mine", b"1"),
                (b"X-Kept", b"2"),
            ],
            b"hello",
        )
        received = client.received().lower()
        for name in (b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"x-mine"):
            self.assertNotIn(b"\r\n" + name + b":", received)
        self.assertIn(b"\r\nx-kept: 2\r\n", received)
        self.assertFalse(client.closed)

    def test_cl_and_te_both(self) -> None:
        head = b"POST / HTTP/1.1\r\nHost: a\r\n"
        for fields in (
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n",
        ):
            client = Client(ok)
            client.send(head + fields + b"\r\n0\r\n\r\n")
            self.assertIn(status(client.received()), (400, 501))
            self.assertTrue(client.closed)
            self.assertEqual(client.dispatcher.guests, [])

    def test_te_on_http_1_0(self) -> None:
        self.refused(
            b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400
        )

    def test_obs_fold(self) -> None:
        self.refused(get(b"X-A: one", b" two"), 400)
        self.refused(get(b"X-A: one", b"\ttwo"), 400)

    def test_chunk_extensions(self) -> None:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = self.passed(head + b'5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n')
        self.assertEqual(client.guest.exchange.body, b"hello")
        client = self.passed(head + b"5 ; a\t= b ;c\r\nhello\r\n0\r\n\r\n")
        self.assertEqual(client.guest.exchange.body, b"hello")
        self.refused(head + b"5;a=" + b"b" * 20_000 + b"\r\nhello\r\n0\r\n\r\n", 400)
        small = b"".join(b"1;" + b"x" * 100 + b"\r\na\r\n" for _ in range(300))
        self.refused(head + small + b"0\r\n\r\n", 400)

    def test_trailers(self) -> None:
        client = Client()
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nHost: evil\r\nX_Forwarded_For: 7\r\n\r\n"
        )
        guest = client.guest
        guest.exchange.resume_request()
        self.assertEqual((guest.body, guest.ended), (b"hello", [(b"X-Sum", b"1")]))
        self.assertNotIn(b"x-sum", self.fields(client))
        guest.respond(200, [], None)
        guest.data(b"answer")
        guest.end([(b"X-Other", b"2"), (b"Transfer-Encoding", b"x")])
        self.assertTrue(client.received().endswith(b"6\r\nanswer\r\n0\r\nX-Other: 2\r\n\r\n"))
        # What Connection nominates is of that connection alone, also as a trailer.
        client.send(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: x-SUM\r\n\r\n"
            b"0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"
        )
        guest = client.guest
        guest.exchange.resume_request()
        self.assertEqual(guest.ended, [(b"X-Other", b"2")])
        guest.respond(200, [(b"Connection", b"X-SUM"), (b"Connection", b"b")], None)
        guest.end([(b"X-Sum", b"1"), (b"X-Other", b"2"), (b"B", b"3")])
        self.assertTrue(client.received().endswith(b"\r\n\r\n0\r\nX-Other: 2\r\n\r\n"))
        # A client that cannot be sent trailers gets none.
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        client.guest.respond(200, [], None)
        client.guest.data(b"answer")
        client.guest.end([(b"X-Other", b"2")])
        self.assertTrue(client.received().endswith(b"\r\n\r\nanswer"))

    def test_expect_100_continue(self) -> None:
        head = b"POST / HTTP/1.%c\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        # Once, when the guest asks for the body, by whichever way.
        client = Client()
        client.send(head % ord("1"))
        guest = client.guest
        self.assertTrue(guest.exchange.request.expect)
        self.assertEqual(client.received(), b"")
        guest.interim(100)
        self.assertEqual(client.received(), CONTINUE)
        self.assertEqual(guest.body, b"")
        guest.exchange.resume_request()
        guest.interim(100)
        self.assertEqual(client.received(), b"")
        client.send(b"hello")
        self.assertEqual((guest.body, guest.ended), (b"hello", []))
        # The guest may refuse first; then the body is neither asked for nor waited for.
        client = Client()
        client.send(head % ord("1"))
        client.guest.respond(403, [], b"no")
        received = client.received()
        self.assertEqual(status(received), 403)
        self.assertNotIn(b"100 Continue", received)
        self.assertIn(b"\r\nConnection: close\r\n", received)
        # Never to HTTP/1.0, which does not know it.
        client = Client(ok)
        client.send(head % ord("0"))
        self.assertEqual(client.received(), b"")
        client.send(b"hello")
        self.assertFalse(client.guest.exchange.request.expect)
        self.assertEqual(client.guest.exchange.body, b"hello")
        self.assertEqual(status(client.received()), 200)
        # Who sends the body at once need not be asked.
        client = Client(ok)
        client.send(head % ord("1") + b"hello")
        self.assertEqual(status(client.received()), 200)

    def test_100_opens_no_window(self) -> None:
        """A guest that has said it, and has no way yet for the body, is given none of that."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n%b\r\n"
        for expect in (b"", b"Expect: 100-continue\r\n"):
            client = Client()
            client.send(head % expect)
            guest = client.guest
            guest.interim(100)
            client.send(b"x" * 50_000)
            guest.interim(100)
            self.assertEqual(guest.body, b"")
            guest.exchange.resume_request()
            client.send(b"x" * 50_000)
            self.assertEqual((len(guest.body), guest.ended), (100_000, []))

    def test_unknown_expect(self) -> None:
        self.refused(get(b"Expect: 200-ok"), 417)
        self.refused(get(b"Expect: 100-continue", b"Expect: more"), 417)

    def test_103_early_hints(self) -> None:
        client = Client()
        client.send(get())
        client.guest.interim(103, [(b"Link", b"</a.css>; rel=preload")])
        self.assertEqual(
            client.received(),
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
        )
        client.guest.respond(200, [], b"hello")
        self.assertEqual(status(client.received()), 200)
        # HTTP/1.0 knows no interim responses.
        client = Client()
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        client.guest.interim(103, [])
        self.assertEqual(client.received(), b"")

    def test_head_204_205_304(self) -> None:
        for method, code, length in (
            (b"HEAD", 200, b"5"),
            (b"HEAD", 404, b"5"),
            (b"GET", 204, None),
            (b"HEAD", 204, None),
            (b"GET", 205, b"0"),
            (b"HEAD", 205, b"0"),
            (b"GET", 304, None),
        ):
            client = Client()
            client.send(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.guest.respond(code, [(b"Content-Length", b"5")], b"hello")
            received = client.received()
            head, _, body = received.partition(b"\r\n\r\n")
            self.assertEqual(body, b"")
            self.assertNotIn(b"Transfer-Encoding", head)
            told = [line[16:] for line in head.split(b"\r\n") if line[:16] == b"Content-Length: "]
            self.assertEqual(told, [] if length is None else [length])
            self.assertFalse(client.closed)
            # A streamed body is not passed on either.
            client.send(method + b" / HTTP/1.1\r\nHost: a\r\n\r\n")
            client.guest.respond(code, [], None)
            client.guest.data(b"hello")
            client.guest.end()
            received = client.received()
            self.assertTrue(received.endswith(b"\r\n\r\n"))
            self.assertNotIn(b"Transfer-Encoding", received)
            self.assertEqual(b"Content-Length: 0\r\n" in received, code == 205)
            self.assertFalse(client.closed)

    def test_chunked_to_an_http_1_0_client(self) -> None:
        client = Client()
        client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
        client.guest.respond(200, [], None)
        client.guest.data(b"hello ")
        client.guest.data(b"there")
        client.guest.end()
        head, _, body = client.received().partition(b"\r\n\r\n")
        self.assertEqual(body, b"hello there")
        self.assertNotIn(b"Transfer-Encoding", head)
        self.assertIn(b"Connection: close", head)
        self.assertTrue(client.closed)

    def test_upstream_truncates(self) -> None:
        for fields, version in (
            ([], b"1.1"),
            ([(b"Content-Length", b"10")], b"1.1"),
            ([], b"1.0"),
        ):
            client = Client()
            client.send(b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
            client.guest.respond(200, fields, None)
            client.guest.data(b"hello")
            client.guest.exchange.fail(GuestGone())
            self.assertTrue(client.transport.aborted)
            self.assertNotIn(b"\r\n0\r\n", client.received())
        # A guest that ends too early truncates as well.
        client = Client()
        client.send(get())
        client.guest.respond(200, [(b"Content-Length", b"10")], None)
        client.guest.data(b"hello")
        client.guest.end()
        self.assertTrue(client.transport.aborted)

    def test_absolute_form(self) -> None:
        client = self.passed(get(target=b"http://A.example:80/x?y", host=b"a.example:80"))
        request = client.guest.exchange.request
        self.assertEqual((request.target, request.host), (b"/x?y", b"a.example"))
        self.assertEqual(self.fields(client)[b"host"], [b"A.example:80"])
        self.refused(get(target=b"http://b.example/", host=b"a.example"), 400)
        self.refused(get(target=b"http://u:p@a.example/", host=b"a.example"), 400)
        self.refused(get(target=b"ftp://a.example/", host=b"a.example"), 400)
        self.refused(get(target=b"https://a.example/", host=b"a.example"), 421)
        self.refused(b"GET http://a.example HTTP/1.1\r\n\r\n", 400)
        self.refused(b"GET http://a.example/ HTTP/1.1\r\nHost:\r\n\r\n", 400)
        client = self.passed(b"GET http://a.example/ HTTP/1.0\r\n\r\n")
        self.assertEqual(client.guest.exchange.request.host, b"a.example")
        client = self.passed(get(target=b"http://a.example", host=b"a.example"))
        self.assertEqual(client.guest.exchange.request.target, b"/")
        client = self.passed(get(target=b"http://a.example?q", host=b"a.example"))
        self.assertEqual(client.guest.exchange.request.target, b"/?q")

    def test_options_star(self) -> None:
        client = Client(ok)
        client.send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
        received = client.received()
        self.assertEqual(status(received), 200)
        self.assertIn(b"\r\nAllow: ", received)
        self.assertEqual(client.dispatcher.guests, [])
        self.assertFalse(client.closed)
        self.refused(b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400)

    def test_max_forwards(self) -> None:
        client = Client(ok)
        client.send(b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n")
        received = client.received()
        self.assertEqual(status(received), 200)
        self.assertIn(b"\r\nAllow: ", received)
        self.assertEqual(client.dispatcher.guests, [])
        client.send(b"OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 7\r\n\r\n")
        self.assertEqual(self.fields(client)[b"max-forwards"], [b"6"])
        self.assertFalse(client.closed)

    def test_connect_trace(self) -> None:
        received = self.refused(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405)
        self.assertIn(b"\r\nAllow: ", received)
        self.refused(b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405)

    def test_no_two_bad_empty_host(self) -> None:
        self.refused(b"GET / HTTP/1.1\r\n\r\n", 400)
        self.refused(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400)
        for host in (
            b"", b"a b", b"a/b", b"a,b", b"a:x", b"a:99999", b"[::1", b"[]", b"[x]", b"a\x80",
            b"a\\b", b"a?b", b"a#b", b"::1", b":80", b".", b"a:80:90", b"[::1]x", b"%61", b"a\"b",
        ):  # fmt: skip
            self.refused(b"GET / HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", 400)
        for host, name in (
            (b"A.Example.", b"a.example"),
            (b"a:80", b"a"),
            (b"a:", b"a"),
            (b"[::1]:80", b"[::1]"),
            (b"127.0.0.1", b"127.0.0.1"),
            (b"xn--bcher-kva.example", b"xn--bcher-kva.example"),
            (b"a_b.example", b"a_b.example"),
        ):
            client = self.passed(get(host=host))
            self.assertEqual(client.guest.exchange.request.host, name)
            self.assertEqual(self.fields(client)[b"host"], [host])
        # HTTP/1.0 did not have to send one.
        client = self.passed(b"GET / HTTP/1.0\r\n\r\n")
        self.assertEqual(client.guest.exchange.request.host, b"")

    def test_host_with_userinfo(self) -> None:
        self.refused(get(host=b"user@a.example"), 400)
        self.refused(get(host=b"user:pw@a.example"), 400)

    def test_fields_that_stand_for_the_request_line(self) -> None:
        """Some applications believe them: rules for a path would not hold (Symfony, Zend, IIS)."""
        sent = (
            b"X-Original-URL: /admin",
            b"X_Original_Uri: /admin",
            b"x-rewrite-url: /admin",
            b"X-Original-Method: PUT",
        )
        fields = self.fields(self.passed(get(*sent)))
        self.assertEqual({name for name in fields if b"rig" in name or b"rew" in name}, set())
        fields = self.fields(self.passed(get(*sent), trust=["192.0.2.0/24"]))
        self.assertEqual(fields[b"x-original-url"], [b"/admin"])

    def test_forwarding_fields(self) -> None:
        sent = (
            b"X-Forwarded-For: 203.0.113.9, 10.0.0.2",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Host: front.example",
            b"X-Forwarded-Port: 443",
            b"X_Forwarded_For: 1.1.1.1",
            b"X-Real-IP: 203.0.113.9",
            b"Forwarded: for=203.0.113.9",
            b"Via: 1.1 front",
            b"X-Request-Id: theirs",
        )
        client = self.passed(get(*sent))
        fields = self.fields(client)
        self.assertEqual(fields[b"x-forwarded-for"], [b"192.0.2.7"])
        self.assertEqual(fields[b"x-forwarded-proto"], [b"http"])
        self.assertEqual(fields[b"x-forwarded-host"], [b"a.example"])
        self.assertEqual(fields[b"forwarded"], [b'for=192.0.2.7;host="a.example";proto=http'])
        self.assertEqual(fields[b"via"], [b"1.1 subproxy"])
        self.assertNotEqual(fields[b"x-request-id"], [b"theirs"])
        for name in (b"x-forwarded-port", b"x_forwarded_for", b"x-real-ip"):
            self.assertNotIn(name, fields)
        self.assertEqual(client.guest.exchange.request.client, b"192.0.2.7")

        client = self.passed(get(*sent), trust=["192.0.2.0/24", "10.0.0.0/8"])
        fields = self.fields(client)
        self.assertEqual(fields[b"x-forwarded-for"], [b"203.0.113.9, 10.0.0.2, 192.0.2.7"])
        self.assertEqual(fields[b"x-forwarded-proto"], [b"https"])
        self.assertEqual(fields[b"x-forwarded-host"], [b"front.example"])
        self.assertEqual(fields[b"x-forwarded-port"], [b"443"])
        self.assertEqual(
            fields[b"forwarded"],
            [b'for=203.0.113.9;host="front.example";proto=https, for=10.0.0.2, for=192.0.2.7'],
        )
        self.assertEqual(fields[b"via"], [b"1.1 front, 1.1 subproxy"])
        self.assertEqual(fields[b"x-request-id"], [b"theirs"])
        self.assertEqual(fields[b"x-real-ip"], [b"203.0.113.9"])
        self.assertEqual(client.guest.exchange.request.client, b"203.0.113.9")
        self.assertEqual(client.guest.exchange.request.scheme, b"https")
        self.assertIn(b"\r\nX-Request-Id: theirs\r\n", client.received())

        # One that sends the standard's field alone is believed as well.
        client = self.passed(
            get(b'Forwarded: for="203.0.113.9:1";proto=https;host=front.example'),
            trust=["192.0.2.0/24"],
        )
        fields = self.fields(client)
        self.assertEqual(fields[b"x-forwarded-for"], [b"203.0.113.9, 192.0.2.7"])
        self.assertEqual(fields[b"x-forwarded-proto"], [b"https"])
        self.assertEqual(fields[b"x-forwarded-host"], [b"front.example"])
        request = client.guest.exchange.request
        self.assertEqual((request.client, request.scheme), (b"203.0.113.9", b"https"))
        # It decides nothing about the route.
        self.assertEqual(request.host, b"a.example")

    def test_x_foo_with_underscores(self) -> None:
        # Passed on; dropped only on the way into WSGI, which can't tell it from X-Foo.
        client = self.passed(get(b"X_Foo: 1", b"Content_Length: 9", b"Transfer_Encoding: chunked"))
        fields = self.fields(client)
        self.assertEqual(fields[b"x_foo"], [b"1"])
        self.assertNotIn(b"content_length", fields)
        self.assertNotIn(b"transfer_encoding", fields)
