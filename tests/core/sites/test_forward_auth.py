"""Tests of subproxy.core.sites.forward_auth."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.sites.access_question import LetIn
from subproxy.core.sites.basic_auth import CHALLENGE, PasswordQuestion, SiteUsers
from subproxy.core.sites.forward_auth import (
    MAX_FIELDS,
    AuthService,
    ServiceQuestion,
    field_fault,
    service_question,
)
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site_access import SiteAccess
from subproxy.errors import AccessUnknown, LinkRefused
from tests.rigs.private_site import SECRETS, WALL, token

SERVICE = AuthService(b"http://127.0.0.1/auth", 5.0, (b"x-user", b"remote_user"), 10.0)


def ask(*fields: tuple[bytes, bytes], target: bytes = b"/x?y=1") -> RequestHead:
    return RequestHead(
        b"POST",
        target,
        b"a.example",
        target.partition(b"?")[0],
        [(b"Host", b"a.example:8080"), *fields],
        b"192.0.2.7",
        b"https",
    )


class QuestionTests(SynchronousTestCase):
    def test_what_is_sent(self) -> None:
        """All that may matter; nothing about the body; and nothing that a client makes up."""
        sent = [
            (b"Cookie", b"a=b"),
            (b"Authorization", b"Bearer x"),
            (b"X-Forwarded-For", b"192.0.2.7"),
        ]
        not_sent = [
            *((b"Content-Type", b"a/b"), (b"Content-Length", b"5"), (b"Expect", b"100-continue")),
            *((b"If-None-Match", b"x"), (b"Range", b"bytes=1-"), (b"X-Request-Id", b"7")),
            *((b"X-Original-URL", b"evil"), (b"x_original_uri", b"evil"), (b"X-User", b"evil")),
            *((b"X-Forwarded-Method", b"evil"), (b"Remote-User", b"evil")),
            *((b"X-Original-Method", b"evil"), (b"X-Forwarded-Uri", b"evil")),
            # The answer would be a 304 or 412, for the client.
            *((b"If-Match", b"x"), (b"If-Modified-Since", b"x"), (b"If-Unmodified-Since", b"x")),
            *((b"If-Range", b"x"), (b"Content-Encoding", b"gzip")),
        ]
        question = service_question(SERVICE, ask(*sent, *not_sent))
        self.assertEqual(
            question.fields,
            [
                *sent,
                (b"X-Forwarded-Method", b"POST"),
                (b"X-Original-Method", b"POST"),
                (b"X-Forwarded-Uri", b"/x?y=1"),
                (b"X-Original-URI", b"/x?y=1"),
                (b"X-Original-URL", b"https://a.example:8080/x?y=1"),
            ],
        )
        self.assertEqual(question.client, b"192.0.2.7")

    def test_a_password_that_the_service_replaces(self) -> None:
        """It is asked by what it is to replace."""
        told = (b"Authorization", b"Bearer x")
        service = replace(SERVICE, fields=(b"authorization",))
        self.assertIn(told, service_question(service, ask(told)).fields)
        access = SiteAccess(service=service)
        self.assertNotIn(told, access.forwarded(ask(told)).headers)

    def test_the_same(self) -> None:
        """Of all that is sent; two fields never look like one."""
        digests = {
            service_question(service, request).digest
            for service, request in (
                (SERVICE, ask()),
                (SERVICE, ask(target=b"/x?y=2")),
                (SERVICE, ask((b"Cookie", b"a=b"))),
                (SERVICE, ask((b"Cookie", b"a=b"), (b"X", b"y"))),
                (SERVICE, ask((b"Cookie", b"a=bX"), (b"y", b""))),
                (replace(SERVICE, url=b"http://other/"), ask()),
                (replace(SERVICE, fields=(b"x-user",)), ask()),
                (replace(SERVICE, cache=1.0), ask()),
            )
        }
        self.assertEqual(len(digests), 8)
        traced = ask((b"traceparent", b"a"), (b"tracestate", b"b"))
        self.assertIn(service_question(SERVICE, traced).digest, digests)
        one, other = (ask((name, b"b")) for name in (b"cookie", b"Cookie"))
        self.assertEqual(*(service_question(SERVICE, each).digest for each in (one, other)))

    def test_names(self) -> None:
        for name in b"X-User", b"Remote_User", b"X-Forwarded-User", b"Authorization":
            self.assertIsNone(field_fault(name))
        for name in (
            b"",
            b"a b",
            b"Host",
            b"Cookie",
            b"connection",
            b"X_Forwarded_For",
            b"X-Request-Id",
        ):
            self.assertIsNotNone(field_fault(name))


class VerdictTests(SynchronousTestCase):
    QUESTION = ServiceQuestion(SERVICE, [], b"")

    def test_let_in(self) -> None:
        """With the fields that are listed, and no others."""
        fields: Headers = [(b"X-User", b"a"), (b"x-user", b"b"), (b"X-Other", b"c")]
        for status in 200, 202, 204, 299:
            self.assertEqual(self.QUESTION.verdict(status, fields, b"x"), LetIn(fields[:2]))

    def test_answered(self) -> None:
        fields: Headers = [(b"Location", b"/sign-in"), (b"Set-Cookie", b"a=b")]
        for status in 301, 302, 303, 307, 401, 403:
            answer = self.QUESTION.verdict(status, [*fields, (b"Content-Length", b"7")], b"x")
            self.assertEqual(answer, LocalAnswer(status, fields, b"x"))

    def test_all_that_leads_elsewhere(self) -> None:
        """From 300 to 399 the answer is the client's."""
        for status in 300, 399:
            self.assertEqual(self.QUESTION.verdict(status, [], b""), LocalAnswer(status, [], b""))

    def test_how_much_an_application_is_told(self) -> None:
        """16,384 bytes of names and values, and not one more."""
        fields: Headers = [(b"X-User", b"a" * 8186), (b"X-User", b"b" * 8186)]
        self.assertEqual(self.QUESTION.verdict(200, fields, b""), LetIn(fields))
        fields.append((b"X-Other", b"not told, so not counted"))
        self.assertEqual(self.QUESTION.verdict(200, fields, b""), LetIn(fields[:2]))
        fields[1] = (b"X-User", b"b" * 8187)
        self.assertIsInstance(self.QUESTION.verdict(200, fields, b""), AccessUnknown)

    def test_not_known(self) -> None:
        for status, fields in (
            *((status, []) for status in (100, 400, 404, 407, 429, 500, 503, 600)),
            (200, [(b"X-User", b"x" * MAX_FIELDS)]),
            (200, [(b"X-User", b"a\x00b")]),
            (401, [(b"a b", b"c")]),
            (302, [(b"Location", b"a\nb")]),
        ):
            verdict = self.QUESTION.verdict(status, fields, b"")
            self.assertIsInstance(verdict, AccessUnknown, (status, fields))

    def test_for_how_long(self) -> None:
        for said, seconds in (
            ([], 10.0),
            ([(b"Vary", b"no-store"), (b"Cache-Control", b"max-age=3")], 3.0),
            ([(b"cache-control", b"private, MAX-AGE=60")], 10.0),
            ([(b"Cache-Control", b"max-age=0")], 0.0),
            ([(b"Cache-Control", b"no-store")], 0.0),
            ([(b"Cache-Control", b"max-age=5"), (b"Cache-Control", b"No-Cache")], 0.0),
            ([(b"Cache-Control", b"max-age=x")], 10.0),
            ([(b"Cache-Control", b"stale-while-revalidate=3")], 10.0),
        ):
            self.assertEqual(self.QUESTION.kept_for(said), seconds, said)


