"""The guard of work that must not begin again within itself."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from subproxy.core.reentrancy import ReentrancyGuard


class ReentrancyGuardTests(SynchronousTestCase):
    def test_a_call_from_within_leaves_it_to_the_one_under_way(self) -> None:
        """Nothing is done in the middle of something else, and nothing is left undone."""
        guard = ReentrancyGuard()
        left = [3, 2, 1]
        done: list[int] = []

        def work() -> None:
            if guard.depth:
                return
            with guard:
                while left:
                    each = left.pop(0)
                    work()
                    done.append(each)

        work()
        self.assertEqual(done, [3, 2, 1])
        self.assertEqual(guard.depth, 0)

    def test_it_ends_with_an_exception(self) -> None:
        guard = ReentrancyGuard()
        with self.assertRaises(ZeroDivisionError), guard:
            raise ZeroDivisionError
        self.assertEqual(guard.depth, 0)

    def test_it_may_nest(self) -> None:
        """Of what may be within itself, it says how deep it is."""
        guard = ReentrancyGuard()
        with guard:
            with guard:
                self.assertEqual(guard.depth, 2)
            self.assertEqual(guard.depth, 1)
