"""Claims that cannot stand beside each other, by an index."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.claim_conflicts import ClaimConflicts
from subproxy.core.access.claims import Claim, conflict

HOSTS = ("*", "*.c", "*.b.c", "*.a.b.c", "*.xb.c", "b.c", "a.b.c", "c")
PATHS = ("/", "/x", "/x/y", "/xy")


class ClaimConflictsTests(SynchronousTestCase):
    def test_as_each_pair_is_looked_at(self) -> None:
        choose = random.Random(5)
        claims = [Claim(host, path) for host in HOSTS for path in PATHS]
        for _ in range(40):
            some = choose.choices(claims, k=choose.randrange(20))
            index: ClaimConflicts[int] = ClaimConflicts()
            for number, claim in enumerate(some):
                index.add(claim, number)
            for claim in claims:
                expected = [
                    (other, number, reason)
                    for number, other in enumerate(some)
                    if (reason := conflict(claim, other)) is not None
                ]
                self.assertEqual(list(index.of(claim)), expected, (claim, some))
