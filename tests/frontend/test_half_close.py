"""What a FIN means: the table, and what holds for all of it."""

from __future__ import annotations

from itertools import product
from math import inf

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.frontend.half_close import LIMITS, Fin, HalfClose, time_left

QUIET = st.floats(0, 1e9)


class TableTests(SynchronousTestCase):
    def test_it_is_complete(self) -> None:
        self.assertEqual(set(LIMITS), set(product(HalfClose, Fin, (False, True))))

    def test_rows(self) -> None:
        auto, before, behind = HalfClose.AUTO, Fin.BEFORE_HEAD, Fin.BEHIND_HEAD
        for option, fin, has_length, quiet, left in (
            # Before the head it never counts, also later.
            (auto, before, False, 0.0, inf),
            (auto, before, False, 1e6, inf),
            (auto, before, True, 1e6, inf),
            # Behind the head of an answer without a length it means gone.
            (auto, behind, False, 0.0, 0.0),
            # With one it does when the guest has sent nothing for a second.
            (auto, behind, True, 0.0, 1.0),
            (auto, behind, True, 0.75, 0.25),
            (auto, behind, True, 1.0, 0.0),
            (auto, behind, True, 60.0, 0.0),
            # Unless an option says otherwise.
            (HalfClose.ALLOW, behind, False, 1e6, inf),
            (HalfClose.ALLOW, behind, True, 1e6, inf),
            (HalfClose.DENY, before, True, 0.0, 0.0),
            (HalfClose.DENY, before, False, 0.0, 0.0),
            (HalfClose.DENY, behind, True, 0.0, 0.0),
        ):
            self.assertEqual(time_left(option, fin, has_length, quiet), left)

    @given(st.sampled_from(list(LIMITS)), QUIET, QUIET)
    def test_who_is_gone_stays_gone(
        self, row: tuple[HalfClose, Fin, bool], quiet: float, more: float
    ) -> None:
        now, later = time_left(*row, quiet), time_left(*row, quiet + more)
        self.assertGreaterEqual(now, later)
        self.assertGreaterEqual(later, 0.0)
