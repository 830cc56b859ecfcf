"""Sites that ask for certificates of clients, and guests that are told of TLS: on both paths."""

from __future__ import annotations

from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claims import Claim
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.client_tls import ClientTls
from subproxy.core.http.host_names import HostNames
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_table import SiteTable
from subproxy.fastpath.install import unavailable
from subproxy.wire import messages as m
from tests.fastpath.test_host_scope import SecureHttp2Side
from tests.rigs.fastpath_rig import Pair, response
from tests.rigs.http2_client import GET

RULE = ClientAuthorities((), False, b"1")
SITES = (Site((Claim("a.example", "/"),), {"client_ca": RULE}),)
ASK = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"


def agreed(authorities: ClientAuthorities | None, sites: tuple[Site, ...] = SITES) -> ClientTls:
    """A connection whose handshake went by that rule."""
    names = HostNames([b"a.example", b"b.example"])
    tls = ClientTls(names, b"a.example", authorities, SiteTable(sites).client_authorities)
    tls.agreed(b"1.3", b"http/1.1", b"DER" if authorities else None)
    return tls


class ClientCertificatesTests(SynchronousTestCase):
    def setUp(self) -> None:
        why = unavailable()
        if why is not None:
            raise SkipTest(why)

    def pair(self, tls: ClientTls | None, **options: object) -> Pair:
        pair = Pair(tls=tls, **{"sites": SITES, **options})
        self.addCleanup(pair.close)
        return pair

    def heard(self, pair: Pair, said: bytes = ASK) -> bytes:
        pair.client(said)
        found = pair.last["client"]
        assert isinstance(found, bytes)
        return found

    def test_by_the_rule(self) -> None:
        """It costs nobody the compiled path."""
        pair = self.pair(agreed(RULE))
        self.assertEqual(self.heard(pair), b"")
        pair.guest(response(1))
        self.assertEqual(pair.stats["requests"], 1)

    def test_by_another(self) -> None:
        for rule in (None, ClientAuthorities((), True, b"1"), ClientAuthorities((), False, b"2")):
            self.assertIn(b"421 Misdirected", self.heard(self.pair(agreed(rule))))

    def test_a_host_without_one(self) -> None:
        other = ASK.replace(b"a.e", b"b.e")
        self.assertIn(b"421 Misdirected", self.heard(self.pair(agreed(RULE)), other))

    def test_without_tls(self) -> None:
        self.assertIn(b"403 Forbidden", self.heard(self.pair(None)))

    def test_tls_by_the_word_of_a_proxy(self) -> None:
        """Nobody has looked at a certificate here."""
        pair = self.pair(None, trust=["192.0.2.0/24"])
        said = ASK.replace(b"\r\n\r\n", b"\r\nX-Forwarded-Proto: https\r\n\r\n")
        self.assertIn(b"403 Forbidden", self.heard(pair, said))

    def test_a_rule_that_comes(self) -> None:
        """A connection from before it, on which that host was asked for, is not enough."""
        pair = self.pair(agreed(None, ()), sites=())
        self.assertEqual(self.heard(pair), b"")
        pair.guest(response(1))
        for side in pair.sides:
            side.world.router.set_sites(SiteTable(SITES))
            side.tls._rule = side.world.router.client_authorities  # type: ignore[union-attr]
        self.assertIn(b"421 Misdirected", self.heard(pair))
        self.assertEqual(pair.stats["requests"], 1)

    def test_a_guest_that_is_told(self) -> None:
        """It is told by Python; the same on both sides, and nothing of who came without TLS."""
        pair = self.pair(agreed(None, ()), sites=(), told=[b"sni", b"cert"])
        pair.client(ASK)
        said = pair.last["guest"]
        assert isinstance(said, bytes)
        self.assertIn(b"3:tls,34:3:sni,9:a.example,7:version,3:1.3,}", said)
        self.assertEqual(pair.stats["declined_requests"], 1)
        pair = self.pair(None, sites=(), told=[b"sni"])
        pair.client(ASK)
        self.assertEqual(pair.stats["declined_requests"], 0)

    def test_http2(self) -> None:
        get = [GET[0], (b":scheme", b"https"), *GET[2:]]
        for rule, status, compiled in ((RULE, b"200", 1), (None, b"421", 0)):
            sides = [
                SecureHttp2Side(fast, True, tls=agreed(rule), sites=SITES) for fast in (True, False)
            ]
            for side in sides:
                side.client.request(1, get)
                side.say(side.client.take())
                side.answer(*[m.Response(1, 200, [], {}, b"hello")][: len(side.asked)])
            fast, slow = (side.observed() for side in sides)
            self.assertEqual(fast, slow)
            self.assertEqual(sides[0].client.head(1)[b":status"], status)
            self.assertEqual(sides[0].fastpath.stats()["requests"], compiled)
