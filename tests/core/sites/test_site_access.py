"""Tests of subproxy.core.sites.site_access, and of which sites are private."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claims import Claim
from subproxy.core.http.request import Headers, RequestHead
from subproxy.core.http.upgrade import Upgrade
from subproxy.core.sites.basic_auth import CHALLENGE, SiteUsers
from subproxy.core.sites.forward_auth import AuthService
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_access import NOBODY, PUBLIC, SiteAccess
from subproxy.core.sites.site_table import SiteTable
from subproxy.errors import Forbidden, LinkRefused
from tests.rigs.private_site import SECRETS, WALL, token

LINKS = SiteAccess(links=LinkKeys(SECRETS), paths=(b"",))
USERS = SiteAccess(users=SiteUsers(((b"alice", b"A"),)))
SERVICE = SiteAccess(service=AuthService(b"http://127.0.0.1/", fields=(b"remote-user",)))


def ask(target: bytes = b"/docs/x", cookies: bytes = b"", method: bytes = b"GET") -> RequestHead:
    fields: Headers = [(b"Host", b"a.example"), (b"X-A", b"1")]
    if cookies:
        fields.append((b"Cookie", cookies))
    path = target.partition(b"?")[0]
    return RequestHead(method, target, b"a.example", path, fields, b"192.0.2.7")


def with_token(told: bytes, target: bytes = b"/docs/x?y=1") -> bytes:
    return target + (b"&" if b"?" in target else b"?") + b"subproxy_link=" + told


class LinksTests(SynchronousTestCase):
    def assert_refused(self, request: RequestHead, access: SiteAccess = LINKS) -> None:
        self.assertIsInstance(access.decide(request, WALL), LinkRefused)

    def test_without_one(self) -> None:
        for cookies in b"", b"a=b", b"subproxy_link=", b"subproxy_link=x.y", b"link=" + token():
            self.assert_refused(ask(cookies=cookies))

    def test_the_first_visit(self) -> None:
        """A cookie for as long as the link lives, and the same address without its token."""
        good = token("/docs")
        answer = LINKS.decide(ask(with_token(good)), WALL + 0.5)
        self.assertEqual(
            answer,
            LocalAnswer(
                303,
                [
                    (b"Location", b"/docs/x?y=1"),
                    (
                        b"Set-Cookie",
                        b"subproxy_link=%b; Path=/docs; Max-Age=3599; HttpOnly; SameSite=Lax"
                        % good,
                    ),
                    (b"Cache-Control", b"no-store"),
                    (b"Referrer-Policy", b"no-referrer"),
                ],
            ),
        )
        protected = replace(ask(with_token(good)), scheme=b"https")
        answer = LINKS.decide(protected, WALL)
        assert isinstance(answer, LocalAnswer)
        self.assertTrue(dict(answer.headers)[b"Set-Cookie"].endswith(b"; SameSite=Lax; Secure"))
        for method, status in ((b"HEAD", 303), (b"POST", 307), (b"DELETE", 307)):
            answer = LINKS.decide(ask(with_token(good), method=method), WALL)
            assert isinstance(answer, LocalAnswer)
            self.assertEqual(answer.status, status)

    def test_it_leads_to_no_other_host(self) -> None:
        """And to the same path, whatever that begins with."""
        for target, location in (
            (b"//evil.example/x", b"/evil.example/x"),
            (b"///evil.example", b"/evil.example"),
            (b"/X/evil.example", b"/X/evil.example"),
        ):
            answer = LINKS.decide(ask(with_token(token(), target)), WALL)
            assert isinstance(answer, LocalAnswer)
            self.assertEqual(answer.headers[0], (b"Location", location))

    def test_the_next_visits(self) -> None:
        good = b"subproxy_link=" + token("/docs")
        for cookies in good, b"a=b; " + good + b"; c=d", b"subproxy_link=old.one; " + good:
            self.assertIsNone(LINKS.decide(ask(cookies=cookies), WALL))
        self.assertIsInstance(LINKS.decide(ask(cookies=good), WALL + 3600), LinkRefused)

    def test_not_for_this(self) -> None:
        """Another path, another host, too late, revoked: in the address and in a cookie."""
        revoked = SiteAccess(links=LinkKeys(SECRETS, frozenset(["5f3a91c20b7d"])))
        for told, access in (
            (token("/other"), LINKS),
            (token("/docs/x/y"), LINKS),
            (token(host="b.example"), LINKS),
            (token(expires=0), LINKS),
            (token(expires=-5), LINKS),
            (token(secrets=("no" * 20,)), LINKS),
            (token(), revoked),
            (token(), NOBODY),
        ):
            for request in ask(with_token(told)), ask(cookies=b"subproxy_link=" + told):
                self.assertIsInstance(access.decide(request, WALL), Forbidden)

    def test_a_bad_one_in_the_address_counts(self) -> None:
        """Whoever follows a link that has expired is told so."""
        self.assert_refused(ask(with_token(b"x.y"), b"subproxy_link=" + token()))

    def test_a_web_socket(self) -> None:
        """Its client follows no redirect: the token lets it in at once."""
        upgrade = Upgrade((b"websocket",))
        request = replace(ask(with_token(token())), upgrade=upgrade)
        self.assertIsNone(LINKS.decide(request, WALL))
        self.assertEqual(LINKS.forwarded(request).target, b"/docs/x?y=1")
        self.assert_refused(replace(ask(with_token(b"x.y")), upgrade=upgrade))
        self.assert_refused(replace(ask(), upgrade=upgrade))
        good = replace(ask(cookies=b"subproxy_link=" + token()), upgrade=upgrade)
        self.assertIsNone(LINKS.decide(good, WALL))

    def test_where_the_cookie_goes(self) -> None:
        """To what is below the path of the link and of the site: never to what is public above."""
        for paths, link, asked, to in (
            ((b"",), "/", b"/docs/x", b"/"),
            ((b"",), "/docs/x", b"/docs/x", b"/docs/x"),
            ((b"/docs",), "/", b"/docs/x", b"/docs"),
            ((b"/docs",), "/docs/x", b"/docs/x", b"/docs/x"),
            ((b"/docs", b"/docs/x", b"/other"), "/", b"/docs/x", b"/docs/x"),
            ((b"/docs", b"/doc"), "/", b"/docs", b"/docs"),
            ((b"/docs", b"/another/one"), "/", b"/docs/x", b"/docs"),
        ):
            access = SiteAccess(links=LinkKeys(SECRETS), paths=paths)
            answer = access.decide(ask(with_token(token(link), asked)), WALL)
            assert isinstance(answer, LocalAnswer)
            self.assertIn(b"; Path=" + to + b"; ", dict(answer.headers)[b"Set-Cookie"])

    def test_what_the_application_and_the_log_have(self) -> None:
        request = ask(with_token(token()), b"a=b; subproxy_link=" + token())
        logged, forwarded = LINKS.logged(request), LINKS.forwarded(request)
        self.assertEqual((logged.target, logged.headers), (b"/docs/x?y=1", request.headers))
        self.assertEqual(forwarded.target, b"/docs/x?y=1")
        self.assertEqual(forwarded.headers, [*request.headers[:2], (b"Cookie", b"a=b")])
        plain = ask(cookies=b"a=b")
        self.assertIs(LINKS.forwarded(plain), plain)


class NarrowerTests(SynchronousTestCase):
    """What lets a client in to a site is not told to applications of narrower ones."""

    def narrow(self, wide: SiteAccess, own: SiteAccess | None) -> SiteAccess:
        table = SiteTable([site("a.example", access=wide), site("a.example", "/in", access=own)])
        rules = table.find(b"a.example", b"/in/x")
        assert rules is not None
        assert rules.access is not None
        return rules.access

    def test_a_token_in_the_address(self) -> None:
        """It goes from there before a page of this address could tell it to others."""
        for wide, own in (
            (LINKS, None),
            (LINKS, USERS),
            (LINKS, SERVICE),
            (LINKS, SiteAccess(users=USERS.users, service=SERVICE.service)),
        ):
            access = self.narrow(wide, own)
            for method, status in ((b"GET", 303), (b"POST", 307)):
                request = ask(with_token(token(), b"//in/x?y=1"), method=method)
                answer = access.decide(request, WALL)
                assert isinstance(answer, LocalAnswer)
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.headers[0], (b"Location", b"/in/x?y=1"))
                self.assertNotIn(b"Set-Cookie", dict(answer.headers))
                self.assertEqual(access.logged(request).target, b"//in/x?y=1")
            upgrade = Upgrade((b"websocket",))
            request = replace(ask(with_token(token(), b"/in/x")), upgrade=upgrade)
            if own is None:
                self.assertIsNone(access.decide(request, WALL))
            self.assertEqual(access.forwarded(request).target, b"/in/x")

    def test_a_password(self) -> None:
        """Browsers send it to what is below, too. Another one is the application's."""
        for own in None, LINKS, SERVICE:
            access = self.narrow(USERS, own)
            for value, left in (
                (b"Basic YWxpY2U6c2VjcmV0", False),
                (b"basic YWxpY2U6b3RoZXI=", False),
                (b"Basic Ym9iOnNlY3JldA==", True),
                (b"Bearer YWxpY2U6c2VjcmV0", True),
            ):
                request = ask(b"/in/x")
                request.headers.append((b"authorization", value))
                names = dict(access.forwarded(request).headers)
                self.assertEqual(b"authorization" in names, left, value)

    def test_what_a_service_says(self) -> None:
        """No client says it, whoever lets it in."""
        for own in None, LINKS, USERS:
            access = self.narrow(SERVICE, own)
            request = ask(b"/in/x")
            request.headers += [(b"Remote_User", b"evil"), (b"REMOTE-USER", b"evil")]
            self.assertEqual(access.forwarded(request).headers, request.headers[:2])

    def test_what_two_services_say(self) -> None:
        """Neither is said by a client, in fields or trailers, also with a wider site's password."""
        own = SiteAccess(service=AuthService(b"http://127.0.0.1/", fields=(b"x-group",)))
        access = self.narrow(SERVICE, own)
        said = [(b"Remote-User", b"evil"), (b"X_Group", b"evil")]
        request = ask(b"/in/x")
        request.headers += said
        self.assertEqual(access.forwarded(request).headers, request.headers[:2])
        self.assertEqual(access.trailers(said), [])
        request.headers.append((b"Authorization", b"Basic YWxpY2U6c2VjcmV0"))
        left = self.narrow(USERS, own).forwarded(request).headers
        self.assertEqual(left, request.headers[:3])

    def test_a_token_where_there_are_users(self) -> None:
        """It is for a service that is asked; where there is none it goes no further."""
        request = ask()
        request.headers.append((b"Authorization", b"Bearer x"))
        for service, left in ((SERVICE.service, True), (None, False)):
            access = SiteAccess(users=USERS.users, links=LINKS.links, service=service)
            names = dict(access.forwarded(request).headers)
            self.assertEqual(b"Authorization" in names, left)

    def test_trailers(self) -> None:
        told = [(b"remote_user", b"evil"), (b"X-Sum", b"1"), (b"Remote-User", b"evil")]
        for access in SERVICE, self.narrow(SERVICE, None):
            self.assertEqual(access.trailers(told), [(b"X-Sum", b"1")])
        self.assertEqual(LINKS.trailers(told), told)

    def test_who_is_let_in(self) -> None:
        """As if there was no wider site."""
        self.assertIsNone(self.narrow(USERS, None).decide(ask(b"/in/x"), WALL))
        self.assertIs(self.narrow(LINKS, USERS).decide(ask(b"/in/x"), WALL), CHALLENGE)
        for access in self.narrow(USERS, LINKS), self.narrow(SERVICE, LINKS):
            self.assertIsInstance(access.decide(ask(b"/in/x"), WALL), LinkRefused)

    def test_of_a_wildcard_above_a_host_of_which_nothing_is_said(self) -> None:
        """What lets in there does so for the whole host, so it comes to the narrower site."""
        table = SiteTable(
            [
                site("*.example", access=SERVICE),
                site("a.example", max_body=1),
                site("a.example", "/in", access=USERS),
            ]
        )
        rules = table.find(b"a.example", b"/in")
        assert rules is not None
        assert rules.access is not None
        self.assertEqual(rules.access.wider, (SERVICE,))

    def test_of_another_host(self) -> None:
        """What is behind a site for a whole host is not asked of its clients."""
        table = SiteTable(
            [
                site("*.example", access=SERVICE),
                site("a.example", access=LINKS),
                site("b.example", access=None),
                site("a.example", "/in", access=USERS),
            ]
        )
        for host, path, access in (
            (b"a.example", b"/", LINKS),
            (b"a.example", b"/in", USERS),
            (b"b.example", b"/", None),
        ):
            rules = table.find(host, path)
            assert rules is not None
            self.assertIs(rules.access, access)


