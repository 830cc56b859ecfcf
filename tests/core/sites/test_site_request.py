"""Tests of subproxy.core.sites.site_request and of what SiteRules answer."""

from __future__ import annotations

from dataclasses import fields, replace

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.balancing.admission import USUAL
from subproxy.core.balancing.member import Member, Pool
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.core.http.networks import NetworkSet
from subproxy.core.http.request import RequestHead
from subproxy.core.http.upgrade import PASSTHROUGH, Upgrade
from subproxy.core.routing.route import Route
from subproxy.core.sites.affinity import CookieAffinity, HeaderAffinity
from subproxy.core.sites.client_limits import ClientLimits, ConnectionLimit, RateLimit
from subproxy.core.sites.header_rules import header_rules
from subproxy.core.sites.local_answer import LocalAnswer
from subproxy.core.sites.origins import Origins
from subproxy.core.sites.redirect import redirect
from subproxy.core.sites.signed_links import LinkKeys
from subproxy.core.sites.site_access import SiteAccess
from subproxy.core.sites.site_request import STARTING_PAGE_AFTER, SiteRequest
from subproxy.core.sites.site_rules import AT_ONCE, EACH_TIME, SiteRules
from subproxy.errors import BadRequest, ClientError, Forbidden, TooManyRequests
from tests.rigs.private_site import SECRETS, WALL, token


def head(
    client: bytes = b"192.0.2.7",
    target: bytes = b"/api/x?q",
    length: int | None = 0,
    host: bytes = b"a.example",
) -> RequestHead:
    fields = [(b"Host", b"A.example:80"), (b"X-A", b"1"), (b"X-Forwarded-Host", b"A.example:80")]
    return RequestHead(
        b"GET", target, host, target.partition(b"?")[0], fields, client, length=length
    )


class StartingPageTests(SynchronousTestCase):
    def test_browsers_alone(self) -> None:
        """They wait for a moment, whatever else is said of waiting."""
        browser = head()
        browser.headers += [(b"Accept", b"text/html"), (b"Sec-Fetch-Mode", b"navigate")]
        for rules, request, told_after in (
            (SiteRules(starting_page=True), browser, STARTING_PAGE_AFTER),
            (
                SiteRules(starting_page=True, hold=7.0, wake=frozenset()),
                browser,
                STARTING_PAGE_AFTER,
            ),
            (SiteRules(starting_page=True), head(), None),
            (SiteRules(), browser, None),
        ):
            terms = SiteRequest(rules, request).terms(None, ())
            self.assertEqual((terms.told_after, terms.vacant), (told_after, rules.hold))
            self.assertEqual(terms.wake, rules.wake is None)


class TrailersTests(SynchronousTestCase):
    def test_what_is_removed_or_set(self) -> None:
        rules = SiteRules(
            request_headers=header_rules(["x-a"], [("X-B", "2")], [], of_request=True)
        )
        sent = [(b"X-A", b"1"), (b"x_b", b"1"), (b"X-Sum", b"1")]
        self.assertEqual(SiteRequest(rules, head()).trailers(sent), sent[2:])
        self.assertEqual(SiteRequest(SiteRules(), head()).trailers(sent), sent)


class AdmitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clients = ClientLimits()

    def admit(self, rules: SiteRules, request: RequestHead, now: float = 0.0) -> object:
        self.last = SiteRequest(rules, request)
        return self.last.admit(self.clients, now, WALL)

    def test_nothing_is_said(self) -> None:
        request = head()
        self.assertIsNone(self.admit(SiteRules(), request))
        self.assertIs(self.last.forwarded, request)

    def test_networks(self) -> None:
        rules = SiteRules(networks=NetworkSet(["192.0.2.0/24", "2001:db8::/32"]))
        for client in b"192.0.2.9", b"2001:db8::5", b"::ffff:192.0.2.1":
            self.assertIsNone(self.admit(rules, head(client)))
        for client in b"198.51.100.1", b"2001:db9::", b"unix", b"_hidden", b"":
            self.assertIsInstance(self.admit(rules, head(client)), Forbidden)

    def test_access_comes_first(self) -> None:
        """Who may not ask learns nothing of where it leads, and is not counted."""
        rules = SiteRules(
            networks=NetworkSet(["192.0.2.0/24"]),
            redirect=redirect("https://b.example/", 308),
            max_body=1,
            rate=RateLimit("s", 1.0, 1),
            connections=ConnectionLimit("s", 1),
        )
        self.assertIsInstance(self.admit(rules, head(b"198.51.100.1", length=5)), Forbidden)
        self.assertEqual((self.clients.known, self.clients.under_way), (0, 0))

    def test_redirect(self) -> None:
        answer = self.admit(SiteRules(redirect=redirect("https://b.example{uri}", 301)), head())
        self.assertEqual(answer, LocalAnswer(301, [(b"Location", b"https://b.example/api/x?q")]))
        rules = SiteRules(redirect=redirect("https://{host}{uri}", 301))
        self.assertIsInstance(self.admit(rules, head(host=b"")), BadRequest)
        # One that leads to a certain host asks for none.
        certain = SiteRules(redirect=redirect("https://b.example/", 301))
        self.assertIsInstance(self.admit(certain, head(host=b"")), LocalAnswer)
        protected = head()
        protected.scheme = b"https"
        self.assertIsNone(self.admit(rules, protected))

    def test_origins(self) -> None:
        """Of WebSockets, whose pages are elsewhere."""
        rules = SiteRules(origins=Origins(["https://b.example"]))
        for origin, answer in ((b"https://b.example", type(None)), (b"https://evil", Forbidden)):
            request = head()
            request.headers.append((b"Origin", origin))
            request.upgrade = Upgrade((b"websocket",))
            self.assertIsInstance(self.admit(rules, request), answer)

    def test_upgrades(self) -> None:
        """A site may permit fewer; a request for none of them goes on as one for none."""
        asked = Upgrade((b"echo/1", b"websocket"))
        for rules, upgrade, seen in (
            (SiteRules(upgrade=frozenset([b"websocket"])), asked, Upgrade((b"websocket",))),
            (SiteRules(upgrade=frozenset()), asked, None),
            (SiteRules(upgrade=frozenset()), None, None),
            (SiteRules(), asked, asked),
        ):
            request = replace(head(), upgrade=upgrade)
            self.assertIsNone(self.admit(rules, request))
            self.assertEqual(self.last.forwarded, replace(request, upgrade=seen))
            if seen is upgrade:
                self.assertIs(self.last.forwarded, request)

    def test_a_token_of_a_link_is_not_logged(self) -> None:
        """Nor forwarded."""
        rules = SiteRules(access=SiteAccess(links=LinkKeys(SECRETS), paths=(b"",)))
        request = head(target=b"/api/x?subproxy_link=" + token() + b"&y=1")
        self.assertIsInstance(self.admit(rules, request), LocalAnswer)
        self.assertEqual(self.last.request.target, b"/api/x?y=1")

    def test_max_body(self) -> None:
        rules = SiteRules(max_body=10)
        for length in 0, 10, None:
            self.assertIsNone(self.admit(rules, head(length=length)))
        error = self.admit(rules, head(length=11))
        assert isinstance(error, ClientError)
        self.assertEqual(error.status, 413)
        self.assertIsNone(self.admit(SiteRules(max_body=0), head(length=1 << 40)))

    def test_rate(self) -> None:
        rules = SiteRules(rate=RateLimit("s", 0.1, 2))
        self.assertIsNone(self.admit(rules, head()))
        self.assertIsNone(self.admit(rules, head()))
        error = self.admit(rules, head())
        assert isinstance(error, TooManyRequests)
        self.assertEqual((error.status, error.retry_after), (429, 10))
        self.assertIsNone(self.admit(rules, head(b"192.0.2.8")))
        error = self.admit(rules, head(), 9.5)
        assert isinstance(error, TooManyRequests)
        self.assertEqual(error.retry_after, 1)
        self.assertIsNone(self.admit(rules, head(), 10.0))

    def test_connections(self) -> None:
        rules = SiteRules(connections=ConnectionLimit("s", 1))
        self.assertIsNone(self.admit(rules, head(b"2001:db8::1")))
        first = self.last
        error = self.admit(rules, head(b"2001:db8::2"))
        assert isinstance(error, TooManyRequests)
        self.assertEqual(error.retry_after, 1)
        self.last.release()
        first.release()
        first.release()
        self.assertEqual(self.clients.under_way, 0)
        self.assertIsNone(self.admit(rules, head(b"2001:db8::2")))

    def test_who_asks_too_often_is_not_under_way(self) -> None:
        rules = SiteRules(connections=ConnectionLimit("s", 9), rate=RateLimit("s", 1.0, 1))
        self.assertIsNone(self.admit(rules, head()))
        self.assertIsInstance(self.admit(rules, head()), TooManyRequests)
        self.assertEqual(self.clients.under_way, 1)

    def test_what_a_guest_sees(self) -> None:
        request = head()
        before = list(request.headers)
        rules = SiteRules(
            strip_prefix=b"/api",
            host=b"internal:81",
            request_headers=header_rules(["x-a"], [("X-B", "2")], [], of_request=True),
        )
        self.assertIsNone(self.admit(rules, request))
        seen = self.last.forwarded
        self.assertEqual((seen.target, seen.host, seen.path), (b"/x?q", b"a.example", b"/api/x"))
        self.assertEqual(
            seen.headers,
            [
                (b"Host", b"internal:81"),
                (b"X-Forwarded-Host", b"A.example:80"),
                (b"X-Forwarded-Prefix", b"/api"),
                (b"X-B", b"2"),
            ],
        )
        self.assertEqual((request.target, request.headers), (b"/api/x?q", before))

    def test_one_rule_alone(self) -> None:
        """What the others would change stays as it is."""
        rules = header_rules([], [("X-B", "2")], [], of_request=True)
        self.assertIsNone(self.admit(SiteRules(request_headers=rules), head()))
        self.assertEqual(self.last.forwarded.headers, [*head().headers, (b"X-B", b"2")])
        # Of a request that asks for no other protocol.
        self.assertIsNone(self.admit(SiteRules(host=b"b", upgrade=frozenset()), head()))
        self.assertEqual(self.last.forwarded.headers, [(b"Host", b"b"), *head().headers[1:]])

    def test_where_the_prefix_is_not(self) -> None:
        request = head(target=b"/other")
        self.assertIsNone(self.admit(SiteRules(strip_prefix=b"/api"), request))
        self.assertIs(self.last.forwarded, request)


class AnswerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = Pool(Route(b"a", b"/"), now=0.0)
        self.member = Member("cid:1", b"app", b"i", now=0.0)
        self.pool.members = [self.member, Member("cid:2", b"app", b"i", now=0.0)]

    def test_fields(self) -> None:
        """Those of the rule, then the cookie, which no rule takes away."""
        rules = SiteRules(
            response_headers=header_rules(["set-cookie"], [("X", "1")], [], of_request=False),
            sticky=CookieAffinity(b"sid"),
        )
        site = SiteRequest(rules, head())
        told = site.answered([(b"Set-Cookie", b"a=b")], self.pool, self.member)
        self.assertEqual([name for name, _ in told], [b"X", b"Set-Cookie"])
        self.assertTrue(told[1][1].startswith(b"sid_"))
        self.assertEqual(site.answered([], None, None), [(b"X", b"1")])
        # An answer of our own: nobody has given it.
        self.assertEqual(site.answered([], self.pool, None), [(b"X", b"1")])

    def test_terms(self) -> None:
        site = SiteRequest(SiteRules(queue_timeout=1.0, hold=2.0), head())
        terms = site.terms(self.pool, [])
        self.assertEqual((terms.member, terms.busy, terms.vacant), (None, 1.0, 2.0))
        site = SiteRequest(SiteRules(sticky=HeaderAffinity(b"x-a")), head())
        member = site.terms(self.pool, []).member
        assert member is not None
        self.assertIsNone(site.terms(self.pool, [member]).member)
        self.assertIsNone(site.terms(None, []).member)
        self.pool.members = []
        self.assertIs(site.terms(self.pool, []), USUAL)


