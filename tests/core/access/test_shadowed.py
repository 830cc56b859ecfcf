"""Entries of a policy that never win."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.access.policy import Guest, Policy, Quotas
from subproxy.core.access.shadowed import shadowed, unheard_of
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


class UnheardOfTests(SynchronousTestCase):
    def test_who_may_be(self) -> None:
        good = (
            "cid:10",
            "cid:*",
            "cid:1*",
            "path:/run/a.sock",
            "path:*.sock",
            "path:@a",
            "*",
            "c*",
        )
        found = list(unheard_of(policy(good, ("tcp:127.0.0.1", "unknown:PipeAddress"))))
        self.assertEqual(found, [])
        self.assertEqual(list(unheard_of(Policy(None))), [])

    def test_who_is_nobody(self) -> None:
        for identity, words in (
            ("path:vms/a.sock", "begins with a slash"),
            ("path:", "begins with a slash"),
            ("/run/vms/a.sock", "such as cid:10"),
            ("path", "such as cid:10"),
            ("cid10", "such as cid:10"),
            ("cid:", "such as cid:10"),
            ("cid:a", "such as cid:10"),
            ("10", "such as cid:10"),
        ):
            found = list(unheard_of(policy(("cid:1",), ("cid:2", identity))))
            self.assertEqual([(index, name) for index, name, _ in found], [(1, identity)])
            self.assertIn(words, found[0][2])