class AccessTests(SynchronousTestCase):
    ACCESS = SiteAccess(service=SERVICE)

    def test_asked(self) -> None:
        request = ask((b"Cookie", b"subproxy_link=x; a=b"))
        question = self.ACCESS.decide(request, WALL)
        assert isinstance(question, ServiceQuestion)
        self.assertEqual(question.fields[0], (b"Cookie", b"a=b"))

    def test_what_the_application_sees(self) -> None:
        """Nothing that a client sends by the names that are listed."""
        request = ask(
            *((b"X-User", b"root"), (b"x_user", b"root"), (b"Remote-User", b"root")),
            *((b"Authorization", b"Bearer x"), (b"X-Users", b"1")),
        )
        for access in self.ACCESS, replace(self.ACCESS, links=LinkKeys(SECRETS)):
            kept = access.forwarded(request).headers[1:]
            self.assertEqual(kept, [(b"Authorization", b"Bearer x"), (b"X-Users", b"1")])

    def test_after_all_others(self) -> None:
        users = SiteUsers(((b"alice", b"A"),))
        access = SiteAccess(links=LinkKeys(SECRETS), users=users, service=SERVICE)
        self.assertIsNone(access.decide(ask((b"Cookie", b"subproxy_link=" + token())), WALL))
        self.assertIsInstance(access.decide(ask(target=b"/?subproxy_link=x"), WALL), LinkRefused)
        basic, bearer = (b"Authorization", b"Basic YTpi"), (b"Authorization", b"Bearer x")
        self.assertIsInstance(access.decide(ask(basic), WALL), PasswordQuestion)
        self.assertIsInstance(access.decide(ask(bearer), WALL), ServiceQuestion)
        self.assertIn(bearer, access.forwarded(ask(bearer)).headers)
        self.assertNotIn(basic, access.forwarded(ask(basic)).headers)
        self.assertIs(replace(access, service=None, links=None).decide(ask(), WALL), CHALLENGE)