def site(host: str, path: str = "/", **rules: object) -> Site:
    return Site((Claim(host, path),), rules)


class TableTests(SynchronousTestCase):
    def access(self, table: SiteTable, path: bytes, host: bytes = b"a.example") -> object:
        rules = table.find(host, path)
        return None if rules is None else rules.access

    def test_a_public_path_below(self) -> None:
        """The cookie comes there, and is not for the application: it is no longer compiled."""
        table = SiteTable(
            [
                site("a.example", access=LINKS, max_body=1),
                site("a.example", "/pub", access=None),
                site("a.example", "/pub/x", max_body=2),
                site("a.example", "/pub/x/in", access=LINKS),
            ]
        )
        for path, expected in ((b"/", LINKS), (b"/pub", PUBLIC), (b"/pub/x", PUBLIC)):
            self.assertIs(self.access(table, path), expected, path)
        self.assertIs(self.access(table, b"/pub/x/in/y"), LINKS)
        rules = table.find(b"a.example", b"/pub")
        assert rules is not None
        self.assertEqual(rules.asked_each_time, ("access",))
        request = ask(b"/pub", b"a=b; subproxy_link=x")
        self.assertIsNone(PUBLIC.decide(request, WALL))
        self.assertEqual(PUBLIC.forwarded(request).headers[-1], (b"Cookie", b"a=b"))

    def test_public_where_no_cookie_comes(self) -> None:
        """Beside a private path, and a host that is public as a whole: they stay compiled."""
        table = SiteTable(
            [
                site("*.example", access=LINKS),
                site("a.example", access=None),
                site("a.example", "/in", access=LINKS),
                site("b.example", "/pub", access=None),
                site("c.example", "/in", access=SiteAccess()),
                site("c.example", "/in/pub", access=None),
                site("c.test", "/in", access=SiteAccess()),
                site("c.test", "/in/pub", access=None),
            ]
        )
        for path in b"/", b"/x", b"/inn":
            self.assertIsNone(self.access(table, path))
        self.assertIs(self.access(table, b"/in/x"), LINKS)
        self.assertIs(self.access(table, b"/pub", b"b.example"), PUBLIC)
        self.assertIs(self.access(table, b"/x", b"b.example"), LINKS)
        # A cookie of what is above comes there.
        self.assertIs(self.access(table, b"/in/pub", b"c.example"), PUBLIC)
        self.assertIsNone(self.access(table, b"/in/pub", b"c.test"))

    def test_an_escaped_slash(self) -> None:
        """Who is let in is let in by either reading."""
        other = SiteAccess(links=LinkKeys(SECRETS[:1]))
        table = SiteTable(
            [
                site("a.example", "/in", access=LINKS),
                site("a.example", "/in/pub", access=None),
                site("a.example", "/other", access=other),
                site("a.example", "/max", max_body=1),
            ]
        )
        for path, expected in (
            (b"/in%2Fx", LINKS),
            (b"/in%5Cx", LINKS),
            (b"/max/..%2Fin/x", LINKS),
            (b"/in/x%2Fy", LINKS),
            (b"/in/..%2Fother", NOBODY),
            (b"/in/pub%2F..%2Fx", LINKS),
            (b"/in/x%2F..%2F..%2Fpub", LINKS),
            (b"/in/x%2F..%2Fpub", LINKS),
            (b"/in/pub/y%2F..%2F..%2Fx", LINKS),
            (b"/other%2Fx", other),
            (b"/max%2Fx", None),
        ):
            self.assertEqual(self.access(table, path), expected, path)
