"""Tests of subproxy.core.sites.unserved."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claims import Claim
from subproxy.core.access.policy import Policy, parse_policy
from subproxy.core.sites.redirect import redirect
from subproxy.core.sites.site import Site
from subproxy.core.sites.unserved import unserved


def site(*hosts: str, **rules: object) -> Site:
    return Site(tuple(Claim(host, "/x") for host in hosts), rules)


class UnservedTests(SynchronousTestCase):
    def found(self, policy: str, *sites: Site) -> list[tuple[int, str]]:
        return list(unserved(sites, parse_policy(policy)))

    def test_hosts_that_nobody_may_claim(self) -> None:
        policy = '[[guest]]\nidentity = "a"\nhosts = ["a.example", "*.b.example"]'
        self.assertEqual(
            self.found(
                policy,
                site("a.example", "c.example", "b.example"),
                site("x.b.example", "*.b.example", "*.x.b.example", "*.example", "*"),
                site("*.c.example", "*.a.example"),
                site("d.example", redirect=redirect("https://a.example/", 308)),
                site("e.example"),
            ),
            [
                *((0, "c.example"), (0, "b.example"), (2, "*.c.example"), (2, "*.a.example")),
                (4, "e.example"),
            ],
        )

    def test_where_anybody_may(self) -> None:
        self.assertEqual(list(unserved([site("x")], Policy())), [])
        self.assertEqual(self.found('[[guest]]\nidentity = "a"\nhosts = "*"', site("x", "*.y")), [])
        self.assertEqual(self.found("guest = []", site("x")), [(0, "x")])

    def test_once_a_host(self) -> None:
        both = Site((Claim("x", "/"), Claim("x", "/y"), Claim("z", "/")), {})
        self.assertEqual(self.found("guest = []", both), [(0, "x"), (0, "z")])
