"""Tests of subproxy.core.sites.basic_auth, and of who is let in by it."""

from __future__ import annotations

import base64
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.http.request import RequestHead
from subproxy.core.http.upgrade import PASSTHROUGH
from subproxy.core.sites.access_question import LetIn
from subproxy.core.sites.basic_auth import (
    CHALLENGE,
    PasswordQuestion,
    SiteUsers,
    credentials,
)
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site_access import SiteAccess
from subproxy.errors import Forbidden
from tests.rigs.private_site import SECRETS, WALL, token

USERS = SiteUsers(((b"alice", b"A"), (b"bob", b"B")))


def basic(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


def ask(*fields: tuple[bytes, bytes]) -> RequestHead:
    return RequestHead(b"GET", b"/", b"a.example", b"/", [*fields], b"192.0.2.7")


class CredentialsTests(SynchronousTestCase):
    def test_good(self) -> None:
        for text, expected in (
            (b"alice:secret", (b"alice", b"secret")),
            (b"alice:a:b", (b"alice", b"a:b")),
            ("\u00e4:\u00f6".encode(), ("\u00e4".encode(), "\u00f6".encode())),
            (b" a\xff:\x01", (b" a\xff", b"\x01")),
            (b"a:" + b"x" * 72, (b"a", b"x" * 72)),
        ):
            self.assertEqual(credentials([(b"AUTHORIZATION", basic(text))]), expected)
        self.assertEqual(credentials([(b"a", b"bAsIc  YTpi ")]), None)
        self.assertEqual(credentials([(b"Authorization", b"bAsIc  YTpi ")]), (b"a", b"b"))

    def test_none(self) -> None:
        for value in (
            *(b"", b"Basic", b"Basic ", b"Bearer YTpi", b"Basic YTpi!", b"Basic YTp", b"YTpi"),
            *map(basic, (b"alice", b":x", b"alice:", b"a\x1f:x", b"a\x7f:x", b"a:b\0c")),
            basic(b"a:" + b"x" * 73),
        ):
            self.assertIsNone(credentials([(b"Authorization", value)]), value)
        self.assertIsNone(credentials([(b"Authorization", basic(b"a:b"))] * 2))

    @given(st.binary(max_size=60))
    def test_anything(self, said: bytes) -> None:
        for value in said, b"Basic " + said, basic(said):
            credentials([(b"Authorization", value)])


class Name(bytes):
    """Counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Name.compared += 1
        return super().__eq__(other)

    __hash__ = bytes.__hash__


class ManyUsersTests(SynchronousTestCase):
    def test_what_it_costs_to_find_one(self) -> None:
        """The same for the first as for the last and for nobody: each request asks."""
        users = SiteUsers(tuple((b"user%d" % number, b"%d" % number) for number in range(5000)))
        for name, found in (
            (b"user0", (b"0", True)),
            (b"user4999", (b"4999", True)),
            (b"nobody", (b"0", False)),
        ):
            Name.compared = 0
            self.assertEqual(users.hash_of(Name(name)), found)
            self.assertLess(Name.compared, 10)


class UsersTests(SynchronousTestCase):
    ACCESS = SiteAccess(users=USERS)

    def test_who_says_nothing(self) -> None:
        self.assertIs(self.ACCESS.decide(ask(), WALL), CHALLENGE)
        self.assertIs(self.ACCESS.decide(ask((b"Authorization", b"Bearer x")), WALL), CHALLENGE)

    def test_who_says_something(self) -> None:
        """It is to be checked; of who is not known as long as of who is."""
        question = self.ACCESS.decide(ask((b"Authorization", basic(b"bob:x"))), WALL)
        self.assertEqual(question, PasswordQuestion(USERS, b"bob", b"x", b"192.0.2.7"))
        assert isinstance(question, PasswordQuestion)
        self.assertEqual(question.verdict(True), LetIn([(b"X-Forwarded-User", b"bob")]))
        self.assertIs(question.verdict(False), CHALLENGE)
        self.assertEqual(USERS.hash_of(b"bob"), (b"B", True))
        self.assertEqual(USERS.hash_of(b"eve"), (b"A", False))
        self.assertNotIn("'x'", repr(question))

    def test_what_the_application_sees(self) -> None:
        """Neither the password, nor who a client says that he is, however it is spelt."""
        request = ask(
            (b"Host", b"a.example"),
            (b"Authorization", basic(b"bob:x")),
            (b"x-forwarded-user", b"root"),
            (b"X_Forwarded_User", b"root"),
            (b"X-Other", b"1"),
        )
        headers = self.ACCESS.forwarded(request).headers
        self.assertEqual(headers, [(b"Host", b"a.example"), (b"X-Other", b"1")])

    def test_a_link_as_well(self) -> None:
        """Either lets in; a link that is no good is told."""
        access = replace(self.ACCESS, links=LinkKeys(SECRETS))
        self.assertIsNone(access.decide(ask((b"Cookie", b"subproxy_link=" + token())), WALL))
        self.assertIs(access.decide(ask((b"Cookie", b"subproxy_link=x.y")), WALL), CHALLENGE)
        question = access.decide(ask((b"Authorization", basic(b"bob:x"))), WALL)
        self.assertIsInstance(question, PasswordQuestion)

    def test_tls_that_is_passed_through(self) -> None:
        """Nothing that could let it in is seen."""
        request = replace(ask(), upgrade=PASSTHROUGH)
        for access in self.ACCESS, SiteAccess(links=LinkKeys(SECRETS)):
            self.assertIs(type(access.decide(request, WALL)), Forbidden)
