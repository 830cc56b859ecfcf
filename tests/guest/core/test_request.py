"""Tests for L{guest.core.request}."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from guest.core.errors import BodyTooLong
from guest.core.request import Request
from guest.core.request_body import IncomingBody
from guest.twisted.framework import twisted_framework


class RequestTests(SynchronousTestCase):
    """What an application sees."""

    def request(
        self, target: bytes = b"/", headers: Any = (), whole: bytes | None = b"", **info: Any
    ) -> Request:
        self.consumed: list[int] = []
        self.interims: list[Any] = []
        body = IncomingBody(twisted_framework(Clock()), self.consumed.append, whole)
        fields = {key.encode(): value for key, value in info.items()}
        return Request(
            b"GET",
            target,
            list(headers),
            fields,
            body,
            lambda *args: self.interims.append(args),
        )

    def test_targets(self) -> None:
        for target, path, query in (
            (b"/", b"/", b""),
            (b"/a/b?c=d&e", b"/a/b", b"c=d&e"),
            (b"/?", b"/", b""),
            (b"/a?b?c", b"/a", b"b?c"),
            (b"*", b"*", b""),
            (b"/%41", b"/%41", b""),
        ):
            request = self.request(target)
            self.assertEqual((request.target, request.path, request.query), (target, path, query))

    def test_tls(self) -> None:
        self.assertIsNone(self.request().tls)
        told = {b"version": b"1.3", b"verified": True, b"cert": b"DER", b"sha256": b"x" * 32}
        request = self.request(tls=told, client=b"192.0.2.7")
        found = request.tls
        assert found is not None
        self.assertEqual(
            (found.version, found.sni, found.verified, found.cert), (b"1.3", None, True, b"DER")
        )
        self.assertEqual(request.connection_info()[b"tls"], told)

    def test_hosts(self) -> None:
        for value, host in (
            (b"blog.example", b"blog.example"),
            (b"Blog.Example:8080", b"blog.example"),
            (b"blog.example:", b"blog.example"),
            (b"[::1]", b"[::1]"),
            (b"[::1]:80", b"[::1]"),
            (b"", b""),
        ):
            self.assertEqual(self.request(headers=[(b"Host", value)]).host, host)
        self.assertEqual(self.request().host, b"")

    def test_fields(self) -> None:
        request = self.request(headers=[(b"X-A", b"1"), (b"x-a", b"2")])
        self.assertEqual(request.header(b"x-A"), b"1")
        self.assertEqual(request.header(b"x-b"), b"")
        self.assertEqual(request.header(b"x-b", b"none"), b"none")
        self.assertEqual(request.headers, [(b"X-A", b"1"), (b"x-a", b"2")])

    def test_info(self) -> None:
        request = self.request(client=b"192.0.2.1", scheme=b"https", version=b"2", id=b"7")
        self.assertEqual(request.client, b"192.0.2.1")
        self.assertEqual((request.scheme, request.version, request.id), (b"https", b"2", b"7"))

    def test_what_the_client_waits_for_and_takes(self) -> None:
        for value, found in ((True, True), (False, False), (1, False)):
            request = self.request(expect=value, trailers=value)
            self.assertEqual((request.expects, request.takes_trailers), (found, found))

    def test_info_that_is_absent_or_odd(self) -> None:
        for request in (self.request(), self.request(client=7, scheme=None, version=[], id={})):
            self.assertEqual((request.client, request.id), (b"", b""))
            self.assertEqual((request.scheme, request.version), (b"http", b"1.1"))

    def test_a_body_that_says_that_it_is_too_long_is_not_asked_for(self) -> None:
        request = self.request(headers=[(b"Content-Length", b"11")], whole=None)
        self.failureResultOf(Deferred.fromCoroutine(request.read(10)), BodyTooLong)
        self.assertEqual(self.consumed, [])

    def test_the_body(self) -> None:
        async def pieces(request: Request) -> list[bytes]:
            return [piece async for piece in request]

        request = self.request(whole=b"abc")
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(request.read(3))), b"abc")
        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(pieces(request))), [b"abc"])
        self.assertEqual(request.trailers, [])

    def test_interim_responses(self) -> None:
        self.request().interim(103, [(b"link", b"</a.css>")])
        self.assertEqual(self.interims, [(103, [(b"link", b"</a.css>")])])

    def test_text(self) -> None:
        self.assertEqual(repr(self.request(b"/x")), "<Request GET /x>")