class RulesTests(SynchronousTestCase):
    def test_https(self) -> None:
        """Who comes by http is sent on, whatever it asks for; but for challenges."""
        rules, other = SiteRules(https=443), SiteRules(https=8443)
        asked = head()
        answer = rules.answer(asked)
        assert isinstance(answer, LocalAnswer)
        where = b"https://" + asked.host
        self.assertEqual(
            (answer.status, answer.headers), (308, [(b"Location", where + asked.target)])
        )
        answer = other.answer(asked)
        assert isinstance(answer, LocalAnswer)
        self.assertEqual(answer.headers, [(b"Location", where + b":8443" + asked.target)])
        self.assertIsNone(rules.answer(replace(asked, scheme=b"https")))
        path = b"/.well-known/acme-challenge/x"
        self.assertIsNone(rules.answer(replace(asked, target=path, path=path)))
        self.assertIsInstance(rules.answer(replace(asked, host=b"")), BadRequest)
        both = SiteRules(https=443, redirect=redirect("https://www.x{uri}", 307))
        self.assertEqual(both.answer(asked), rules.answer(asked))
        for only, found in (
            (rules, True),
            (both, False),
            (SiteRules(https=443, redirect=redirect("https://{host}{uri}", 307)), True),
            (SiteRules(https=443, host=b"x"), False),
            (SiteRules(), False),
        ):
            self.assertIs(only.only_to_https, found)

    def test_hsts(self) -> None:
        """One field, the operator's, and none over http."""
        rules = SiteRules(hsts=b"max-age=5")
        own = [(b"strict-Transport-security", b"max-age=1"), (b"A", b"b")]
        secure = SiteRequest(rules, replace(head(), scheme=b"https"))
        told = (b"Strict-Transport-Security", b"max-age=5")
        self.assertEqual(secure.answered(own, None, None), [(b"A", b"b"), told])
        self.assertEqual(SiteRequest(rules, head()).answered(own, None, None), own)
        none = SiteRequest(SiteRules(), replace(head(), scheme=b"https"))
        self.assertEqual(none.answered(own, None, None), own)

    def test_client_ca(self) -> None:
        """Who came without TLS has shown nothing; who is only sent on need not."""
        tls = ClientTls(HostNames([]), None)
        for optional, refused in ((False, True), (True, False)):
            rules = SiteRules(client_ca=ClientAuthorities((), optional, b""))
            self.assertEqual(isinstance(rules.answer(head()), Forbidden), refused)
            self.assertIsNone(rules.answer(replace(head(), tls=tls)))
            # The handshake of this one was a guest's.
            passed = replace(head(), tls=tls, upgrade=PASSTHROUGH)
            self.assertEqual(isinstance(rules.answer(passed), Forbidden), refused)
        rules = SiteRules(client_ca=ClientAuthorities((), False, b""), redirect=redirect("/x", 307))
        self.assertIsInstance(rules.answer(head()), LocalAnswer)

    def test_every_rule_is_one_or_the_other(self) -> None:
        names = {each.name for each in fields(SiteRules) if each.init}
        self.assertEqual({*AT_ONCE, *EACH_TIME}, names)
        self.assertEqual(SiteRules(max_body=1, hold=1.0).asked_each_time, ())
        self.assertEqual(SiteRules(host=b"a", hold=1.0).asked_each_time, ("host",))
