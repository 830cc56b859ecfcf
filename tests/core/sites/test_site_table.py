"""Tests of subproxy.core.sites.site_table."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claims import Claim
from subproxy.core.http.client_authorities import ClientAuthorities
from subproxy.core.http.networks import NetworkSet
from subproxy.core.http.normalise import normalise_path
from subproxy.core.sites import site_table
from subproxy.core.sites.site import Site
from subproxy.core.sites.site_table import MAX_CHAINS, SiteTable

HOSTS = ("a.example", "b.a.example", "*.example", "*.a.example", "*", "example", "[::1]")
PATHS = ("/", "/x", "/x/y", "/x/y/z", "/xy")
ASKED = (
    *(b"a.example", b"b.a.example", b"c.b.a.example", b"example", b"other", b"", b"[::1]", b"a"),
    *(b".example", b".a.example"),
)
AT = (b"/", b"/x", b"/x/", b"/xy", b"/x/y", b"/x/y/z/w", b"/x/yz", b"//x", b"/x//y", b"/w/x")


def site(host: str, path: str = "/", **rules: object) -> Site:
    return Site((Claim(host, path),), rules)


class SiteTableTests(SynchronousTestCase):
    def most(self, table: SiteTable, host: bytes, path: bytes = b"/") -> int | None:
        rules = table.find(host, path)
        return None if rules is None else rules.max_body

    def test_client_authorities(self) -> None:
        """The rule of a host is one for all its paths, and a narrower host has its own."""
        one, other = (ClientAuthorities((), False, each) for each in (b"1", b"2"))
        table = SiteTable(
            [
                site("*.example", client_ca=one),
                site("a.example", client_ca=None),
                site("b.example", client_ca=other),
                site("c.example", "/x", max_body=1),
            ]
        )
        for host, rule in (
            (b"x.example", one),
            (b"a.example", None),
            (b"b.example", other),
            (b"c.example", one),
            (b"example", None),
            (b"", None),
            (b"[::1]", None),
        ):
            self.assertIs(table.client_authorities(host), rule, host)
            for path in AT:
                rules = table.find(host, path)
                self.assertIs(rules.client_ca if rules else None, rule)
        self.assertIsNone(SiteTable([site("*", max_body=1)]).client_authorities(b"a"))

    def test_the_narrowest_decides(self) -> None:
        table = SiteTable(
            [
                site("*", max_body=1),
                site("*.example", max_body=2),
                site("*.a.example", "/x", max_body=3),
                site("b.a.example", max_body=4),
                site("b.a.example", "/x", max_body=5),
            ]
        )
        for host, path, most in (
            (b"other", b"/", 1),
            (b"example", b"/", 1),
            (b"a.example", b"/x", 2),
            (b"c.a.example", b"/x/y", 3),
            (b"c.a.example", b"/xy", 2),
            (b"b.a.example", b"/", 4),
            (b"b.a.example", b"/x", 5),
            (b"b.a.example", b"/x/y", 5),
            (b"", b"/", 1),
        ):
            self.assertEqual(self.most(table, host, path), most, (host, path))

    def test_what_it_does_not_say_a_wider_one_says(self) -> None:
        table = SiteTable(
            [
                site("a.example", "/x", hold=5.0),
                site("a.example", max_body=1, queue_timeout=1.0),
                site("*", max_body=2, response_timeout=9.0),
            ]
        )
        rules = table.find(b"a.example", b"/x")
        assert rules is not None
        self.assertEqual(
            (rules.hold, rules.max_body, rules.queue_timeout, rules.response_timeout),
            (5.0, 1, 1.0, 9.0),
        )
        self.assertEqual(table.longest_hold, 5.0)
        self.assertEqual(table.rules_of(Claim("a.example", "/x")), rules)
        self.assertEqual(table.rules_of(Claim("*", "/")).max_body, 2)

    def test_what_a_narrower_one_lifts(self) -> None:
        table = SiteTable([site("*", strip_prefix=b"/x"), site("a", strip_prefix=None)])
        rules = table.find(b"a", b"/")
        assert rules is not None
        self.assertEqual(rules.asked_each_time, ())
        rules = table.find(b"b", b"/")
        assert rules is not None
        self.assertEqual(rules.asked_each_time, ("strip_prefix",))

    def test_none(self) -> None:
        self.assertIsNone(SiteTable([]).find(b"a", b"/"))
        self.assertIsNone(SiteTable([site("a", "/x")]).find(b"a", b"/"))
        self.assertEqual(SiteTable([]).longest_hold, 0.0)

    def test_an_escaped_slash(self) -> None:
        """Neither hides a path from the networks of its site, nor lends it those of another."""
        table = SiteTable(
            [
                site("a", "/inside", networks=NetworkSet(["10.0.0.0/8"])),
                site("a", "/open", networks=None, hold=7.0),
                site("b", "/x", networks=NetworkSet(["10.0.0.0/8"])),
                site("b", "/x/y", networks=NetworkSet(["10.1.0.0/16", "192.0.2.0/24"])),
                site("c", "/x", hold=1.0),
            ]
        )
        for host, path, inside, outside in (
            (b"a", b"/inside%2Fx", True, False),
            (b"a", b"/inside%5Cx", True, False),
            (b"a", b"/%2Finside/x", True, False),
            (b"a", b"/open/..%2Finside", True, False),
            (b"a", b"/open%2F..%2Finside", True, False),
            (b"a", b"/inside/..%2Fopen", True, False),
            (b"a", b"/open%2Fx", True, True),
            (b"a", b"/insider%2Fx", True, True),
            (b"b", b"/x/z%2Fy", True, False),
            (b"b", b"/x%2Fy", False, False),
            (b"c", b"/x%2Fy", True, True),
        ):
            rules = table.find(host, normalise_path(path))
            networks = None if rules is None else rules.networks
            self.assertEqual(networks is None or b"10.9.9.9" in networks, inside, path)
            self.assertEqual(networks is None or b"198.51.100.1" in networks, outside, path)
        rules = table.find(b"b", b"/x/..%2Fx%2Fy")
        assert rules is not None
        assert rules.networks is not None
        self.assertIn(b"10.1.9.9", rules.networks)
        self.assertNotIn(b"10.9.9.9", rules.networks)
        self.assertNotIn(b"192.0.2.1", rules.networks)
        rules = table.find(b"a", b"/open/..%2Finside")
        assert rules is not None
        self.assertEqual(rules.hold, 7.0)

    @given(st.sets(st.tuples(st.sampled_from(HOSTS), st.sampled_from(PATHS)), max_size=12))
    def test_as_all_claims_one_by_one(self, pairs: set[tuple[str, str]]) -> None:
        sites = [site(host, path) for host, path in sorted(pairs)]
        table = SiteTable(sites)
        for host in ASKED:
            for path in AT:
                expected = sorted(
                    (each for each in sites if each.claims[0].covers(host, path)),
                    key=lambda each: each.claims[0].specificity,
                    reverse=True,
                )
                self.assertEqual(
                    [str(each.claims[0]) for each in table.covering(host, path)],
                    [str(each.claims[0]) for each in expected],
                    (host, path),
                )

    def test_the_same_rules_are_one(self) -> None:
        """However many hosts have them; and what is kept of combinations is bounded."""
        table = SiteTable([site("*", max_body=1), site("a", hold=1.0)])
        self.assertIs(table.find(b"b", b"/"), table.find(b"c", b"/x"))
        self.assertIsNot(table.find(b"a", b"/"), table.find(b"c", b"/x"))
        many = SiteTable([site(f"h{number}") for number in range(MAX_CHAINS + 5)])
        for number in range(MAX_CHAINS + 5):
            self.assertIsNotNone(many.find(b"h%d" % number, b"/"))
            self.assertLessEqual(len(many._chains), MAX_CHAINS)

    def test_what_is_remembered_of_hosts_is_bounded(self) -> None:
        many = SiteTable([site(f"h{number}") for number in range(9)])
        kept = []
        with patch.object(site_table, "MAX_CHAINS", 4):
            for number in range(9):
                self.assertIsNotNone(many.find_host(b"h%d" % number))
                kept.append(len(many._any_path))
        self.assertEqual(kept, [1, 2, 3, 4, 1, 2, 3, 4, 1])

    def test_a_host_with_many_paths(self) -> None:
        """Whoever names such a host has what it costs looked up once for all, and in all sets."""
        table = SiteTable(
            Site(
                (Claim("*.example", f"/{number}"),),
                {"networks": NetworkSet([f"10.{number % 256}.0.0/16", "192.0.2.7"])},
            )
            if number
            else Site((Claim("*.example", "/"),), {})
            for number in range(1500)
        )
        rules = table.find_host(b"a.example")
        assert rules is not None
        assert rules.networks is not None
        self.assertIn(b"192.0.2.7", rules.networks)
        self.assertNotIn(b"10.1.0.1", rules.networks)
        self.assertIs(table.find_host(b"b.example"), rules)
        self.assertIsNone(table.find_host(b"b.other"))

    def test_how_often_it_looks(self) -> None:
        """As often as the host has labels and the paths of sites segments, and no more."""
        many = SiteTable([site(f"h{number}.example", "/x/y") for number in range(1000)])
        found = many._exact[b"h7.example"]
        looks: list[bytes] = []

        class Counting(dict[bytes, Site]):
            def get(self, key: bytes, default: object = None) -> Site | None:  # type: ignore[override]
                looks.append(key)
                return super().get(key)

        found.paths = Counting(found.paths)
        self.assertIsNotNone(many.find(b"h7.example", b"/x/y" + b"/z" * 1000))
        self.assertEqual(looks, [b"/x/y", b"/x", b""])
