"""Whose a route is, by an index of claims."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claim_index import ClaimIndex
from subproxy.core.access.claims import Claim
from subproxy.core.routing.route import Route

HOSTS = ("a.example", "b.a.example", "*.a.example", "*.example", "*")
PATTERNS = (rb"a\.example", rb"b\.a\.example", rb".*\.a\.example", rb"[^.]+\.example", rb".*")
PATHS = ("/", "/x", "/x/y")


class ClaimIndexTests(SynchronousTestCase):
    def test_as_all_are_looked_at(self) -> None:
        """It says what a look at all claims, the most specific ones first, says."""
        choose = random.Random(7)
        claims = [Claim(host, path) for host in HOSTS for path in PATHS]
        routes = [
            Route(host, path.encode() + rest)
            for host in PATTERNS
            for path in PATHS[1:]
            for rest in (b"", b"/.*")
        ]
        routes += [Route(host, b".*") for host in PATTERNS]
        for _ in range(60):
            some = choose.sample(claims, choose.randrange(len(claims)))
            index: ClaimIndex[str] = ClaimIndex()
            for claim in some:
                index.add(claim, str(claim))
            ordered = sorted(some, key=lambda claim: claim.specificity, reverse=True)
            for route in routes:
                first = next((str(each) for each in ordered if each.covers_route(route)), None)
                self.assertEqual(index.of(route), first, (some, route))
