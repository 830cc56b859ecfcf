"""Entries of a policy that never win."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Guest, Policy, Quotas
from subproxy.core.access.shadowed import shadowed
from tests.rigs.core_strategies import relaxed


def policy(*entries: tuple[str, ...]) -> Policy:
    return Policy([Guest(entry, (), Quotas()) for entry in entries])


class ShadowedTests(SynchronousTestCase):
    def test_table(self) -> None:
        for entries, found in (
            ((), []),
            ((("a*",), ("ab*",)), [(1, "ab*", 0, "a*")]),
            ((("ab*",), ("a*",)), []),
            ((("*",), ("a*",), ("ab*",)), [(1, "a*", 0, "*"), (2, "ab*", 0, "*")]),
            ((("a*",), ("ab",)), []),  # named exactly: it wins
            (
                (("a*b",), ("a*c*b",), ("*",), ("x", "*y")),
                [(1, "a*c*b", 0, "a*b"), (3, "*y", 2, "*")],
            ),
            ((("a*", "ab*"),), []),  # the same entry
            ((("*",), ("*",)), [(1, "*", 0, "*")]),
        ):
            self.assertEqual(list(shadowed(policy(*entries))), found, entries)
        self.assertEqual(list(shadowed(Policy(None))), [])

    @given(
        st.lists(st.text("ab*", min_size=1, max_size=5), max_size=4),
        st.text("ab", max_size=6),
    )
    @relaxed
    def test_nobody_belongs(self, patterns: list[str], identity: str) -> None:
        """What is told is true: no identity has such an entry by such a pattern."""
        whole = policy(*((each,) for each in patterns))
        without = {index for index, *_ in shadowed(whole)}
        guest = whole.guest(identity)
        for index in without:
            if identity != patterns[index]:
                assert whole.guests is not None
                self.assertIsNot(guest, whole.guests[index])
